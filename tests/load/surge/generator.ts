// A process with many listeners of one group. Told what to do by the surge run over its child-process channel.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { seeded } from '../../support/seeded.ts';
import { monotonicMs } from '../../support/cluster/monotonic.ts';
import type { Refusal } from './entrance.ts';
import { HlsListener } from './hls-listener.ts';
import type { Counts, FromGenerator, GeneratorPlan, ListenerRecord, RefusalRecord, Tick, ToGenerator } from './messages.ts';
import { OwnStalls } from './own-stalls.ts';
import { SurgeListener } from './surge-listener.ts';

const TICK_MS = 500;
const PREPARED_AT_ONCE = 8;
const LEAVING_AT_ONCE = 32;
const LAG_RESOLUTION_MS = 10;
/** A storm of refusals goes on for as long as it likes; of so many the distribution is known. */
const REFUSALS_KEPT = 50_000;

// Ctrl-C reaches the whole group of processes: the run, not the terminal, says when it is over.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));

const tell = (message: FromGenerator): void => void process.send?.(message);

/** Somebody who hears by HLS alone. */
interface Player {
	wantedAtMs: number;
	player: HlsListener | undefined;
	timer: NodeJS.Timeout;
}

class Generator {
	readonly #plan: GeneratorPlan;
	readonly #stalls = new OwnStalls();
	readonly #lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
	readonly #listeners: SurgeListener[];
	readonly #players: Player[] = [];
	readonly #refusals: RefusalRecord[] = [];
	readonly #heard = new Map<number, number>();
	#heardTold = 0;
	#refused = 0;
	#largestGapMs = 0;
	#gapsOver200Ms = 0;
	#ticks: NodeJS.Timeout | undefined;
	#tickAtMs = monotonicMs();
	#cpu = process.cpuUsage();
	#loop = performance.eventLoopUtilization();

	constructor(plan: GeneratorPlan) {
		this.#plan = plan;
		const crowd = {
			...plan,
			listenUrl: new URL(plan.listenUrl),
			nowMs: monotonicMs,
			random: seeded(plan.seed),
			stalls: this.#stalls,
			onRefusal: ({ cause, status, answerMs, retryAfterMs, retryAfterSeconds }: Refusal) => {
				this.#refused++;
				if (this.#refusals.length < REFUSALS_KEPT) {
					this.#refusals.push({ atMs: monotonicMs(), cause, status, answerMs, retryAfterMs, retryAfterSeconds });
				}
			},
			onGap: (gapMs: number) => {
				this.#largestGapMs = Math.max(this.#largestGapMs, gapMs);
				this.#gapsOver200Ms += gapMs > 200 ? 1 : 0;
			},
			onHeard: (csrc: number, atMs: number) => {
				if (!this.#heard.has(csrc)) this.#heard.set(csrc, atMs);
			},
		};
		this.#listeners = plan.group === 'hls' ? [] : plan.wantedMs.map((_, index) => new SurgeListener(crowd, plan.group, plan.tokens[index]));
	}

	async prepare(): Promise<void> {
		await atOnce(PREPARED_AT_ONCE, this.#listeners, (listener) => listener.prepare());
		this.#lag.enable();
		this.#ticks = setInterval(() => this.#tick(), TICK_MS);
	}

	go(zeroAtMs: number): void {
		const { wantedMs, group, hlsUrl, tokens } = this.#plan;
		for (const [index, listener] of this.#listeners.entries()) {
			void listener.run(zeroAtMs + (wantedMs[index] ?? 0));
		}
		for (const [index, atMs] of group === 'hls' ? wantedMs.entries() : []) {
			const wantedAtMs = zeroAtMs + atMs;
			const entry: Player = {
				wantedAtMs,
				player: undefined,
				timer: setTimeout(() => {
					entry.player = new HlsListener({ url: new URL(hlsUrl), token: tokens[index], nowMs: monotonicMs, sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) });
					void entry.player.run();
				}, Math.max(0, wantedAtMs - monotonicMs())),
			};
			this.#players.push(entry);
		}
	}

	mark(): void {
		for (const listener of this.#listeners) {
			listener.mark();
		}
		this.#largestGapMs = 0;
		this.#gapsOver200Ms = 0;
	}

	async end(): Promise<{ records: ListenerRecord[]; refusals: RefusalRecord[] }> {
		this.#tick();
		clearInterval(this.#ticks);
		const endedAtMs = monotonicMs();
		// First nobody acts any more, then all take their leave: else those who still wait get the places of those who go.
		for (const listener of this.#listeners) {
			listener.stop();
		}
		await atOnce(LEAVING_AT_ONCE, this.#listeners, (listener) => listener.close());
		const players = this.#players.map(({ player, wantedAtMs, timer }) => {
			clearTimeout(timer);
			player?.close();
			return playerRecord(player, wantedAtMs, endedAtMs);
		});
		this.#stalls.close();
		return { records: [...this.#listeners.map(({ record }) => record), ...players], refusals: this.#refusals };
	}

	#tick(): void {
		const atMs = monotonicMs();
		const { user, system } = process.cpuUsage(this.#cpu);
		this.#cpu = process.cpuUsage();
		const loop = performance.eventLoopUtilization();
		const spanMs = Math.max(1, atMs - this.#tickAtMs);
		const tick: Tick = {
			source: 0,
			atMs,
			spanMs,
			group: this.#plan.group,
			counts: this.#counts(),
			largestGapMs: this.#largestGapMs,
			gapsOver200Ms: this.#gapsOver200Ms,
			cpuRatio: (user + system) / 1_000 / spanMs,
			loopUtilization: performance.eventLoopUtilization(loop, this.#loop).utilization,
			loopLagP99Ms: Math.max(0, this.#lag.percentile(99) / 1e6 - LAG_RESOLUTION_MS),
		};
		this.#loop = loop;
		this.#lag.reset();
		this.#tickAtMs = atMs;
		this.#largestGapMs = 0;
		this.#gapsOver200Ms = 0;
		const heard = [...this.#heard].slice(this.#heardTold);
		this.#heardTold = this.#heard.size;
		tell({ kind: 'tick', tick, heard });
	}

	#counts(): Counts {
		const counts: Counts = { wanted: 0, joined: 0, failed: 0, connected: 0, hearingHls: 0, waiting: 0, refusals: this.#refused };
		for (const listener of this.#listeners) {
			if (!listener.wanted) continue;
			counts.wanted++;
			counts.joined += listener.record.entries.some(({ connectedAtMs }) => connectedAtMs !== undefined) ? 1 : 0;
			if (listener.connected) counts.connected++;
			else if (listener.record.outcome === 'failed') counts.failed++;
			else if (listener.hearsHls) counts.hearingHls++;
			else counts.waiting++;
		}
		for (const { player } of this.#players) {
			if (player === undefined) continue;
			counts.wanted++;
			if (player.hears) counts.hearingHls++;
			else counts.waiting++;
		}
		return counts;
	}
}

function playerRecord(player: HlsListener | undefined, wantedAtMs: number, endedAtMs: number): ListenerRecord {
	const heard = player?.figures.firstMediaAtMs !== undefined;
	return {
		group: 'hls', entries: [], outcome: heard ? 'joined' : 'failed', cause: heard ? undefined : 'no media by HLS',
		refusals: 0, handedOn: 0, lostSessions: 0, packets: 0, audioPackets: 0, lost: 0, largestGapMs: 0, largestForeignGapMs: 0, gapsOver200Ms: 0,
		connections: player?.connections ?? 0,
		hls: player && { ...player.figures, beganAtMs: wantedAtMs, endedAtMs },
	};
}

async function atOnce<T>(limit: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
	const queue = items.values();
	await Promise.all(Array.from({ length: limit }, async () => {
		for (const item of queue) {
			await work(item);
		}
	}));
}

let generator: Generator | undefined;

process.on('message', (message: ToGenerator) => {
	switch (message.kind) {
		case 'plan':
			generator = new Generator(message.plan);
			void generator.prepare().then(() => tell({ kind: 'ready' }));
			break;
		case 'go':
			generator?.go(message.zeroAtMs);
			break;
		case 'mark':
			generator?.mark();
			tell({ kind: 'marked' });
			break;
		case 'end':
			void generator?.end().then((result) => tell({ kind: 'result', ...result }));
			break;
		case 'close':
			process.exit(0);
	}
});
