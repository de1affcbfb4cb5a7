import type { Logger } from 'pino';
import { OVERFLOW_LAG_MS } from '../contract/overflow-lag.ts';
import type { ParamsOf, ShardEventName, ShardEvents } from '../contract/shard-protocol.ts';
import type { Edge } from '../edge/edge.ts';
import { MixEgress } from './mix-egress.ts';

export interface RoomEgressesOptions {
	log: Logger;
	emit: <N extends ShardEventName>(name: N, data: ShardEvents[N]) => void;
}

interface RoomEgress {
	streamId: string;
	edge: Edge;
	mix: MixEgress;
}

/** The overflow streams that begin at edges of this shard, one a room. */
export class RoomEgresses {
	readonly #options: RoomEgressesOptions;
	readonly #rooms = new Map<string, RoomEgress>();

	constructor(options: RoomEgressesOptions) {
		this.#options = options;
	}

	open(roomId: string, edge: Edge, { streamId, fromMs, ...encoding }: Omit<ParamsOf<'overflow.open'>, 'roomId'>): void {
		this.#end(roomId);
		const { log, emit } = this.#options;
		const mix = new MixEgress({
			...encoding,
			voices: edge.voices,
			lagMs: OVERFLOW_LAG_MS,
			startMs: performance.now() - (Date.now() - fromMs),
			onFragment: ({ startMs, ...fragment }) => emit('overflow.fragment', { roomId, streamId, startMs: fromMs + startMs, ...fragment }),
			log: log.child({ room: roomId }),
		});
		this.#rooms.set(roomId, { streamId, edge, mix });
		edge.addTap(mix);
		mix.tick(performance.now());
	}

	/** Only if it is this stream that runs. */
	close(roomId: string, streamId: string): void {
		if (this.#rooms.get(roomId)?.streamId === streamId) {
			this.#end(roomId);
		}
	}

	edgeClosed(roomId: string): void {
		const streamId = this.#end(roomId);
		if (streamId !== undefined) {
			this.#options.emit('overflow.closed', { roomId, streamId });
		}
	}

	tick(nowMs: number): void {
		for (const { mix } of this.#rooms.values()) {
			mix.tick(nowMs);
		}
	}

	closeAll(): void {
		for (const roomId of this.#rooms.keys()) {
			this.#end(roomId);
		}
	}

	#end(roomId: string): string | undefined {
		const egress = this.#rooms.get(roomId);
		if (egress) {
			this.#rooms.delete(roomId);
			egress.edge.removeTap(egress.mix);
			egress.mix.close();
		}
		return egress?.streamId;
	}
}
