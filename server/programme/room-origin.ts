import type { Logger } from 'pino';
import type { PackingMs, RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { SfuError } from '../../sfu/contract/sfu-error.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';

export interface RoomOriginOptions {
	roomId: string;
	voices: number;
	onAir: boolean;
	/** What listeners' packets carry. */
	packingMs: PackingMs;
	/** The stage shard to put the origin on; undefined while none lives. */
	pickStageShard: () => Shard | undefined;
	/** Told whenever the origin is there (again). */
	onOpen: (rtpCapabilities: RtpCapabilities) => void;
	log: Logger;
}

export interface Origin {
	readonly shard: Shard;
	readonly rtpCapabilities: RtpCapabilities;
}

const RETRY_MS = 200;
/** A packet that is lost on a link is lost to all behind it: on links they carry no more than this, and edges pack on. */
const LONGEST_ON_LINKS_MS = 60;

/** A room's origin at its home: opened on a stage shard, and opened again on another when that one dies. */
export class RoomOrigin {
	readonly #options: RoomOriginOptions;
	readonly #roomId: string;
	readonly #log: Logger;
	#origin: Origin | undefined;
	#opening: Promise<Origin> | undefined;
	/** Where that happens. */
	#openingOn: Shard | undefined;
	#retry: NodeJS.Timeout | undefined;
	/** A room that has never had a speaker needs no origin; one that has had gets it back. */
	#wanted = false;
	#onAir: boolean;
	#packingMs: PackingMs;
	/** Counts closings: what was begun before one must not count after it. */
	#term = 0;

	constructor(options: RoomOriginOptions) {
		this.#options = options;
		this.#roomId = options.roomId;
		this.#onAir = options.onAir;
		this.#packingMs = linkPackingMs(options.packingMs);
		this.#log = options.log;
	}

	get current(): Origin | undefined {
		return this.#origin;
	}

	/**
	 * The origin, opened if need be. Single-flight. Rejects with `shard_gone` while no stage shard lives; whatever it
	 * rejects with, it goes on trying by itself until it is closed.
	 */
	open(): Promise<Origin> {
		this.#wanted = true;
		if (this.#origin) {
			return Promise.resolve(this.#origin);
		}
		if (!this.#opening) {
			const opening = this.#open().finally(() => {
				if (this.#opening === opening) {
					this.#opening = undefined;
				}
			});
			this.#opening = opening;
			const term = this.#term;
			opening.catch((error: unknown) => term === this.#term && this.#openLater(error));
		}
		return this.#opening;
	}

	setOnAir(onAir: boolean): void {
		this.#onAir = onAir;
		this.#tell(this.#origin?.shard, (shard) => shard.request('origin.setOnAir', { roomId: this.#roomId, onAir }));
	}

	setPackingMs(listenersMs: PackingMs): void {
		const packingMs = linkPackingMs(listenersMs);
		if (packingMs !== this.#packingMs) {
			this.#packingMs = packingMs;
			this.#tell(this.#origin?.shard, (shard) => shard.request('origin.setPacking', { roomId: this.#roomId, packingMs }));
		}
	}

	/** Whether it was lost with its shard. */
	shardDown(): boolean {
		if (!this.#origin?.shard.isGone) {
			return false;
		}
		this.#origin = undefined;
		return true;
	}

	/** A stage shard is there: take the origin back up if it was lost. */
	stageShardUp(): void {
		if (!this.#wanted || this.#origin || !this.#options.pickStageShard()) {
			return; // Nothing to do, or the next shard's coming calls this again.
		}
		this.open().catch(() => undefined); // It tries again by itself.
	}

	/** Gives the origin up on its shard, so that the next `open` makes it elsewhere. */
	abandon(): void {
		const shard = this.#origin?.shard;
		this.#origin = undefined;
		this.#tell(shard, (shard) => shard.request('origin.close', { roomId: this.#roomId }));
	}

	/** Takes it away at once, whatever is under way: a room of the same id may be opened next. It may be opened again. */
	close(): void {
		this.#term++;
		this.#wanted = false;
		clearTimeout(this.#retry);
		this.#retry = undefined;
		const shard = this.#origin?.shard ?? this.#openingOn;
		this.#origin = undefined;
		this.#opening = undefined;
		this.#openingOn = undefined;
		this.#tell(shard, (shard) => shard.request('origin.close', { roomId: this.#roomId }));
	}

	async #open(): Promise<Origin> {
		const { voices, pickStageShard, onOpen } = this.#options;
		const roomId = this.#roomId;
		const term = this.#term;
		const shard = pickStageShard();
		if (!shard) {
			throw new SfuError('shard_gone', 'no stage shard lives at the moment');
		}
		const onAir = this.#onAir;
		const packingMs = this.#packingMs;
		this.#openingOn = shard;
		const { rtpCapabilities } = await shard.request('origin.open', { roomId, voices, onAir, packingMs }).catch((error: unknown) => {
			if (term === this.#term) {
				// After a time-out it may be there all the same, and the next attempt may go to another shard.
				this.#tell(shard, () => shard.request('origin.close', { roomId }));
			}
			throw error;
		});
		if (term !== this.#term) {
			throw new SfuError('room_unknown', 'the room ended or moved meanwhile');
		}
		if (shard.isGone) {
			throw new SfuError('shard_gone', 'the stage shard died while the origin was opened');
		}
		this.#origin = { shard, rtpCapabilities };
		if (onAir !== this.#onAir) {
			this.setOnAir(this.#onAir);
		}
		if (packingMs !== this.#packingMs) {
			this.#tell(shard, () => shard.request('origin.setPacking', { roomId, packingMs: this.#packingMs }));
		}
		onOpen(rtpCapabilities);
		return this.#origin;
	}

	#openLater(error: unknown): void {
		if (this.#retry || !this.#options.pickStageShard()) {
			return; // In hand already, or the next shard's coming begins it.
		}
		this.#log.warn({ err: error }, 'the origin could not be opened; trying again');
		this.#retry = setTimeout(() => {
			this.#retry = undefined;
			this.stageShardUp();
		}, RETRY_MS).unref();
	}

	/** Fire and forget: a shard that cannot be told is dying, and its death is handled elsewhere. */
	#tell(shard: Shard | undefined, request: (shard: Shard) => Promise<unknown>): void {
		if (shard && !shard.isGone) {
			request(shard).catch((error: unknown) => this.#log.warn({ err: error }, 'a stage shard could not be told'));
		}
	}
}

const linkPackingMs = (listenersMs: PackingMs): PackingMs => Math.min(listenersMs, LONGEST_ON_LINKS_MS) as PackingMs;
