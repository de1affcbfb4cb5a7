import type { SimulatedFleet } from './fleet.ts';

export interface FaultContext {
	fleet: SimulatedFleet;
	later: (delayMs: number, then: () => void) => void;
}

/** Something that dies while everybody listens. */
export interface Fault {
	name: string;
	what: string;
	/** It is not over before. */
	leastMs: number;
	happen: (context: FaultContext) => Promise<void>;
}

/** For a host to be started again by whoever looks after it. */
const RESTARTED_AFTER_MS = 15_000;
const REDIS_AWAY_MS = 6_000;

/** One thing after another, each when the one before is got over: what May 2023 would have been on hosts that die. */
export const MAY_2023: readonly Fault[] = [
	{
		name: 'shard',
		what: 'the fullest listener shard dies; its spare takes over, empty',
		leastMs: 5_000,
		happen: async ({ fleet }) => {
			const [fullest] = fleet.loads().toSorted((a, b) => b.listeners - a.listeners);
			fleet.killShard(fullest!.node, fullest!.shard);
		},
	},
	{
		name: 'node',
		what: 'a host dies that is not the home; it is started again 15 s later, empty',
		leastMs: RESTARTED_AFTER_MS + 5_000,
		happen: async ({ fleet, later }) => {
			const node = fleet.living.find(({ isHome }) => !isHome);
			if (node) {
				fleet.killNode(node);
				later(RESTARTED_AFTER_MS, () => void fleet.restart(node.index));
			}
		},
	},
	{
		name: 'home',
		what: 'the home of the room dies; another node takes it over',
		leastMs: 8_000,
		happen: async ({ fleet }) => {
			const { home } = fleet;
			if (home) {
				fleet.killNode(home);
			}
		},
	},
	{
		name: 'redis',
		what: 'Redis hangs for 6 s and comes back empty, as after a failover that lost everything; a listener shard dies meanwhile',
		leastMs: REDIS_AWAY_MS + 6_000,
		happen: async ({ fleet, later }) => {
			fleet.redis.away = 'hangs';
			await fleet.redis.flush();
			later(REDIS_AWAY_MS / 2, () => {
				const [fullest] = fleet.loads().toSorted((a, b) => b.listeners - a.listeners);
				fleet.killShard(fullest!.node, fullest!.shard);
			});
			later(REDIS_AWAY_MS, () => {
				fleet.redis.away = undefined;
			});
		},
	},
];
