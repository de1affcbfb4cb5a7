import type { PackingMs } from '../../sfu/contract/media-types.ts';
import { type AutoPacking, choosePackingMs } from '../placement/packing-policy.ts';
import type { Room } from '../rooms/room.ts';
import type { MediaRoom } from './media-rooms.ts';

export interface RoomPackingOptions {
	autoPacking: AutoPacking;
	/** In the whole cluster, as counted last. */
	listenersIn: (roomId: string) => number;
	/** Shard → what packets of rooms with packing `auto` carry there at least. */
	floors: () => ReadonlyMap<number, PackingMs>;
}

/** How much audio the packets of each room carry: as its host chose, or as its audience grows and shards under pressure ask for. */
export class RoomPacking {
	readonly #options: RoomPackingOptions;

	constructor(options: RoomPackingOptions) {
		this.#options = options;
	}

	/** Of a room that has nobody yet. */
	first({ packingMs }: Room): PackingMs {
		return choosePackingMs(packingMs, 0, undefined, this.#options.autoPacking);
	}

	choose(room: MediaRoom): void {
		const { programme, packing } = room;
		const { autoPacking, floors } = this.#options;
		// Whoever chose a packing has reasons, such as listeners who take no other.
		programme.edges.setPackingFloors(packing === 'auto' ? floors() : undefined);
		programme.setPackingMs(choosePackingMs(packing, this.#crowd(room), programme.edges.packingMs, autoPacking));
	}

	/** A surge fills a room between two counts: whoever comes then is not to be sent small packets first. */
	joined(room: MediaRoom): void {
		room.joined++;
		const { thresholdListeners, largeMs } = this.#options.autoPacking;
		if (room.packing === 'auto' && room.programme.edges.packingMs !== largeMs && this.#crowd(room) >= thresholdListeners) {
			this.choose(room);
		}
	}

	/** Once a second, with the new count. */
	counted(room: MediaRoom): void {
		room.joinedBefore = room.joined;
		room.joined = 0;
		this.choose(room);
	}

	/** In the whole cluster, with those who joined here since they were counted. */
	#crowd({ programme, joined, joinedBefore }: MediaRoom): number {
		return this.#options.listenersIn(programme.roomId) + joined + joinedBefore;
	}
}
