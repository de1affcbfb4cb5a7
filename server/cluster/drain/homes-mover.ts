import type { Logger } from 'pino';
import type { ClusterView } from '../cluster-view.ts';
import type { Homes } from '../homes.ts';
import type { NodeReport } from '../node-report.ts';
import type { Peers } from '../peer-protocol.ts';

export interface HomesMoverOptions {
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'redisAnswers'>;
	homes: Pick<Homes, 'rooms' | 'epochOf' | 'release' | 'ensure'>;
	peers: Peers;
	log: Logger;
}

/** Nodes that are tried for one room before it is kept here for now. */
const TRIES = 3;
const TAKE_TIMEOUT_MS = 3_000;

/** Gives the rooms that live here to other nodes, one after another: people on stage notice each move. */
export class HomesMover {
	readonly #options: HomesMoverOptions;

	constructor(options: HomesMoverOptions) {
		this.#options = options;
	}

	/** One round over all rooms. Stops when `wanted` says no more. @returns rooms that are left */
	async moveAll(wanted: () => boolean): Promise<number> {
		for (const roomId of this.#options.homes.rooms) {
			if (!wanted()) {
				break;
			}
			await this.#move(roomId);
		}
		return this.#options.homes.rooms.length;
	}

	async #move(roomId: string): Promise<void> {
		const { view, homes, peers, log } = this.#options;
		const epoch = homes.epochOf(roomId);
		const takers = rankTakers(view.nodes(), roomId).slice(0, TRIES);
		// A room without a home is worse than one on a node that drains.
		if (epoch === undefined || takers.length === 0 || !view.redisAnswers) {
			return;
		}
		await homes.release(roomId);
		for (const nodeId of takers) {
			try {
				const taken = await peers.request(nodeId, 'takeHome', { roomId }, { timeoutMs: TAKE_TIMEOUT_MS });
				log.info({ room: roomId, peer: nodeId, epoch: taken.epoch }, 'a room moved to another node');
				return;
			} catch (error) {
				log.warn({ room: roomId, peer: nodeId, epoch, err: error }, 'a node did not take a room');
			}
		}
		// Somebody may have it by now; if not, it lives here again.
		await homes.ensure(roomId).catch((error: unknown) => log.error({ room: roomId, err: error }, 'a room has no home'));
	}
}

/** Which nodes should take a room, best first: near ones, then those that have most of its listeners, then those with the fewest homes. */
export function rankTakers([self, ...others]: readonly NodeReport[], roomId: string): string[] {
	const near = (node: NodeReport) => (node.region === self?.region ? 0 : 1);
	return others
		.filter(({ draining, redis, shards }) => !draining && redis && shards.some(({ role, alive, draining: leaving }) => role === 'stage' && alive && !leaving))
		.toSorted(
			(a, b) =>
				near(a) - near(b) ||
				(b.rooms[roomId] ?? 0) - (a.rooms[roomId] ?? 0) ||
				Object.keys(a.homes).length - Object.keys(b.homes).length ||
				(a.nodeId < b.nodeId ? -1 : 1),
		)
		.map(({ nodeId }) => nodeId);
}
