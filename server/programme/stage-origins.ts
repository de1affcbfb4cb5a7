import type { Logger } from 'pino';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import { DomainError } from '../errors.ts';
import type { MediaRooms } from './media-rooms.ts';

export interface StageOriginsOptions {
	rooms: MediaRooms;
	supervisor: Pick<Supervisor, 'shards'>;
	/** Takes no new origins, if there is another. */
	isDraining: (shard: number) => boolean;
	/** Told before an origin is moved: its speakers' transports are about to go. */
	onLost: (roomId: string) => void;
	log: Logger;
}

/** The origins of all rooms over this node's stage shards: which goes where, and how they leave one that is drained. */
export class StageOrigins {
	readonly #options: StageOriginsOptions;

	constructor(options: StageOriginsOptions) {
		this.#options = options;
	}

	/** Throws DomainError `media_unavailable` while there is none. */
	shardOf(roomId: string): Shard {
		const shard = this.#options.rooms.get(roomId)?.programme.originShard;
		if (!shard) {
			throw new DomainError('media_unavailable', "This room's stage is starting; try again in a moment.", { retryAfterSeconds: 1 });
		}
		return shard;
	}

	/** Rooms spread over stage shards: the one with the fewest origins, always counted afresh. */
	pick(roomId: string): Shard | undefined {
		const { rooms, supervisor, isDraining } = this.#options;
		const origins = new Map<Shard, number>();
		for (const { programme } of rooms.all()) {
			const shard = programme.originShard;
			if (shard && programme.roomId !== roomId) {
				origins.set(shard, (origins.get(shard) ?? 0) + 1);
			}
		}
		const rank = (shard: Shard) => (origins.get(shard) ?? 0) + (isDraining(shard.assignment?.index ?? -1) ? 1e6 : 0);
		return supervisor.shards('stage').toSorted((a, b) => rank(a) - rank(b))[0];
	}

	/** Rooms whose origin is on that stage shard. */
	on(shard: number): number {
		return [...this.#options.rooms.all()].filter(({ programme }) => programme.originShard?.assignment?.index === shard).length;
	}

	/** Moves every origin off a stage shard to another one of this node; where there is none, they stay: nobody's sound is broken off for nothing. */
	async moveOff(shard: number): Promise<void> {
		const { rooms, supervisor, isDraining, onLost, log } = this.#options;
		const others = supervisor.shards('stage').filter(({ assignment }) => assignment !== undefined && assignment.index !== shard && !isDraining(assignment.index));
		if (others.length === 0) {
			log.warn({ shard, origins: this.on(shard) }, 'origins stay where they are: this node has no other stage shard to take them');
			return;
		}
		for (const { programme } of rooms.all()) {
			if (programme.originShard?.assignment?.index === shard) {
				onLost(programme.roomId);
				await programme.moveOrigin().catch((error: unknown) => log.warn({ err: error, room: programme.roomId }, 'an origin could not be moved'));
			}
		}
	}
}
