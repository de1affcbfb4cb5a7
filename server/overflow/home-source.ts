import type { Logger } from 'pino';
import { OVERFLOW_LAG_MS } from '../../sfu/contract/overflow-lag.ts';
import type { OverflowFragment, ParamsOf, ShardEventName, ShardEvents } from '../../sfu/contract/shard-protocol.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import { firstNumbers } from './first-numbers.ts';
import type { StreamSource } from './room-stream.ts';
import { type Generation, SEGMENT_MS } from './segments.ts';
import { STALE_MS, type StreamWindow } from './stream-window.ts';

/** The part of the node's media that a stream begins at. */
export interface TapMedia {
	/** The room's edge on a listener shard of this node, made if need be, this one if it will do; asked again while it is used. Rejects with a DomainError. */
	openTap(roomId: string, index?: number): Promise<number>;
}

export interface HomeSourceOptions {
	roomId: string;
	/** When the room was made, milliseconds since 1970. */
	createdAtMs: number;
	/** This node's fencing token for the room. */
	epoch: number;
	window: StreamWindow;
	media: TapMedia;
	supervisor: Pick<Supervisor, 'shard' | 'on' | 'off'>;
	encoding: Pick<ParamsOf<'overflow.open'>, 'ffmpegPath' | 'bitrateKbps'>;
	/** Milliseconds since the epoch. */
	now: () => number;
	/** A fresh id: lower-case letters and digits. */
	newId: () => string;
	onPart: () => void;
	/** Another encoder took the last one's place in mid-stream. */
	onRestart: () => void;
	log: Logger;
}

interface Tap {
	shard: number;
	streamId: string;
	aliveAtMs: number;
}

const RETRY_MS = 150;
const RETRY_MAX_MS = 3_000;
/** The shard replaces an encoder that hangs; without anything for so long, the tap is made anew, with its shard's help or not. */
const SILENT_MS = 15_000;
/** Silence before the first sound, which is encoded at once: a player has a whole segment to begin with. */
const LEAD_MS = SEGMENT_MS + OVERFLOW_LAG_MS;

/** Keeps a room's overflow stream going at its home: a tap on one of the node's listener shards, and another one when that goes. */
export class HomeSource implements StreamSource {
	readonly kind = 'home';
	readonly #options: HomeSourceOptions;
	readonly #log: Logger;
	#tap: Tap | undefined;
	#opening = false;
	#failures = 0;
	#retryAtMs = -Infinity;
	#encoder = -1;
	#generation: Generation | undefined;
	#firstMsn = 0;
	#closed = false;

	constructor(options: HomeSourceOptions) {
		this.#options = options;
		this.#log = options.log;
		options.supervisor.on('shardEvent', this.#onShardEvent);
		options.supervisor.on('shardDown', this.#onShardDown);
		this.look();
	}

	/** Called every second: the edge is in use, and still the right one. */
	look(): void {
		const nowMs = performance.now();
		if (this.#tap && nowMs - this.#tap.aliveAtMs > SILENT_MS) {
			this.#log.warn({ shard: this.#tap.shard }, 'an overflow stream brings nothing; making it anew');
			this.#drop();
		}
		if (!this.#closed && !this.#opening && nowMs >= this.#retryAtMs) {
			void this.#open();
		}
	}

	/** Idempotent. */
	close(): void {
		if (!this.#closed) {
			this.#closed = true;
			this.#options.supervisor.off('shardEvent', this.#onShardEvent);
			this.#options.supervisor.off('shardDown', this.#onShardDown);
			this.#drop();
		}
	}

	/** Also told again for a tap that is there: then its edge stays open, or another shard takes its place. */
	async #open(): Promise<void> {
		this.#opening = true;
		const { roomId, media, supervisor, encoding, newId } = this.#options;
		try {
			const index = await media.openTap(roomId, this.#tap?.shard);
			const shard = supervisor.shard(index);
			if (this.#closed || !shard || this.#tap?.shard === index) {
				return;
			}
			this.#drop();
			const streamId = newId();
			// Before it answers, for fragments may come sooner than the answer is dealt with.
			this.#tap = { shard: index, streamId, aliveAtMs: performance.now() };
			this.#encoder = -1;
			await shard.request('overflow.open', { roomId, streamId, fromMs: this.#fromMs(), ...encoding });
			this.#log.info({ shard: index, stream: streamId }, 'overflow stream begun');
			if (this.#closed) {
				shard.request('overflow.close', { roomId, streamId }).catch(() => undefined);
			}
		} catch (error) {
			if (this.#failures === 0 && !this.#closed) {
				this.#log.warn({ err: error }, 'an overflow stream cannot begin; trying on');
			}
			this.#drop();
			this.#again();
		} finally {
			this.#opening = false;
		}
	}

	/** Where there was something a moment ago, its end: what is lost in between is silence, and no player runs short. */
	#fromMs(): number {
		const nowMs = this.#options.now();
		const endMs = this.#options.window.position?.endMs;
		return endMs !== undefined && nowMs - endMs < STALE_MS && endMs <= nowMs ? endMs : nowMs - LEAD_MS;
	}

	#again(): void {
		const waitMs = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(this.#failures++, 6));
		this.#retryAtMs = performance.now() + waitMs;
		setTimeout(() => this.look(), waitMs + 1).unref();
	}

	#drop(): void {
		const tap = this.#tap;
		this.#tap = undefined;
		if (tap) {
			const { roomId, supervisor } = this.#options;
			supervisor.shard(tap.shard)?.request('overflow.close', { roomId, streamId: tap.streamId }).catch(() => undefined);
		}
	}

	readonly #onShardDown = (index: number): void => {
		if (this.#tap?.shard === index) {
			this.#tap = undefined;
			this.#again();
		}
	};

	readonly #onShardEvent = (index: number, name: ShardEventName, data: ShardEvents[ShardEventName]): void => {
		if (name === 'overflow.fragment') {
			this.#onFragment(index, data as OverflowFragment);
		} else if (name === 'overflow.closed' && (data as ShardEvents['overflow.closed']).streamId === this.#tap?.streamId) {
			this.#tap = undefined;
			this.#again();
		}
	};

	#onFragment(index: number, { roomId, streamId, encoder, init, data, startMs, durationMs }: OverflowFragment): void {
		const tap = this.#tap;
		const { window, createdAtMs, epoch, now, newId, onPart, onRestart } = this.#options;
		if (roomId !== this.#options.roomId || streamId !== tap?.streamId || index !== tap.shard) {
			return;
		}
		tap.aliveAtMs = performance.now();
		this.#failures = 0;
		if (init && encoder !== this.#encoder) {
			if (this.#generation) {
				onRestart();
			}
			this.#encoder = encoder;
			const after = window.position?.discontinuity;
			const first = firstNumbers(now(), createdAtMs, epoch);
			this.#firstMsn = first.msn;
			const discontinuity = after === undefined ? first.discontinuity : after + 1;
			this.#generation = { id: newId(), discontinuity, init: Buffer.from(init) };
		}
		if (this.#generation && encoder === this.#encoder) {
			window.append(this.#generation, { data: Buffer.from(data), startMs, durationMs }, this.#firstMsn);
			onPart();
		}
	}
}
