import type { ShardCalibration } from '../../../server/capacity/shard-calibration.ts';
import { seeded } from '../../support/seeded.ts';
import { arrivalTimes } from './arrivals.ts';
import { Audience } from './audience.ts';
import { SimulatedFleet } from './fleet.ts';
import type { FleetSize } from './fleet-size.ts';
import { percentilesOf, rounded, type SimulationReport, type Wave } from './report.ts';
import { type Fault, MAY_2023 } from './scenario.ts';
import { realSeconds, Recorder, spreadOf } from './series.ts';
import { VirtualTime } from './virtual-time.ts';

export interface SimulationOptions {
	listeners: number;
	withinSeconds: number;
	fleet: FleetSize;
	maxListenersPerShard: number;
	calibration: ShardCalibration;
	admission: { maxJoinsUnderWayPerShard: number; maxWaitMs: number };
	seed: number;
	/** All POSTs reach one node first, and no node has an address of its own. */
	oneAddress: boolean;
	/** Whether there is an HLS stream for those without a place. */
	overflow: boolean;
	faults?: readonly Fault[];
	progress: (text: string) => void;
}

/** Nodes find each other and the room its home before anybody comes. */
const BEFORE_MS = 6_000;
/** Arrivals, and waves, are given so long after their end. */
const PATIENCE_S = 120;
const WAVE_PATIENCE_S = 45;
const PROGRESS_S = 5;
/** Below this mean a shard's share is grain. */
const GRAIN = 100;

/** May 2023 anew: everybody comes within the window, and then one thing after another dies. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
	const time = new VirtualTime();
	const restore = time.install(seeded(options.seed + 1));
	try {
		return await new Simulation(options, time).run();
	} finally {
		restore();
	}
}

class Simulation {
	readonly #options: SimulationOptions;
	readonly #time: VirtualTime;
	readonly #startedS = realSeconds();
	#fleet!: SimulatedFleet;
	#audience!: Audience;
	#recorder!: Recorder;
	#depth = 0;
	#rssBytes = 0;

	constructor(options: SimulationOptions, time: VirtualTime) {
		this.#options = options;
		this.#time = time;
	}

	async run(): Promise<SimulationReport> {
		const { listeners, withinSeconds, fleet, seed, oneAddress, overflow, faults = MAY_2023, progress } = this.#options;
		const random = seeded(seed);
		let audience: Audience | undefined;
		this.#fleet = await SimulatedFleet.start({
			...fleet, time: this.#time, maxListenersPerShard: this.#options.maxListenersPerShard, calibration: this.#options.calibration, admission: this.#options.admission, ownAddresses: !oneAddress, random,
			onLost: (node, shard) => audience?.lose(node, shard),
		});
		try {
			const arrivals = arrivalTimes(listeners, withinSeconds, random).map((atMs) => Math.ceil(atMs) + BEFORE_MS);
			this.#audience = audience = new Audience({
				time: this.#time, random, arrivals, nodes: this.#fleet.nodes, ownAddresses: !oneAddress, overflow,
				// The proxy in front of them finds out soon when that node is gone.
				oneEntry: () => (oneAddress ? this.#fleet.nodes.findIndex(({ alive }) => alive) : undefined),
			});
			await this.#time.runTo(BEFORE_MS - 1);
			if (!this.#fleet.home) {
				throw new Error('the room has found no home');
			}
			this.#recorder = await Recorder.create(this.#fleet, audience, BEFORE_MS);
			progress(`${fleet.nodes} nodes with ${fleet.listenerShards} listener shards each hold ${fleet.capacity.toLocaleString('en')} by the rule; ${listeners.toLocaleString('en')} come`);
			await this.#until(() => audience!.settled, withinSeconds + PATIENCE_S);
			const surge = this.#afterSurge();
			const waves: Wave[] = [];
			for (const fault of faults) {
				waves.push(await this.#wave(fault));
			}
			return this.#report(surge, waves);
		} finally {
			await this.#fleet.close();
		}
	}

	/** A second of virtual time after another, at most so many. */
	async #until(isOver: () => boolean, seconds: number, step?: () => void): Promise<void> {
		for (let second = 0; second < seconds && !isOver(); second++) {
			for (let part = 0; part < 10; part++) {
				await this.#time.runTo(this.#time.nowMs() + (part === 0 && this.#time.nowMs() % 100 !== 0 ? 100 - (this.#time.nowMs() % 100) : 100));
				step?.();
			}
			await this.#look();
		}
	}

	async #look(): Promise<void> {
		await this.#recorder.look(this.#time.nowMs());
		const { series } = this.#recorder;
		const at = series.second.length - 1;
		this.#rssBytes = Math.max(this.#rssBytes, process.memoryUsage.rss());
		if (series.unreached[at] === 0) {
			this.#depth = Math.max(this.#depth, this.#fleet.reach.depth);
		}
		if (at % PROGRESS_S === 0) {
			const figure = (name: 'hearing' | 'byHls' | 'silent' | 'seated' | 'refused' | 'redisExecuted' | 'homeMessages') => (series[name][at] ?? 0).toLocaleString('en');
			this.#options.progress(
				`second ${Math.round(series.second[at] ?? 0)}: ${figure('hearing')} hear, ${figure('byHls')} by HLS, ${figure('silent')} wait; a second: ${figure('seated')} joins, ${figure('refused')} refused, ${figure('redisExecuted')} Redis commands, ${figure('homeMessages')} messages home; max/mean ${rounded(series.maxOverMean[at] ?? 1)}`,
			);
		}
	}

	#afterSurge(): Surge {
		const audience = this.#audience;
		return {
			waits: audience.heard.waits('sound'),
			webrtcWaits: audience.heard.waits('webrtc'),
			admittedMs: audience.heard.firstWebrtcMs().map((atMs) => atMs - BEFORE_MS),
			lastMs: audience.heard.lastMs('sound') - BEFORE_MS,
			lastWebrtcMs: audience.heard.lastMs('webrtc') - BEFORE_MS,
			hls: audience.heard.hlsDurations(this.#time.nowMs()),
			maxOverMean: this.#maxOverMean(),
			fullest: spreadOf(this.#fleet.loads().map(({ listeners }) => listeners)).max,
			hasPlaces: audience.heard.byWebrtc === audience.size,
		};
	}

	#maxOverMean(): number {
		const { max, mean } = spreadOf(this.#fleet.loads().map(({ listeners }) => listeners));
		return mean > 0 ? max / mean : 1;
	}

	async #wave(fault: Fault): Promise<Wave> {
		const { progress } = this.#options;
		const audience = this.#audience;
		const series = this.#recorder.series;
		const from = series.second.length;
		const sinceMs = this.#time.nowMs();
		progress(`${fault.name}: ${fault.what}`);
		const hearing = audience.heard.byWebrtc;
		const before = audience.heard.byHls;
		let silentMs = 0;
		let silentListeners = 0;
		const lossesBefore = audience.losses.length;
		await fault.happen({ fleet: this.#fleet, later: (delayMs, then) => this.#time.at(this.#time.nowMs() + delayMs, then) });
		const isOver = () => this.#time.nowMs() - sinceMs >= fault.leastMs && audience.heard.byWebrtc >= hearing && audience.heard.silent === 0 && audience.heard.byHls <= before && this.#fleet.reach.unreached === 0;
		await this.#until(isOver, WAVE_PATIENCE_S, () => {
			const { unreached } = this.#fleet.reach;
			silentListeners = Math.max(silentListeners, unreached);
			if (unreached > 0) {
				silentMs = this.#time.nowMs() - sinceMs;
			}
		});
		const again = audience.losses.slice(lossesBefore).flatMap((listeners) => [...audience.heard.soundAgain(listeners, sinceMs)]);
		const hearAgainSeconds = percentilesOf(again, 1_000);
		return {
			name: fault.name,
			atSecond: rounded((sinceMs - BEFORE_MS) / 1_000),
			affected: again.length,
			hearAgainSeconds,
			lastHeardSeconds: hearAgainSeconds.max,
			lost: again.filter((value) => Number.isNaN(value)).length,
			silentEdgesSeconds: rounded(silentMs / 1_000),
			silentListeners,
			maxOverMeanAfter: rounded(this.#maxOverMean(), 4),
			peakPostsPerSecond: Math.max(0, ...series.posts.slice(from)),
			refused: series.refused.slice(from).reduce((sum, count) => sum + count, 0),
		};
	}

	#report(surge: Surge, waves: Wave[]): SimulationReport {
		const { listeners, withinSeconds, seed, oneAddress, fleet, maxListenersPerShard, calibration } = this.#options;
		const audience = this.#audience;
		const { series } = this.#recorder;
		const peak = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), 0);
		const mean = (values: readonly number[]) => rounded(values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length), 1);
		const coarse = series.maxOverMean.filter((_, index) => (series.meanListeners[index] ?? 0) >= GRAIN);
		// Where some never get a place, the last one who hears does so by HLS.
		const lastHeardMs = surge.hasPlaces ? surge.lastWebrtcMs : surge.lastMs;
		return {
			scenario: 'May 2023',
			listeners,
			withinSeconds,
			seed,
			entry: oneAddress ? 'one node, behind one address' : 'any node, each with an address of its own',
			lost: audience.size - audience.heard.byWebrtc - audience.heard.byHls,
			overflowShare: rounded(surge.hls.length / listeners, 6),
			overflowShareAtEnd: rounded(audience.heard.byHls / listeners, 6),
			hlsSeconds: percentilesOf(surge.hls, 1_000),
			maxOverMean: rounded(surge.maxOverMean, 4),
			maxOverMeanAfterWaves: Math.max(1, ...waves.map(({ maxOverMeanAfter }) => maxOverMeanAfter)),
			maxOverMeanEver: rounded(peak(coarse), 4),
			atCap: surge.fullest >= maxListenersPerShard,
			redisCommandsPerSecond: peak(series.redisExecuted),
			redis: { executedMeanPerSecond: mean(series.redisExecuted), sentMaxPerSecond: peak(series.redisSent), sentMeanPerSecond: mean(series.redisSent) },
			homeMessagesPerSecond: { max: peak(series.homeMessages), mean: mean(series.homeMessages) },
			lastHeardSeconds: rounded(lastHeardMs / 1_000),
			lastHeardAfterWindowSeconds: rounded(lastHeardMs / 1_000 - withinSeconds),
			longestWaitSeconds: percentilesOf(surge.waits, 1_000).max,
			longestWaitForWebrtcSeconds: percentilesOf(surge.webrtcWaits, 1_000).max,
			admittedAfterSeconds: percentilesOf(surge.webrtcWaits, 1_000),
			admittedAtSecond: percentilesOf(surge.admittedMs, 1_000),
			abandonedSessions: audience.abandoned,
			peak: {
				arrivalsPerSecond: peak(series.arrived),
				joinsPerSecond: peak(series.seated),
				postsPerSecond: peak(series.posts),
				workerRatio: rounded(peak(series.workerRatio)),
				lagMs: rounded(peak(series.lagMs)),
			},
			treeDepth: this.#depth,
			waves,
			fleet: { ...fleet, maxListenersPerShard },
			calibration,
			wallSeconds: rounded(realSeconds() - this.#startedS, 1),
			rssBytes: this.#rssBytes,
			series,
		};
	}
}

interface Surge {
	waits: Int32Array;
	webrtcWaits: Int32Array;
	/** When each who has a session first heard by it, since the first arrival. */
	admittedMs: Int32Array;
	lastMs: number;
	lastWebrtcMs: number;
	hls: Int32Array;
	maxOverMean: number;
	fullest: number;
	/** Everybody found one. */
	hasPlaces: boolean;
}
