import { setTimeout as sleep } from 'node:timers/promises';
import type { Packing } from '../../server/rooms/room.ts';
import { longSpeech } from '../support/speech/speech.ts';
import { Child } from './child.ts';
import type { FromGenerator, FromServer, GeneratorReport, ServerProcess, ToGenerator, ToServer } from './messages.ts';
import { cpuUs, machineTicks, rssBytes } from './processor-time.ts';
import { plainRtpTalker, type Talker, whipTalker } from './talker.ts';

export type Side = 'rostrum' | 'bareMediasoup' | 'janus';

export interface PhaseOptions {
	side: Side;
	/** Whose joining and memory is measured. */
	listeners: number;
	/** Who join before them, so that code is compiled and buffers are there. */
	warmUp: number;
	/** Who talk all the time, 1 to 3. */
	talkers: number;
	generators: number;
	windowMs: number;
	/** Transports that Rostrum makes ahead of the crowd; 0: a join is paid for when it comes. */
	spareTransports: number;
	/** Of Rostrum's room; others send what they get. */
	packing: Packing;
	mediaPort: number;
	progress: (text: string) => void;
}

export interface PhaseResult {
	side: Side;
	talkers: number;
	/** All who listened in the window. */
	listeners: number;
	packingMs: number;
	cpuUsPerListenerSecond: number;
	/** Of it, by process. */
	cpuByProcess: Record<string, number>;
	bytesPerListener: number;
	bytesByProcess: Record<string, number>;
	/** Node (or other control) and media together, in silence. */
	cpuMsPerJoin: number;
	joinCpuByProcess: Record<string, number>;
	joinsPerSecond: number;
	connectMsP50: number;
	connectMsP99: number;
	/** From wanting in to the first packet with audio, of some who come while everybody listens. */
	firstAudioMsP50: number;
	firstAudioMsP99: number;
	heard: GeneratorReport;
	/** Of all processors, while measuring: near 1 the figures say more of the machine than of the server. */
	machineBusy: number;
}

const FILES: Record<Side, string> = { rostrum: 'server-rostrum.ts', bareMediasoup: 'server-bare.ts', janus: 'server-janus.ts' };
/** Who come last, to see how soon they hear. */
const LATE_COMERS = 20;
const CONCURRENCY = 4;
/** Until code that runs seventeen times a second is compiled: listening lasts for hours. */
const SETTLE_MS = 10_000;
const LOOK_MS = 250;

/** One side from its start to its end: join, then listen, measured at the server's own processes. */
export async function runPhase(options: PhaseOptions): Promise<PhaseResult> {
	const { side, talkers: talkerCount, progress } = options;
	const server = Child.start<ToServer, FromServer>(FILES[side], [String(options.mediaPort), String(talkerCount), String(options.packing === 'auto' ? 0 : options.packing), String(options.spareTransports)]);
	const generators = Array.from({ length: options.generators }, () => Child.start<ToGenerator, FromGenerator>('generator.ts'));
	const talkers: Talker[] = [];
	try {
		const { processes, rtp } = await server.expect('ready');
		connectOffers(server, generators);
		for (let index = 0; index < talkerCount; index++) {
			const audio = await longSpeech(index % 2 === 0 ? 'alto' : 'bass');
			const target = rtp?.[index];
			talkers.push(target ? plainRtpTalker(target, audio) : await whipTalker((offer) => exchangeOnce(server, offer, index), audio));
		}
		return await measure(options, server, generators, processes, talkers);
	} finally {
		for (const talker of talkers) {
			talker.close();
		}
		await Promise.all([server.close({ kind: 'close' }), ...generators.map((generator) => generator.close({ kind: 'close' }))]);
		progress(`${side}: closed`);
	}
}

async function measure(
	{ side, listeners, warmUp, talkers: talkerCount, windowMs, spareTransports, progress }: PhaseOptions,
	server: Child<ToServer, FromServer>,
	generators: readonly Child<ToGenerator, FromGenerator>[],
	processes: readonly ServerProcess[],
	talkers: readonly Talker[],
): Promise<PhaseResult> {
	const media = processes.filter(({ part }) => part === 'media');
	const joining = processes.filter(({ part }) => part !== 'stage');

	const invited = side === 'janus';
	await joinAll(generators, warmUp, invited);
	await sleep(1_500);
	for (let ready = 0; ready < Math.min(spareTransports, listeners); await sleep(LOOK_MS)) {
		({ spareTransports: ready = 0 } = await server.expect('status', { kind: 'status' }));
	}
	const memoryBefore = media.map(({ pid }) => rssBytes(pid));
	const joinBefore = joining.map(({ pid }) => cpuUs(pid));
	const joinStartedMs = performance.now();
	const { connectMs } = await joinAll(generators, listeners, invited);
	const joinSeconds = (performance.now() - joinStartedMs) / 1_000;
	await sleep(300); // The last handshakes end at the client before they do at the server.
	const joinCpuByProcess = perProcess(joining, joinBefore, listeners * 1_000);
	progress(`${side}: ${listeners + warmUp} joined, ${(listeners / joinSeconds).toFixed(0)} a second`);

	for (const talker of talkers) {
		talker.start();
	}
	await sleep(SETTLE_MS);
	await Promise.all(generators.map((generator) => generator.expect('marked', { kind: 'mark' })));
	const before = media.map(({ pid }) => cpuUs(pid));
	const machineBefore = machineTicks();
	const startedMs = performance.now();
	await sleep(windowMs);
	const seconds = (performance.now() - startedMs) / 1_000;
	const cpuByProcess = perProcess(media, before, seconds * (listeners + warmUp));
	const machineAfter = machineTicks();
	const bytesByProcess = Object.fromEntries(media.map(({ name, pid }, index) => [name, (rssBytes(pid) - (memoryBefore[index] ?? Number.NaN)) / listeners]));
	const reports = await Promise.all(generators.map(async (generator) => (await generator.expect('report', { kind: 'report' })).report));
	const { packingMs } = await server.expect('status', { kind: 'status' });
	const heard = combine(reports);
	const { firstAudioMs } = await joinAll(generators, LATE_COMERS, invited, true);
	const result: PhaseResult = {
		side,
		listeners: listeners + warmUp,
		packingMs,
		cpuUsPerListenerSecond: sum(Object.values(cpuByProcess)),
		cpuByProcess,
		bytesPerListener: sum(Object.values(bytesByProcess)),
		bytesByProcess,
		cpuMsPerJoin: sum(Object.values(joinCpuByProcess)),
		joinCpuByProcess,
		joinsPerSecond: listeners / joinSeconds,
		talkers: talkerCount,
		connectMsP50: quantile(connectMs, 0.5),
		connectMsP99: quantile(connectMs, 0.99),
		firstAudioMsP50: quantile(firstAudioMs, 0.5),
		firstAudioMsP99: quantile(firstAudioMs, 0.99),
		heard,
		machineBusy: (machineAfter.busy - machineBefore.busy) / Math.max(1, machineAfter.all - machineBefore.all),
	};
	progress(
		`${side}: ${result.cpuUsPerListenerSecond.toFixed(0)} µs a listener-second at ${packingMs} ms, ${result.cpuMsPerJoin.toFixed(2)} ms a join, ` +
			`${(result.bytesPerListener / 1_000).toFixed(0)} KB a listener; ${heard.lost} lost, ${heard.deaf} deaf, machine ${(result.machineBusy * 100).toFixed(0)}% busy`,
	);
	if (heard.connected < result.listeners || heard.deaf > 0) {
		throw new Error(`${side}: of ${result.listeners} listeners ${heard.connected} were connected and ${heard.deaf} heard nothing`);
	}
	return result;
}

/** Splits the joining among the generators; all must succeed. */
async function joinAll(
	generators: readonly Child<ToGenerator, FromGenerator>[],
	count: number,
	invited: boolean,
	untilAudio = false,
): Promise<{ connectMs: number[]; firstAudioMs: number[] }> {
	const results = await Promise.all(
		generators.map((generator, index) => {
			const share = Math.floor((count + index) / generators.length);
			const concurrency = Math.max(1, Math.floor((untilAudio ? 1 : CONCURRENCY) / generators.length));
			return generator.expect('joined', { kind: 'join', count: share, concurrency, invited, untilAudio });
		}),
	);
	const failure = results.find(({ failed }) => failed > 0);
	if (failure) {
		throw new Error(`${sum(results.map(({ failed }) => failed))} listeners could not join: ${failure.error}`);
	}
	return { connectMs: results.flatMap(({ connectMs }) => connectMs), firstAudioMs: results.flatMap(({ firstAudioMs }) => firstAudioMs) };
}

let exchanges = 0;

/** Carries the generators' offers to the server and its answers back. */
function connectOffers(server: Child<ToServer, FromServer>, generators: readonly Child<ToGenerator, FromGenerator>[]): void {
	const asked = new Map<number, { generator: Child<ToGenerator, FromGenerator>; id: number }>();
	for (const generator of generators) {
		/** The generator's own numbers → ours, which are one row for all generators. */
		const exchangeOf = new Map<number, number>();
		generator.on('offer', ({ id, offer }) => {
			const exchange = ++exchanges;
			asked.set(exchange, { generator, id });
			exchangeOf.set(id, exchange);
			server.send({ kind: 'exchange', id: exchange, what: 'listen', offer });
		});
		generator.on('accept', ({ id, of, answer }) => {
			const exchange = ++exchanges;
			asked.set(exchange, { generator, id });
			server.send({ kind: 'accept', id: exchange, of: exchangeOf.get(of) ?? 0, answer });
		});
	}
	server.on('answer', ({ id, answer }) => {
		const from = asked.get(id);
		asked.delete(id);
		from?.generator.send({ kind: 'answer', id: from.id, answer });
	});
	server.on('refused', ({ id, message }) => {
		const from = asked.get(id);
		asked.delete(id);
		from?.generator.send({ kind: 'refused', id: from.id, message });
	});
}

/** The talker's own exchange, made while nobody else asks. */
async function exchangeOnce(server: Child<ToServer, FromServer>, offer: string, talker: number): Promise<string> {
	const { answer } = await server.expect('answer', { kind: 'exchange', id: ++exchanges, what: 'publish', offer, talker });
	return answer;
}

const quantile = (numbers: readonly number[], part: number): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length * part)] ?? Number.NaN;

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

/** Processor time since `before`, in µs over `divisor`, by the processes' names. */
function perProcess(processes: readonly ServerProcess[], before: readonly number[], divisor: number): Record<string, number> {
	return Object.fromEntries(processes.map(({ name, pid }, index) => [name, (cpuUs(pid) - (before[index] ?? Number.NaN)) / divisor]));
}

function combine(reports: readonly GeneratorReport[]): GeneratorReport {
	const all = (of: (report: GeneratorReport) => number): number => sum(reports.map(of));
	const most = (of: (report: GeneratorReport) => number): number => Math.max(...reports.map(of));
	return {
		listeners: all(({ listeners }) => listeners),
		connected: all(({ connected }) => connected),
		seconds: most(({ seconds }) => seconds),
		packets: all(({ packets }) => packets),
		audioPackets: all(({ audioPackets }) => audioPackets),
		lost: all(({ lost }) => lost),
		deaf: all(({ deaf }) => deaf),
		largestGapMs: most(({ largestGapMs }) => largestGapMs),
		cpuRatio: most(({ cpuRatio }) => cpuRatio),
		eventLoopLagMs: most(({ eventLoopLagMs }) => eventLoopLagMs),
	};
}
