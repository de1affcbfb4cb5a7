import type { Logger } from 'pino';
import { OVERFLOW_LAG_MS } from '../contract/overflow-lag.ts';
import type { ParamsOf, ShardEventName, ShardEvents } from '../contract/shard-protocol.ts';
import type { Edge } from '../edge/edge.ts';
import { MixEgress } from './mix-egress.ts';
import { RoomTaps } from './room-taps.ts';

export interface RoomEgressesOptions {
	log: Logger;
	emit: <N extends ShardEventName>(name: N, data: ShardEvents[N]) => void;
}

/** The overflow streams that begin at edges of this shard. */
export class RoomEgresses extends RoomTaps {
	readonly #options: RoomEgressesOptions;

	constructor(options: RoomEgressesOptions) {
		super();
		this.#options = options;
	}

	open(roomId: string, edge: Edge, { streamId, fromMs, ...encoding }: Omit<ParamsOf<'overflow.open'>, 'roomId'>): void {
		this.end(roomId); // Its encoder, before there is another one.
		const { log, emit } = this.#options;
		const mix = new MixEgress({
			...encoding,
			voices: edge.voices,
			lagMs: OVERFLOW_LAG_MS,
			startMs: performance.now() - (Date.now() - fromMs),
			onFragment: ({ startMs, ...fragment }) => emit('overflow.fragment', { roomId, streamId, startMs: fromMs + startMs, ...fragment }),
			log: log.child({ room: roomId }),
		});
		this.begin(roomId, { streamId, edge, tap: mix });
		mix.tick(performance.now());
	}

	protected override tellClosed(roomId: string, streamId: string): void {
		this.#options.emit('overflow.closed', { roomId, streamId });
	}
}
