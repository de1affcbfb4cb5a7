import type { Audience } from './audience.ts';
import type { SimulatedFleet } from './fleet.ts';

/** One entry a second of virtual time; `second` counts from the first arrival. */
export interface Series {
	second: number[];
	arrived: number[];
	hearing: number[];
	byHls: number[];
	silent: number[];
	posts: number[];
	seated: number[];
	handedOn: number[];
	refused: number[];
	failed: number[];
	/** Commands that nodes sent, and all that Redis carried out, those within scripts included. */
	redisSent: number[];
	redisExecuted: number[];
	/** Requests from other nodes at the room's home. */
	homeMessages: number[];
	/** Fullest listener shard over the mean of all. */
	maxOverMean: number[];
	meanListeners: number[];
	/** Highest over the listener shards. */
	workerRatio: number[];
	lagMs: number[];
	/** Listeners on edges to which the programme finds no way. */
	unreached: number[];
	packingMs: number[];
}

export const emptySeries = (): Series => ({
	second: [], arrived: [], hearing: [], byHls: [], silent: [], posts: [], seated: [], handedOn: [], refused: [], failed: [], redisSent: [], redisExecuted: [], homeMessages: [],
	maxOverMean: [], meanListeners: [], workerRatio: [], lagMs: [], unreached: [], packingMs: [],
});

/** Looks at everything once a second. */
export class Recorder {
	readonly series = emptySeries();
	readonly #fleet: SimulatedFleet;
	readonly #audience: Audience;
	readonly #zeroSecond: number;
	#before = { sent: 0, executed: 0, received: 0, home: '' };

	static async create(fleet: SimulatedFleet, audience: Audience, zeroMs: number): Promise<Recorder> {
		const recorder = new Recorder(fleet, audience, zeroMs);
		recorder.#before = { ...recorder.#before, sent: fleet.redis.sent, executed: await fleet.redis.executed() };
		return recorder;
	}

	private constructor(fleet: SimulatedFleet, audience: Audience, zeroMs: number) {
		this.#fleet = fleet;
		this.#audience = audience;
		this.#zeroSecond = zeroMs / 1_000;
	}

	async look(nowMs: number): Promise<void> {
		const { series } = this;
		const fleet = this.#fleet;
		const audience = this.#audience;
		const counts = audience.takeCounts();
		const executed = await fleet.redis.executed();
		const { sent } = fleet.redis;
		const home = fleet.home?.nodeId ?? this.#before.home;
		const received = fleet.received.get(home) ?? 0;
		const shards = fleet.living.flatMap(({ supervisor }) => supervisor.living.filter(({ assignment }) => assignment.role === 'listener'));
		const { mean, max } = spreadOf(shards.map(({ listeners }) => listeners));
		series.second.push(nowMs / 1_000 - this.#zeroSecond);
		for (const name of ['arrived', 'posts', 'seated', 'handedOn', 'refused', 'failed'] as const) series[name].push(counts[name]);
		series.hearing.push(audience.heard.byWebrtc);
		for (const name of ['byHls', 'silent'] as const) series[name].push(audience.heard[name]);
		series.redisSent.push(sent - this.#before.sent);
		series.redisExecuted.push(executed - this.#before.executed);
		series.homeMessages.push(home === this.#before.home ? received - this.#before.received : 0);
		series.meanListeners.push(mean);
		series.maxOverMean.push(mean > 0 ? max / mean : 1);
		series.workerRatio.push(shards.reduce((most, { stats }) => Math.max(most, stats?.workerCpuRatio ?? 0), 0));
		series.lagMs.push(shards.reduce((most, { stats }) => Math.max(most, stats?.eventLoopLagMs ?? 0), 0));
		series.unreached.push(fleet.reach.unreached);
		series.packingMs.push(shards.reduce((most, { packingMs, listeners }) => Math.max(most, listeners > 0 ? packingMs : 0), 0));
		this.#before = { sent, executed, received, home };
	}
}

export function spreadOf(loads: readonly number[]): { mean: number; max: number } {
	const sum = loads.reduce((all, load) => all + load, 0);
	return { mean: loads.length > 0 ? sum / loads.length : 0, max: loads.reduce((most, load) => Math.max(most, load), 0) };
}

/** Real time, which the simulation takes from `performance.now` for its own. */
export const realSeconds = (): number => Number(process.hrtime.bigint()) / 1e9;
