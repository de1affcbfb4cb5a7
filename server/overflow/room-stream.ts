import type { DomainError } from '../errors.ts';
import { RequestRates } from './request-rates.ts';
import { type Position, StreamWindow } from './stream-window.ts';

/** Fills a room's window. */
export interface StreamSource {
	readonly kind: 'home' | 'follower';
	/** Every second. */
	look(): void;
	close(): void;
}

/** A room's overflow stream on this node: its window, whatever fills it at present, and whether anybody needs it. */
export class RoomStream {
	readonly roomId: string;
	readonly window = new StreamWindow();
	readonly rates = new RequestRates();
	#source: StreamSource | undefined;
	#neededAtMs: number;
	#endedAtMs: number | undefined;
	#refusal: DomainError | undefined;
	/** Requests that wait for what is to come. */
	#waiting = 0;

	constructor(roomId: string, nowMs: number, position?: Position) {
		this.roomId = roomId;
		this.#neededAtMs = nowMs;
		if (position) {
			this.window.resume(position);
		}
	}

	get sourceKind(): StreamSource['kind'] | undefined {
		return this.#source?.kind;
	}
	/** Why the home does not give it. */
	get refusal(): DomainError | undefined {
		return this.#refusal;
	}
	/** When the room ended; undefined while it goes on. */
	get endedAtMs(): number | undefined {
		return this.#endedAtMs;
	}

	/** Somebody asked for it, or will. */
	touch(nowMs: number): void {
		this.#neededAtMs = nowMs;
	}

	idleMs(nowMs: number): number {
		return this.#waiting > 0 ? 0 : nowMs - this.#neededAtMs;
	}

	/** As `StreamWindow.when`; the stream is needed until then. */
	async when(holds: () => boolean, timeoutMs: number): Promise<boolean> {
		this.#waiting++;
		try {
			return await this.window.when(holds, timeoutMs);
		} finally {
			this.#waiting--;
			this.touch(performance.now());
		}
	}

	refuse(error: DomainError | undefined): void {
		this.#refusal = error;
	}

	/** What fills it from now on; the one before is closed first. */
	setSource(make: () => StreamSource): void {
		this.#source?.close();
		this.#source = this.#endedAtMs === undefined ? make() : undefined;
	}

	look(): void {
		this.#source?.look();
	}

	/** The room is over: players are told, and play what there is. */
	end(nowMs: number): void {
		if (this.#endedAtMs === undefined) {
			this.#endedAtMs = nowMs;
			this.#source?.close();
			this.#source = undefined;
			this.window.end();
		}
	}

	close(): void {
		this.#source?.close();
		this.#source = undefined;
		this.window.abandon();
	}
}
