import { setTimeout as sleep } from 'node:timers/promises';
import type { ListenerReport } from './client-protocol.ts';
import type { ClusterNode } from './cluster-node.ts';
import { type Fault, type FaultBars, INAUDIBLE_MS, type Scene } from './fault-run.ts';
import { relayOf, wayToOrigin } from './room-tree.ts';

const on = (node: ClusterNode) => (listener: ListenerReport) => listener.shard.startsWith(`${node.name}.`);
const nobody = () => false;

/** Issue's bars: "other faults 0 gap for those not on the dead thing". */
const NO_GAP: FaultBars = { othersGapMs: INAUDIBLE_MS, othersMissingMs: 0 };
const BACK: Pick<FaultBars, 'backP95Ms'> = { backP95Ms: 3_000 };
const HOME_GAP_MS = 5_000;
const HOME_DIES: FaultBars = { othersGapMs: HOME_GAP_MS, deadGapMs: HOME_GAP_MS, rejoinedP95Ms: 3_000 };
const STAGE_GAP_MS = 1_000;

/** Exactly one node thinks that it is the room's home, and all others agree. */
async function oneHome({ cluster, audience, note }: Scene): Promise<void> {
	const claimants = await cluster.claimants(audience.room);
	note(`home: ${claimants.join(', ')}`);
	if (claimants.length !== 1) {
		throw new Error(`${claimants.length} nodes say that they are the room's home: ${claimants.join(', ')}`);
	}
}

async function homeMoved(scene: Scene): Promise<void> {
	await oneHome(scene);
	const now = await scene.cluster.homeOf(scene.audience.room);
	if (now === scene.home) {
		throw new Error('the home did not move');
	}
}

async function homeStayed(scene: Scene): Promise<void> {
	await oneHome(scene);
	const now = await scene.cluster.homeOf(scene.audience.room);
	if (now !== scene.home) {
		throw new Error(`the home moved from ${scene.home.name} to ${now.name}`);
	}
}

/** Listeners whose programme comes through something that is dead. */
const through = ({ tree }: Scene, isDead: (shardOrOrigin: string) => boolean) => (listener: ListenerReport) =>
	wayToOrigin(tree, listener.shard).slice(1).some(isDead);

const nodeOf = (shard: string): string => shard.split('.')[0] ?? '';

/** The listener shard with most listeners of those that nobody hangs on, preferably on another host than the home. */
function busiestLeaf({ before, home, tree }: Scene): string {
	const counts = new Map<string, number>();
	for (const { shard } of before) {
		counts.set(shard, (counts.get(shard) ?? 0) + 1);
	}
	const relays = new Set(tree.values());
	const leaves = [...counts.keys()].filter((shard) => !relays.has(shard));
	const away = (shard: string) => (nodeOf(shard) === home.name ? 0 : 1);
	const [shard] = leaves.toSorted((a, b) => away(b) - away(a) || (counts.get(b) ?? 0) - (counts.get(a) ?? 0));
	if (shard === undefined) {
		throw new Error(`no leaf in the tree ${JSON.stringify([...tree])}`);
	}
	return shard;
}

async function killListenerShard(scene: Scene, shard: string): Promise<void> {
	const [node = '', index = ''] = shard.split('.');
	scene.note(`killed ${shard}`);
	await scene.cluster.node(node).killShard(Number(index));
}

export interface FaultTimes {
	/** Redis gone, cut off, or hung for so long. */
	redisAwayMs: number;
	pausedMs: number;
	cutMs: number;
}

/** Short: what the suite has time for. */
export const SHORT_TIMES: FaultTimes = { redisAwayMs: 5_000, pausedMs: 6_000, cutMs: 7_000 };
export const FULL_TIMES: FaultTimes = { redisAwayMs: 15_000, pausedMs: 6_000, cutMs: 10_000 };

export function faults({ redisAwayMs, pausedMs, cutMs }: FaultTimes): Fault[] {
	const redisOf = ({ cluster }: Scene) => {
		if (!cluster.redis) {
			throw new Error('no Redis in this cluster');
		}
		return cluster.redis;
	};
	return [
		{
			name: 'listener-shard',
			what: 'kill -9 of a listener shard',
			strike: async (scene) => {
				const shard = busiestLeaf(scene);
				await killListenerShard(scene, shard);
				return { dead: (listener) => listener.shard === shard };
			},
			check: homeStayed,
			watchMs: 3_500,
			bars: { ...NO_GAP, ...BACK },
		},
		{
			name: 'stage-shard',
			what: "kill -9 of the home's stage shard",
			strike: async ({ home }) => {
				await home.killShard(await home.stageShard());
				return { dead: nobody };
			},
			check: homeStayed,
			watchMs: 2_500,
			bars: { othersGapMs: STAGE_GAP_MS },
		},
		{
			name: 'relay',
			what: 'kill -9 of a listener shard that others get the programme from',
			strike: async (scene) => {
				const relay = relayOf(scene.tree);
				await killListenerShard(scene, relay);
				return { dead: ({ shard }) => shard === relay, behind: through(scene, (shard) => shard === relay) };
			},
			check: homeStayed,
			watchMs: 4_000,
			bars: { ...NO_GAP, ...BACK, behindGapMs: STAGE_GAP_MS },
		},
		{
			name: 'redis-killed',
			what: 'Redis killed, and started again empty',
			strike: async (scene) => {
				await redisOf(scene).kill();
				return { dead: nobody };
			},
			mend: (scene) => redisOf(scene).restart(),
			check: homeStayed,
			watchMs: redisAwayMs,
			mendedMs: 4_000,
			bars: NO_GAP,
		},
		{
			name: 'redis-hung',
			what: 'Redis stopped (SIGSTOP) and continued',
			strike: async (scene) => {
				redisOf(scene).pause();
				return { dead: nobody };
			},
			mend: async (scene) => redisOf(scene).resume(),
			check: homeStayed,
			watchMs: redisAwayMs,
			mendedMs: 3_000,
			bars: NO_GAP,
		},
		{
			name: 'redis-flushed',
			what: 'FLUSHALL',
			strike: async (scene) => {
				await redisOf(scene).flush();
				return { dead: nobody };
			},
			check: homeStayed,
			watchMs: 4_000,
			bars: NO_GAP,
		},
		{
			name: 'network-home-redis',
			what: 'network cut between the home and Redis',
			strike: async ({ cluster, home }) => {
				cluster.network.cut(home.name, 'redis');
				return { dead: nobody };
			},
			mend: async ({ cluster, home }) => cluster.network.heal(home.name, 'redis'),
			check: homeStayed,
			watchMs: cutMs,
			bars: NO_GAP,
		},
		{
			name: 'network-node-redis',
			what: 'network cut between another node and Redis',
			strike: async ({ cluster, others }) => {
				cluster.network.cut(others[0].name, 'redis');
				return { dead: nobody };
			},
			mend: async ({ cluster, others }) => cluster.network.heal(others[0].name, 'redis'),
			check: homeStayed,
			watchMs: cutMs,
			bars: NO_GAP,
		},
		{
			name: 'network-home-node',
			what: 'network cut between the home and one other host',
			strike: async (scene) => {
				const { cluster, home, others, tree } = scene;
				cluster.network.cut(home.name, others[0].name);
				const ends = [home.name, others[0].name].toSorted().join();
				const crosses = (shard: string) => wayToOrigin(tree, shard).some((hop, index, way) => index > 0 && [nodeOf(hop), nodeOf(way[index - 1] ?? '')].toSorted().join() === ends);
				return { dead: nobody, behind: ({ shard }) => crosses(shard) };
			},
			mend: async ({ cluster, home, others }) => cluster.network.heal(home.name, others[0].name),
			check: homeStayed,
			watchMs: cutMs,
			bars: { ...NO_GAP, behindGapMs: HOME_GAP_MS },
		},
		{
			name: 'node-process',
			what: 'kill -9 of the node process of a host that is not the home',
			strike: async (scene) => {
				const [victim] = scene.others;
				await victim.killProcess();
				return { dead: on(victim), behind: through(scene, (shard) => nodeOf(shard) === victim.name) };
			},
			check: homeStayed,
			watchMs: 4_500,
			bars: { ...NO_GAP, ...BACK, behindGapMs: HOME_GAP_MS },
		},
		{
			name: 'paused-home',
			what: `the home's node process stopped for ${pausedMs / 1_000} s (SIGSTOP, SIGCONT)`,
			strike: async ({ home }) => {
				home.pause('process');
				// Its shards go on, but nobody is there to link them to the new origin: they give it up and send their listeners elsewhere.
				return { dead: on(home) };
			},
			mend: async (scene) => {
				scene.home.resume();
				// It finds out with its first renewal, steps down, and must not have written before.
				await sleep(1_500);
				await homeMoved(scene);
			},
			check: homeMoved,
			watchMs: pausedMs,
			mendedMs: 2_000,
			bars: { othersGapMs: HOME_GAP_MS, deadGapMs: HOME_GAP_MS },
		},
		{
			name: 'home-process',
			what: "kill -9 of the home's node process",
			strike: async ({ home }) => {
				await home.killProcess();
				return { dead: on(home) };
			},
			check: homeMoved,
			watchMs: 5_500,
			bars: HOME_DIES,
		},
		{
			name: 'home-host',
			what: 'power cut of the home: everything killed, network gone',
			strike: async ({ home }) => {
				await home.killHost();
				return { dead: on(home) };
			},
			check: homeMoved,
			watchMs: 5_500,
			bars: HOME_DIES,
		},
	];
}
