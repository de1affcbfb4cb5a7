import type { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { Homes, HomesEvents } from '../cluster/homes.ts';
import { DomainError } from '../errors.ts';
import { Agenda } from './agenda.ts';
import type { RoomDirectory, RoomDirectoryEvents } from './room-directory.ts';
import type { Room } from './room.ts';

export interface DoorsOptions {
	rooms: Pick<RoomDirectory, 'get' | 'list' | 'transition'> & EventEmitter<RoomDirectoryEvents>;
	homes: Pick<Homes, 'epochOf'> & EventEmitter<HomesEvents>;
	/** How long before its doors a room with `expectedListeners` is prewarmed: it needs a home by then. */
	prewarmMs: number;
	/** Milliseconds since the epoch. */
	now: () => number;
	/** Runs a task later; the function that is given back cancels it. */
	schedule: (ms: number, task: () => void) => () => void;
	log: Logger;
}

/** A room without a home is given one so long before there is something to do: a claim takes a second or two. */
const HOME_LEAD_MS = 15_000;
/**
 * Doors that could not be opened in time (no node ran) are opened late, as long as people may still be waiting for the
 * event. After that only a host opens them: nobody expects an open room the day after.
 */
export const TOO_LATE_MS = 6 * 3_600_000;
const RETRY_MS = 1_000;

/**
 * Opens rooms at their `doorsOpenAt`. Every node watches the times of all rooms; the room's home alone opens it, and the
 * write is fenced like any other, so it happens once whatever moves, restarts or is away. Going live stays a host's act.
 */
export class Doors {
	readonly #options: DoorsOptions;
	readonly #agenda: Agenda;
	/** Room → when its doors are to open, for rooms that have a time and are not open yet. */
	readonly #opensAtMs = new Map<string, number>();
	readonly #opening = new Set<string>();
	#closed = false;

	static create(options: DoorsOptions): Doors {
		return new Doors(options);
	}

	private constructor(options: DoorsOptions) {
		this.#options = options;
		this.#agenda = new Agenda({ now: options.now, schedule: options.schedule, onDue: (roomId) => this.#due(roomId) });
		const { rooms, homes } = options;
		for (const room of rooms.list({ limit: Number.MAX_SAFE_INTEGER, states: ['scheduled'] })) {
			this.#note(room);
		}
		rooms.on('changed', this.#onChanged).on('removed', this.#onRemoved);
		homes.on('gained', this.#onGained);
	}

	/** Whether the room needs a home although nobody is in it: its doors, or what is made ready before them, are near. */
	isNear(roomId: string): boolean {
		const opensAtMs = this.#opensAtMs.get(roomId);
		if (opensAtMs === undefined) {
			return false;
		}
		const { now, prewarmMs, rooms } = this.#options;
		const leadMs = HOME_LEAD_MS + ((rooms.get(roomId)?.expectedListeners ?? 0) > 0 ? prewarmMs : 0);
		return now() >= opensAtMs - leadMs && !this.#isTooLate(roomId);
	}

	close(): void {
		this.#closed = true;
		this.#agenda.close();
		this.#options.rooms.off('changed', this.#onChanged).off('removed', this.#onRemoved);
		this.#options.homes.off('gained', this.#onGained);
	}

	readonly #onChanged = (room: Room): void => this.#note(room);

	readonly #onRemoved = (room: Room): void => this.#forget(room.id);

	readonly #onGained = (roomId: string): void => {
		// Its time may have come while nobody was home.
		const opensAtMs = this.#opensAtMs.get(roomId);
		if (opensAtMs !== undefined) {
			this.#agenda.set(roomId, opensAtMs);
		}
	};

	#note(room: Room): void {
		const opensAtMs = room.state === 'scheduled' && room.doorsOpenAt !== undefined ? Date.parse(room.doorsOpenAt) : undefined;
		if (opensAtMs === undefined) {
			this.#forget(room.id);
			return;
		}
		this.#opensAtMs.set(room.id, opensAtMs);
		this.#agenda.set(room.id, opensAtMs);
	}

	#forget(roomId: string): void {
		this.#opensAtMs.delete(roomId);
		this.#agenda.delete(roomId);
	}

	#due(roomId: string): void {
		if (this.#isTooLate(roomId)) {
			this.#options.log.info({ room: roomId }, 'the doors of a room were due long ago; its host may open them');
			return;
		}
		if (this.#options.homes.epochOf(roomId) !== undefined && !this.#opening.has(roomId)) {
			void this.#open(roomId);
			return;
		}
		// Another node's to do, and its doing so takes the room off this agenda. Should this node become home, or be sure again that it is, it is told or finds out.
		this.#again(roomId);
	}

	async #open(roomId: string): Promise<void> {
		const { rooms, log } = this.#options;
		this.#opening.add(roomId);
		try {
			// Somebody may have opened it or moved its time since: what stands when its turn comes counts.
			const room = await rooms.transition(roomId, 'open', (room) => this.#isDue(room));
			if (room.state === 'open') {
				log.info({ room: roomId, doorsOpenAt: room.doorsOpenAt }, 'the doors were opened at their time');
			}
		} catch (error) {
			// Redis has just gone, or the home is changing.
			const passing = error instanceof DomainError && error.retryable;
			log[passing ? 'debug' : 'warn']({ err: error, room: roomId }, 'the doors could not be opened; it is tried again');
		} finally {
			this.#opening.delete(roomId);
		}
		this.#again(roomId);
	}

	/** If it is still to be done by then: a second later, or at its time when that was moved meanwhile. */
	#again(roomId: string): void {
		const opensAtMs = this.#opensAtMs.get(roomId);
		if (opensAtMs !== undefined && !this.#closed) {
			this.#agenda.set(roomId, Math.max(opensAtMs, this.#options.now() + RETRY_MS));
		}
	}

	#isDue({ state, doorsOpenAt }: Room): boolean {
		return !this.#closed && state === 'scheduled' && doorsOpenAt !== undefined && Date.parse(doorsOpenAt) <= this.#options.now();
	}

	/** By the planned start, or by the doors where none is planned. */
	#isTooLate(roomId: string): boolean {
		const room = this.#options.rooms.get(roomId);
		const planned = room?.scheduledAt ?? room?.doorsOpenAt;
		return planned !== undefined && this.#options.now() - Date.parse(planned) > TOO_LATE_MS;
	}
}
