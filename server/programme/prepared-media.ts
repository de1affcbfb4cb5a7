import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { Room } from '../rooms/room.ts';
import { media } from './media-error.ts';
import type { MediaRooms } from './media-rooms.ts';
import { type NodeShards, noCapacity } from './node-shards.ts';
import type { PrewarmMedia } from './prewarmer.ts';

export interface PreparedMediaOptions {
	rooms: MediaRooms;
	shards: Pick<NodeShards, 'isOpen'>;
	supervisor: Pick<Supervisor, 'shard'>;
}

/** What is made of rooms on this node ahead of the doors; see `Prewarmer`. */
export class PreparedMedia implements PrewarmMedia {
	readonly #options: PreparedMediaOptions;

	constructor(options: PreparedMediaOptions) {
		this.#options = options;
	}

	/** Rejects with DomainError `not_home`, `room_ended`, `media_unavailable`. */
	async prepareOrigin(room: Room): Promise<void> {
		await media(() => this.#options.rooms.open(room).programme.openOrigin());
	}

	/** Rejects with DomainError `no_capacity`, `room_ended`, `media_unavailable`. */
	async prepareEdge(room: Room, index: number): Promise<void> {
		const { rooms, shards, supervisor } = this.#options;
		const shard = shards.isOpen(index) ? supervisor.shard(index) : undefined;
		if (!shard) {
			throw noCapacity();
		}
		const { edges } = rooms.open(room).programme;
		edges.keep(index);
		await media(() => edges.open(shard, index, room.expectedListeners));
	}

	/** @param shards listener shards of this node whose edges of the room do not go by the linger */
	keepEdges(roomId: string, shards: readonly number[]): void {
		this.#options.rooms.get(roomId)?.programme.edges.keepOnly(shards);
	}

	edgeShards(roomId: string): readonly number[] {
		return this.#options.rooms.get(roomId)?.programme.edges.shards ?? [];
	}

	hasOrigin(roomId: string): boolean {
		return this.#options.rooms.get(roomId)?.programme.originShard !== undefined;
	}
}
