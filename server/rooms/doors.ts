import type { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { Homes, HomesEvents } from '../cluster/homes.ts';
import { DomainError } from '../errors.ts';
import { Agenda } from './agenda.ts';
import { endOf } from './room-times.ts';
import type { RoomDirectory, RoomDirectoryEvents } from './room-directory.ts';
import type { Room } from './room.ts';

export interface DoorsOptions {
	rooms: Pick<RoomDirectory, 'get' | 'list' | 'transition' | 'warnOfEnd'> & EventEmitter<RoomDirectoryEvents>;
	homes: Pick<Homes, 'epochOf'> & EventEmitter<HomesEvents>;
	/** How long before its doors a room with `expectedListeners` is prewarmed: it needs a home by then. */
	prewarmMs: number;
	/** How long before a room ends by itself people are told. */
	endWarningMs: number;
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

/** What a room's plan asks for next. */
interface Step {
	readonly what: 'open' | 'warn' | 'end';
	readonly atMs: number;
}

const DONE: Record<Step['what'], string> = {
	open: 'the doors were opened at their time',
	warn: 'people were told that the room ends soon',
	end: 'the room was ended at its time',
};

/**
 * Does what rooms' plans say at its time: opens the doors at `doorsOpenAt`, says ahead when a room ends by itself, and ends
 * it. Every node watches the times of all rooms; the room's home alone acts, and its write is fenced like any other, so
 * each happens once whatever moves, restarts or is away. Going live stays a host's act.
 */
export class Doors {
	readonly #options: DoorsOptions;
	readonly #agenda: Agenda;
	/** Room → what is next, for rooms whose plan has something to come. */
	readonly #steps = new Map<string, Step>();
	readonly #acting = new Set<string>();
	#closed = false;

	static create(options: DoorsOptions): Doors {
		return new Doors(options);
	}

	private constructor(options: DoorsOptions) {
		this.#options = options;
		this.#agenda = new Agenda({ now: options.now, schedule: options.schedule, onDue: (roomId) => this.#due(roomId) });
		const { rooms, homes } = options;
		for (const room of rooms.list({ limit: Number.MAX_SAFE_INTEGER, states: ['scheduled', 'open', 'live'] })) {
			this.#note(room);
		}
		rooms.on('changed', this.#onChanged).on('removed', this.#onRemoved);
		homes.on('gained', this.#onGained);
	}

	/** Whether the room needs a home although nobody is in it: its doors, or what is made ready before them, are near. */
	isNear(roomId: string): boolean {
		const step = this.#steps.get(roomId);
		if (step?.what !== 'open') {
			return false;
		}
		const { now, prewarmMs, rooms } = this.#options;
		const leadMs = HOME_LEAD_MS + ((rooms.get(roomId)?.expectedListeners ?? 0) > 0 ? prewarmMs : 0);
		return now() >= step.atMs - leadMs && !this.#isTooLate(roomId);
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
		const step = this.#steps.get(roomId);
		if (step !== undefined) {
			this.#agenda.set(roomId, step.atMs);
		}
	};

	#note(room: Room): void {
		const step = this.#nextStep(room);
		if (step === undefined) {
			this.#forget(room.id);
			return;
		}
		this.#steps.set(room.id, step);
		this.#agenda.set(room.id, step.atMs);
	}

	#forget(roomId: string): void {
		this.#steps.delete(roomId);
		this.#agenda.delete(roomId);
	}

	#nextStep(room: Room): Step | undefined {
		if (room.state === 'scheduled') {
			return room.doorsOpenAt === undefined ? undefined : { what: 'open', atMs: Date.parse(room.doorsOpenAt) };
		}
		const endMs = room.state === 'ended' ? undefined : endOf(room);
		if (endMs === undefined) {
			return undefined;
		}
		return room.endingAt === undefined ? { what: 'warn', atMs: endMs - this.#options.endWarningMs } : { what: 'end', atMs: endMs };
	}

	#due(roomId: string): void {
		const step = this.#steps.get(roomId);
		if (step === undefined) {
			return;
		}
		if (step.what === 'open' && this.#isTooLate(roomId)) {
			this.#options.log.info({ room: roomId }, 'the doors of a room were due long ago; its host may open them');
			return;
		}
		if (this.#options.homes.epochOf(roomId) !== undefined && !this.#acting.has(roomId)) {
			void this.#act(roomId, step);
			return;
		}
		// Another node's to do, and its doing so takes the room off this agenda. Should this node become home, or be sure again that it is, it is told or finds out.
		this.#again(roomId);
	}

	async #act(roomId: string, step: Step): Promise<void> {
		const { log } = this.#options;
		this.#acting.add(roomId);
		try {
			const done = await this.#do(roomId, step);
			if (done) {
				log.info({ room: roomId }, DONE[done]);
			}
		} catch (error) {
			// Redis has just gone, or the home is changing.
			const passing = error instanceof DomainError && error.retryable;
			log[passing ? 'debug' : 'warn']({ err: error, room: roomId }, 'what the plan of a room says could not be done; it is tried again');
		} finally {
			this.#acting.delete(roomId);
		}
		this.#again(roomId);
	}

	/** Somebody may have acted or moved the time since: what stands when its turn comes counts. Gives what was done. */
	async #do(roomId: string, { what }: Step): Promise<Step['what'] | undefined> {
		const { rooms, now } = this.#options;
		let done: Step['what'] | undefined;
		const still = (room: Room): boolean => {
			const step = this.#closed ? undefined : this.#nextStep(room);
			const due = step?.what === what && step.atMs <= now();
			done = due ? what : undefined;
			return due;
		};
		if (what === 'open') {
			await rooms.transition(roomId, 'open', still);
		} else if (what === 'end' || this.#isOver(roomId)) {
			// Nobody is warned of what is past: a node that was down at that time ends the room at once.
			await rooms.transition(roomId, 'end', (room) => {
				const over = !this.#closed && room.state !== 'ended' && room.state !== 'scheduled' && (endOf(room) ?? Number.POSITIVE_INFINITY) <= now();
				done = over ? 'end' : undefined;
				return over;
			});
		} else {
			await rooms.warnOfEnd(roomId, still);
		}
		return done;
	}

	/** If something is to be done by then: a second later, or at its time when that is to come. */
	#again(roomId: string): void {
		const step = this.#steps.get(roomId);
		if (step !== undefined && !this.#closed) {
			this.#agenda.set(roomId, Math.max(step.atMs, this.#options.now() + RETRY_MS));
		}
	}

	#isOver(roomId: string): boolean {
		const room = this.#options.rooms.get(roomId);
		const endMs = room === undefined ? undefined : endOf(room);
		return endMs !== undefined && endMs <= this.#options.now();
	}

	/** By the planned start, or by the doors where none is planned; and once it should be over. */
	#isTooLate(roomId: string): boolean {
		const room = this.#options.rooms.get(roomId);
		const planned = room?.scheduledAt ?? room?.doorsOpenAt;
		return (planned !== undefined && this.#options.now() - Date.parse(planned) > TOO_LATE_MS) || (room?.endsAt !== undefined && this.#isOver(roomId));
	}
}
