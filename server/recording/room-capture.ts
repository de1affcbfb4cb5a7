import type { Logger } from 'pino';
import type { RecordingChunk, ShardEventName, ShardEvents } from '../../sfu/contract/shard-protocol.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { TapMedia } from '../overflow/home-source.ts';
import type { CaptionLine } from './part-log.ts';
import { PartWriter } from './part-writer.ts';
import { isDiskProblem } from './recording-problem.ts';

export interface RoomCaptureOptions {
	roomId: string;
	media: TapMedia;
	supervisor: Pick<Supervisor, 'shard' | 'on' | 'off'>;
	/** Where a part with this id goes. */
	partFolder: (partId: string) => string;
	/** Ends the ids of parts made here. */
	nodeId: string;
	/** Who is on stage. */
	people: () => readonly { number: number; name: string }[];
	/** All that was shown to read so far. */
	captions: () => readonly CaptionLine[];
	/** Milliseconds since the epoch. */
	now: () => number;
	/** A fresh id. */
	newId: () => string;
	/** Asked before each part, and each second while one is written. Rejects when nothing is to be written. @param resuming after something failed */
	room: (resuming: boolean) => Promise<void>;
	/** Asked before each part: there is a record of what is about to be recorded. Rejects when that cannot be written. */
	record: () => Promise<void>;
	/** Nothing is recorded at present, and why; told again with each attempt. */
	onHindered: (error: unknown) => void;
	/** What was said until a moment ago is on disk. */
	onWritten: () => void;
	log: Logger;
}

interface Tap {
	shard: number;
	streamId: string;
	startMs: number;
	part: Promise<PartWriter>;
	aliveAtMs: number;
	/** By number: names that this part has. */
	names: Map<number, string>;
	/** Captions that this part has. */
	captions: Set<string>;
}

const RETRY_MS = 150;
const RETRY_MAX_MS = 3_000;
/** Chunks come each second; without any for so long, the tap is made anew. */
const SILENT_MS = 4_000;
/** The last chunk of a shard that is well comes sooner. */
const FLUSH_TIMEOUT_MS = 2_000;
/** A shard that died has a successor within this; nobody needs to hear of it. */
const PATIENCE_MS = 10_000;

/**
 * Records a room at its home: takes the voices from one of the node's listener shards and writes them to disk. When the shard dies, another
 * part begins; when the disk is full or fails, one begins as soon as it is not any more.
 */
export class RoomCapture {
	readonly #options: RoomCaptureOptions;
	readonly #log: Logger;
	readonly #timer: NodeJS.Timeout;
	/** Parts that are being written to their end. */
	readonly #ending = new Set<Promise<void>>();
	#tap: Tap | undefined;
	#opening: Promise<void> | undefined;
	#failures = 0;
	/** Since when nothing is recorded. */
	#hinderedAtMs: number | undefined;
	/** The disk was why. */
	#waitsForDisk = false;
	#retryAtMs = -Infinity;
	#closed: Promise<void> | undefined;

	static start(options: RoomCaptureOptions): RoomCapture {
		return new RoomCapture(options);
	}

	private constructor(options: RoomCaptureOptions) {
		this.#options = options;
		this.#log = options.log;
		options.supervisor.on('shardEvent', this.#onShardEvent);
		options.supervisor.on('shardDown', this.#onShardDown);
		this.#timer = setInterval(() => this.#look(), 1_000).unref();
		this.#look();
	}

	/** Resolves when all that was said until now is on disk. Idempotent. */
	close(): Promise<void> {
		return (this.#closed ??= this.#close());
	}

	async #close(): Promise<void> {
		this.#detach();
		await this.#opening;
		await this.#flush();
		this.#options.supervisor.off('shardEvent', this.#onShardEvent);
		await Promise.all(this.#ending);
	}

	#detach(): void {
		clearInterval(this.#timer);
		this.#options.supervisor.off('shardDown', this.#onShardDown);
	}

	/** Each second: the edge stays open, or another shard takes its place. */
	#look(): void {
		const nowMs = performance.now();
		if (this.#tap && nowMs - this.#tap.aliveAtMs > SILENT_MS) {
			this.#log.warn({ shard: this.#tap.shard }, 'a recording brings nothing; going on with another tap');
			this.#dropTap();
			this.#hinderedAtMs ??= nowMs;
		}
		if (this.#tap) {
			this.#note(this.#tap);
		}
		if (!this.#closed && !this.#opening && nowMs >= this.#retryAtMs) {
			this.#opening = this.#open().finally(() => (this.#opening = undefined));
		}
	}

	async #open(): Promise<void> {
		const { roomId, media, supervisor, partFolder, nodeId, now, newId, room, record } = this.#options;
		try {
			const index = await media.openTap(roomId, this.#tap?.shard);
			const shard = supervisor.shard(index);
			await room(this.#waitsForDisk);
			if (this.#closed || !shard || this.#tap?.shard === index) {
				return;
			}
			await this.#flush();
			await record();
			const startMs = now();
			const streamId = newId();
			const part = PartWriter.create(partFolder(`${startMs.toString(36)}-${nodeId}`), startMs);
			part.catch(() => undefined); // Told below, and by each chunk.
			this.#tap = { shard: index, streamId, startMs, part, aliveAtMs: performance.now(), names: new Map(), captions: new Set() };
			await Promise.all([part, shard.request('recording.open', { roomId, streamId, fromMs: startMs })]);
			this.#log.info({ shard: index }, 'a part of a recording begins');
		} catch (error) {
			await this.#flush();
			this.#hindered(error);
		}
	}

	/** The tap ends with all that came until now. */
	async #flush(): Promise<void> {
		const tap = this.#tap;
		if (tap) {
			const { roomId, supervisor } = this.#options;
			// The events before its answer have been told when it is there.
			const flushed = supervisor.shard(tap.shard)?.request('recording.close', { roomId, streamId: tap.streamId });
			await Promise.race([flushed?.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, FLUSH_TIMEOUT_MS).unref())]);
			if (this.#tap === tap) {
				this.#note(tap);
				this.#dropTap();
			}
		}
	}

	#hindered(error: unknown): void {
		if (this.#closed) {
			return;
		}
		const nowMs = performance.now();
		if (this.#hinderedAtMs === undefined) {
			this.#hinderedAtMs = nowMs;
			this.#log.warn({ err: error }, 'a room cannot be recorded right now; trying on');
		}
		this.#waitsForDisk = isDiskProblem(error);
		if (this.#waitsForDisk || nowMs - this.#hinderedAtMs >= PATIENCE_MS) {
			this.#options.onHindered(error);
		}
		this.#again();
	}

	#again(): void {
		const waitMs = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(this.#failures++, 6));
		this.#retryAtMs = performance.now() + waitMs;
		setTimeout(() => this.#look(), waitMs + 1).unref();
	}

	/** Names and captions that have come. */
	#note(tap: Tap): void {
		const { people, captions } = this.#options;
		const names = people().flatMap(({ number, name }): [number, string][] => (tap.names.get(number) === name ? [] : [[number, name]]));
		const lines = captions().filter(({ text, atMs }) => atMs >= tap.startMs && !tap.captions.has(`${atMs} ${text}`));
		if (names.length === 0 && lines.length === 0) {
			return;
		}
		for (const [number, name] of names) {
			tap.names.set(number, name);
		}
		for (const { text, atMs } of lines) {
			tap.captions.add(`${atMs} ${text}`);
		}
		void this.#write(tap, undefined, { ...(names.length > 0 && { names }), ...(lines.length > 0 && { captions: lines }) });
	}

	async #write(tap: Tap, data: Uint8Array | undefined, line: Parameters<PartWriter['append']>[1]): Promise<void> {
		try {
			await (await tap.part).append(data, line);
			if (data !== undefined && this.#tap === tap) {
				this.#failures = 0;
				this.#hinderedAtMs = undefined;
				this.#waitsForDisk = false;
				this.#options.onWritten();
			}
		} catch (error) {
			if (this.#tap === tap) {
				this.#log.error({ err: error }, 'a recording cannot be written; going on with another part');
				this.#dropTap();
				this.#hindered(error);
			}
		}
	}

	#dropTap(): void {
		const tap = this.#tap;
		this.#tap = undefined;
		if (!tap) {
			return;
		}
		const { roomId, supervisor } = this.#options;
		supervisor.shard(tap.shard)?.request('recording.close', { roomId, streamId: tap.streamId }).catch(() => undefined);
		const ending = tap.part.then((part) => part.close()).catch(() => undefined).finally(() => this.#ending.delete(ending));
		this.#ending.add(ending);
	}

	readonly #onShardDown = (index: number): void => {
		if (this.#tap?.shard === index) {
			this.#dropTap();
			this.#hinderedAtMs ??= performance.now();
			this.#again();
		}
	};

	readonly #onShardEvent = (index: number, name: ShardEventName, data: ShardEvents[ShardEventName]): void => {
		const tap = this.#tap;
		if (name === 'recording.chunk') {
			const chunk = data as RecordingChunk;
			if (tap?.streamId === chunk.streamId && tap.shard === index) {
				tap.aliveAtMs = performance.now();
				// The event's buffer is its own: structured clone has made it.
				void this.#write(tap, chunk.data, { untilMs: chunk.untilMs, ...(chunk.turns.length > 0 && { turns: chunk.turns }) });
			}
		} else if (name === 'recording.closed' && (data as ShardEvents['recording.closed']).streamId === tap?.streamId) {
			this.#dropTap();
			this.#again();
		}
	};
}
