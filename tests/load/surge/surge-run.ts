import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../../support/cluster/monotonic.ts';
import { seeded } from '../../support/seeded.ts';
import { Child } from '../child.ts';
import { machineTicks } from '../processor-time.ts';
import type { Counts, FromGenerator, FromStage, GeneratorPlan, Group, ListenerRecord, RefusalRecord, SpeakerPlan, SpeakerReport, SurgeOptions, Tick, ToGenerator, ToStage } from './messages.ts';
import { limitsInTheWay } from './limits.ts';
import { type SpeakerFigures, speakerFigures, summarise, type SurgeReport } from './report.ts';
import { RoomAccess } from './room-access.ts';
import { judgeSaturation } from './saturation.ts';
import { dealOut, scheduleOf } from './schedule.ts';
import { seriesOf } from './series.ts';
import { ServerLoad } from './server-load.ts';

export interface SurgeProgress {
	phase: string;
	/** From the storm's start; undefined before. */
	atMs: number | undefined;
	counts: Counts;
	largestGapMs: number;
	lagMs: number;
}

export interface SurgeHooks {
	onProgress?: (progress: SurgeProgress) => void;
	/** Ends the run early and politely. */
	signal?: AbortSignal;
	/** Asked while the run holds: whether it has seen enough. */
	isDone?: (counts: Counts) => boolean;
}

type GeneratorChild = Child<ToGenerator, FromGenerator>;

/** More processes cost more: packets of one burst are taken together by those in one process. */
const LISTENERS_PER_GENERATOR = 600;
/** How incumbents come, long before the storm. */
const CALM_JOINS_PER_SECOND = 25;
const SETTLE_MS = 1_000;
const LEAD_MS = 300;
const LOOK_MS = 250;
const CALM_TIMEOUT_MS = 30_000;
const SPEAKER_TIMEOUT_MS = 60_000;
const RESULT_TIMEOUT_MS = 120_000;
/** With what the storm itself brings about still in it. */
const STORM_TAIL_MS = 2_000;
const LATE_SPEAKER = 'Late speaker';
/** Who talks from before the start, in turns; and who comes later. */
const VOICES: readonly SpeakerPlan['voice'][] = ['alto', 'bass'];
const LATE_VOICE: SpeakerPlan['voice'] = 'bass';
/** Says hello, and lets the others speak: as long as two talk, every listener is sent twice as much. */
const GREETING_MS = 500;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/;

/** One run: people in processes of their own, the storm, and what became of all of them. */
export class SurgeRun {
	readonly #options: SurgeOptions;
	readonly #hooks: SurgeHooks;
	readonly #access: RoomAccess;
	readonly #bindAddress: string;
	readonly #groups: { group: Group; child: GeneratorChild }[] = [];
	readonly #ticks: Tick[] = [];
	readonly #latest = new Map<GeneratorChild, Tick>();
	readonly #heard = new Map<number, number>();
	readonly #speakers: SpeakerReport[] = [];
	readonly #stageLosses: string[] = [];
	#stage: Child<ToStage, FromStage> | undefined;
	#phase = 'starting';
	#zeroAtMs: number | undefined;

	/** @throws Error in plain words when it cannot begin */
	static async run(options: SurgeOptions, hooks: SurgeHooks = {}): Promise<SurgeReport> {
		const run = new SurgeRun(options, hooks);
		try {
			return await run.#run();
		} finally {
			await run.#close();
		}
	}

	private constructor(options: SurgeOptions, hooks: SurgeHooks) {
		this.#options = options;
		this.#hooks = hooks;
		this.#access = new RoomAccess(options.url, options.room, options.token);
		this.#bindAddress = options.bindAddress ?? (this.#sameMachine ? '127.0.0.1' : '0.0.0.0');
	}

	get #sameMachine(): boolean {
		return LOOPBACK.test(new URL(this.#options.url).hostname);
	}

	async #run(): Promise<SurgeReport> {
		const { withinMs, holdMs, waves, waveEveryMs, speakerAtMs } = this.#options;
		const startedAt = new Date().toISOString();
		const plans = await this.#plans();
		const load = new ServerLoad(this.#options.url, this.#options.token);
		try {
			await this.#speakersOnStage();
			await this.#incumbentsIn(plans);
			this.#phase = 'preparing';
			await Promise.all(plans.filter(({ group }) => group !== 'incumbents').map((plan) => this.#start(plan)));
			await Promise.all(this.#of('incumbents').map((child) => child.expect('marked', { kind: 'mark' })));

			const lateToken = speakerAtMs === undefined ? undefined : await this.#invite(LATE_SPEAKER);
			const zeroAtMs = monotonicMs() + LEAD_MS;
			this.#zeroAtMs = zeroAtMs;
			this.#phase = 'storm';
			const comingMs = withinMs + (waves - 1) * waveEveryMs;
			for (const { group, child } of this.#groups) {
				if (group !== 'incumbents') child.send({ kind: 'go', zeroAtMs });
			}
			const lateSpeaker =
				speakerAtMs === undefined || lateToken === undefined ? undefined : this.#speak({ name: LATE_SPEAKER, token: lateToken, voice: LATE_VOICE, atMs: zeroAtMs + speakerAtMs, forMs: GREETING_MS });
			const machine = new MachineBusy();
			await this.#pause(LEAD_MS + comingMs + STORM_TAIL_MS);
			const machineBusy = machine.read();
			this.#phase = 'holding';
			await this.#hold(zeroAtMs + comingMs + holdMs);
			const endAtMs = monotonicMs();
			if (this.#interrupted) await Promise.race([lateSpeaker, sleep(100)]);
			else await lateSpeaker;

			this.#phase = 'leaving';
			const speakers = await this.#speakerFigures();
			const { records, refusals } = await this.#results();
			return this.#report({ startedAt, zeroAtMs, endAtMs, stormMs: comingMs + STORM_TAIL_MS, machineBusy, records, refusals, speakers, load });
		} finally {
			load.close();
		}
	}

	get #interrupted(): boolean {
		return this.#hooks.signal?.aborted === true;
	}

	/** Who comes when, in which process. @throws Error when the room, the token or the machine is in the way */
	async #plans(): Promise<GeneratorPlan[]> {
		const { url, room, listeners, incumbents, hls, withinMs, arrivals, waves, waveEveryMs, patienceMs, overflow, churn, seed } = this.#options;
		const { visibility, state } = await this.#access.read();
		if (state === 'ended') {
			throw new Error(`the room "${room}" has ended`);
		}
		const processes = this.#options.generators ?? Math.max(1, Math.min(os.availableParallelism(), Math.ceil(listeners / LISTENERS_PER_GENERATOR)));
		const problem = limitsInTheWay({ perProcess: Math.max(Math.ceil(listeners / processes), incumbents, hls), all: listeners + incumbents + hls, overflow });
		if (problem !== undefined) {
			throw new Error(problem);
		}
		const all = listeners + incumbents + hls;
		const tokens = visibility === 'private' ? await this.#access.invite('listener', Array.from({ length: all }, (_, index) => `Listener ${index + 1}`)) : [];
		const common = {
			listenUrl: new URL(`/v1/rooms/${room}/listen`, url).href, hlsUrl: new URL(`/v1/rooms/${room}/hls/index.m3u8`, url).href,
			bindAddress: this.#bindAddress, patienceMs, overflow, churn: 0,
		};
		const wantedMs = scheduleOf({ listeners, withinMs, arrivals, waves, waveEveryMs, random: seeded(seed) });
		const plans: GeneratorPlan[] = [];
		if (incumbents > 0) {
			const calmMs = Array.from({ length: incumbents }, (_, index) => (index * 1_000) / CALM_JOINS_PER_SECOND);
			plans.push({ ...common, group: 'incumbents', wantedMs: calmMs, tokens: tokens.splice(0, incumbents), seed: seed + 1 });
		}
		if (hls > 0) {
			plans.push({ ...common, group: 'hls', wantedMs: Array.from({ length: hls }, (_, index) => (withinMs * index) / hls), tokens: tokens.splice(0, hls), seed: seed + 2 });
		}
		const shares = dealOut(wantedMs, processes);
		const invited = dealOut(tokens, processes);
		for (const [index, share] of shares.entries()) {
			if (share.length > 0) plans.push({ ...common, group: 'arrivals', wantedMs: share, tokens: invited[index] ?? [], churn, seed: seed + 3 + index });
		}
		return plans;
	}

	async #start(plan: GeneratorPlan): Promise<GeneratorChild> {
		const child: GeneratorChild = Child.start('surge/generator.ts', [], true);
		const source = this.#groups.push({ group: plan.group, child });
		child.on('tick', ({ tick: told, heard }) => {
			const tick = { ...told, source };
			this.#ticks.push(tick);
			this.#latest.set(child, tick);
			for (const [csrc, atMs] of heard) {
				this.#heard.set(csrc, Math.min(atMs, this.#heard.get(csrc) ?? Number.POSITIVE_INFINITY));
			}
			this.#tellProgress();
		});
		await child.expect('ready', { kind: 'plan', plan });
		return child;
	}

	async #speakersOnStage(): Promise<void> {
		const { url, room, speakers, speakerAtMs, constantSpeech } = this.#options;
		if (speakers === 0 && speakerAtMs === undefined) {
			return;
		}
		this.#phase = 'speakers';
		const stage: Child<ToStage, FromStage> = Child.start('surge/stage.ts');
		this.#stage = stage;
		stage.on('spoke', ({ speaker }) => this.#speakers.push(speaker));
		stage.on('lost', ({ name }) => this.#stageLosses.push(name));
		await stage.expect('ready', { kind: 'stage', publishUrl: new URL(`/v1/rooms/${room}/publish`, url).href, bindAddress: this.#bindAddress, constantSpeech, voices: [...VOICES.slice(0, speakers), ...(speakerAtMs === undefined ? [] : [LATE_VOICE])] });
		for (let index = 0; index < speakers; index++) {
			const name = `Speaker ${index + 1}`;
			const token = await this.#invite(name);
			const { error } = await this.#speak({ name, token, voice: VOICES[index % VOICES.length] ?? LATE_VOICE, atMs: monotonicMs(), forMs: undefined });
			if (error !== undefined) {
				throw new Error(`a speaker could not get on stage: ${error}`);
			}
		}
	}

	/** Invites, then has them speak from then on; resolves when they are on stage, or are not. */
	async #invite(name: string): Promise<string> {
		const [token = ''] = await this.#access.invite('speaker', [name]);
		return token;
	}

	async #speak(plan: SpeakerPlan): Promise<SpeakerReport> {
		const { name, atMs } = plan;
		const stage = this.#stage;
		if (!stage) {
			throw new Error('no stage');
		}
		const spoke = new Promise<SpeakerReport>((resolve) =>
			stage.on('spoke', ({ speaker }) => {
				if (speaker.name === name) resolve(speaker);
			}),
		);
		stage.send({ kind: 'speak', speaker: plan });
		return await Promise.race([spoke, sleep(SPEAKER_TIMEOUT_MS).then(() => ({ name, wantedAtMs: atMs, connectedAtMs: undefined, error: 'no word from the stage' }))]);
	}

	async #incumbentsIn(plans: readonly GeneratorPlan[]): Promise<void> {
		const plan = plans.find(({ group }) => group === 'incumbents');
		if (!plan) {
			return;
		}
		this.#phase = 'incumbents';
		const child = await this.#start(plan);
		child.send({ kind: 'go', zeroAtMs: monotonicMs() });
		const deadlineMs = monotonicMs() + (plan.wantedMs.at(-1) ?? 0) + CALM_TIMEOUT_MS;
		const there = (): number => {
			const counts = this.#latest.get(child)?.counts;
			return (counts?.connected ?? 0) + (counts?.failed ?? 0);
		};
		while (there() < plan.wantedMs.length && monotonicMs() < deadlineMs && !this.#interrupted) {
			await this.#pause(100);
		}
		await this.#pause(SETTLE_MS);
	}

	async #speakerFigures(): Promise<SpeakerFigures[]> {
		if (this.#speakers.length === 0) {
			return [];
		}
		const { stage } = await this.#access.read().catch(() => ({ stage: [] as { name: string; number: number }[] }));
		return this.#speakers.map((report) => {
			const number = stage.findLast(({ name }) => name === report.name)?.number;
			return speakerFigures(report, {
				late: report.name === LATE_SPEAKER,
				heardAtMs: number === undefined ? undefined : this.#heard.get(number),
				lost: this.#stageLosses.filter((name) => name === report.name).length,
			});
		});
	}

	async #results(): Promise<{ records: ListenerRecord[]; refusals: RefusalRecord[] }> {
		const results = await Promise.all(this.#groups.map(({ child }) => child.expect('result', { kind: 'end' }, RESULT_TIMEOUT_MS)));
		return { records: results.flatMap(({ records }) => records), refusals: results.flatMap(({ refusals }) => refusals) };
	}

	#report({ startedAt, zeroAtMs, endAtMs, stormMs, machineBusy, records, refusals, speakers, load }: {
		startedAt: string; zeroAtMs: number; endAtMs: number; stormMs: number; machineBusy: number | undefined;
		records: ListenerRecord[]; refusals: RefusalRecord[]; speakers: SpeakerFigures[]; load: ServerLoad;
	}): SurgeReport {
		const { url, room, token: _, ...settings } = this.#options;
		const stormTicks = this.#ticks.filter(({ atMs }) => atMs > zeroAtMs && atMs <= zeroAtMs + stormMs + LEAD_MS);
		const latenessMs = records.filter(({ group }) => group === 'arrivals').flatMap(({ entries }) => entries.slice(0, 1).map(({ wantedAtMs, begunAtMs }) => begunAtMs - wantedAtMs));
		const cores = os.availableParallelism();
		const cpuMs = stormTicks.reduce((sum, { cpuRatio, spanMs }) => sum + cpuRatio * spanMs, 0);
		const generator = judgeSaturation({ ticks: stormTicks, latenessMs, machineBusy, ownShare: cpuMs / (stormMs * cores), sameMachine: this.#sameMachine });
		return {
			startedAt,
			target: { url, room },
			machine: { cpu: os.cpus()[0]?.model ?? 'unknown', cores, node: process.version },
			settings,
			interrupted: this.#interrupted,
			...summarise({ records, refusals, refusalCount: this.#sum(({ refusals: count }) => count), speakers }),
			generatorSaturated: generator.saturated,
			generator,
			metricsUnreadable: load.unreadable ?? null,
			series: seriesOf({ zeroAtMs, endAtMs, records, refusals, ticks: this.#ticks, shards: load.samples }),
		};
	}

	#of(group: Group): GeneratorChild[] {
		return this.#groups.filter((one) => one.group === group).map(({ child }) => child);
	}

	#sum(of: (counts: Counts) => number): number {
		return [...this.#latest.values()].reduce((sum, { counts }) => sum + of(counts), 0);
	}

	#tellProgress(): void {
		const latest = [...this.#latest.values()];
		this.#hooks.onProgress?.({
			phase: this.#phase,
			atMs: this.#zeroAtMs === undefined ? undefined : monotonicMs() - this.#zeroAtMs,
			counts: this.#counts(),
			largestGapMs: Math.max(0, ...latest.map(({ largestGapMs }) => largestGapMs)),
			lagMs: Math.max(0, ...latest.map(({ loopLagP99Ms }) => loopLagP99Ms)),
		});
	}

	#counts(): Counts {
		return {
			wanted: this.#sum(({ wanted }) => wanted),
			joined: this.#sum(({ joined }) => joined),
			failed: this.#sum(({ failed }) => failed),
			connected: this.#sum(({ connected }) => connected),
			hearingHls: this.#sum(({ hearingHls }) => hearingHls),
			waiting: this.#sum(({ waiting }) => waiting),
			refusals: this.#sum(({ refusals }) => refusals),
		};
	}

	async #hold(untilMs: number): Promise<void> {
		while (monotonicMs() < untilMs && !this.#interrupted && this.#hooks.isDone?.(this.#counts()) !== true) {
			await this.#pause(Math.min(LOOK_MS, untilMs - monotonicMs()));
		}
	}

	/** Not longer than until somebody wants it to end. */
	async #pause(ms: number): Promise<void> {
		await sleep(ms, undefined, this.#hooks.signal === undefined ? {} : { signal: this.#hooks.signal }).catch(() => undefined);
	}

	async #close(): Promise<void> {
		await Promise.all([this.#stage?.close({ kind: 'close' }), ...this.#groups.map(({ child }) => child.close({ kind: 'close' }))]);
	}
}

class MachineBusy {
	readonly #before = read();

	/** Of all processors since it was made. */
	read(): number | undefined {
		const now = read();
		return this.#before && now && now.all > this.#before.all ? (now.busy - this.#before.busy) / (now.all - this.#before.all) : undefined;
	}
}

/** Linux alone tells. */
function read(): { busy: number; all: number } | undefined {
	try {
		return machineTicks();
	} catch {
		return undefined;
	}
}
