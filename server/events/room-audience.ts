import { formatEventId, type SeenVersions } from './event-id.ts';
import { Invitees, type PersonalStream } from './invitees.ts';
import { EVENT_KINDS, type EventKind, Sweep } from './sweep.ts';

export type StreamEnd = 'shutting_down' | 'room_removed' | 'slow' | 'failed';

/** One event stream. Only what it was sent last is kept of it. */
export interface Subscriber extends PersonalStream {
	readonly audience: RoomAudience;
	readonly write: (chunk: string) => boolean;
	readonly ended: ((reason: StreamEnd) => void) | undefined;
	readonly seen: SeenVersions;
	lastWriteMs: number;
	/** Set while its connection takes nothing more. */
	blockedSinceMs: number | undefined;
	/** Place in the audience; -1: gone. */
	index: number;
}

/** The kinds that carry state; the others are signals. */
const STATE_KINDS = ['room', 'stage', 'count', 'move', 'caption', 'reaction'] as const;
export type StateKind = (typeof STATE_KINDS)[number];

/** A quiet stream gets a comment, so that proxies keep it open: every 15 s, found by a look once a second. */
const QUIET_MS = 14_000;
const HEARTBEAT = ': \n\n';

interface Current {
	/** Unique in the hub, so that no other room's or earlier state is ever taken for this one. */
	seq: number;
	/** The event without its id, serialised once for all. */
	text: string;
	/** Says nothing that a newcomer does not take for granted. */
	usual: boolean;
	/** The whole chunk for the versions in `forSeen`: nearly everybody in a sweep has the same. */
	chunk: string;
	forSeen: SeenVersions;
}

/** Everybody on this node who follows one room, and the state they are to have. */
export class RoomAudience {
	readonly roomId: string;
	readonly subscribers: Subscriber[] = [];
	readonly sweeps: Record<EventKind, Sweep>;
	readonly invitees: Invitees;
	/** The count that is out, and since when. */
	count = -1;
	countAtMs = -Infinity;
	/** When its stage was told last, its captions, its reactions. */
	stageAtMs = -Infinity;
	captionsAtMs = -Infinity;
	reactionsAtMs = -Infinity;
	readonly #instanceId: string;
	readonly #current: Record<StateKind, Current>;
	#bye = '';

	constructor(roomId: string, instanceId: string) {
		this.roomId = roomId;
		this.invitees = new Invitees(roomId);
		this.#instanceId = instanceId;
		this.sweeps = {
			bye: new Sweep('bye', this),
			room: new Sweep('room', this),
			stage: new Sweep('stage', this),
			move: new Sweep('move', this),
			caption: new Sweep('caption', this),
			count: new Sweep('count', this),
			reaction: new Sweep('reaction', this),
			heartbeat: new Sweep('heartbeat', this),
		};
		this.#current = { room: nothing(), stage: nothing(), count: nothing(), move: nothing(), caption: nothing(), reaction: nothing() };
	}

	/**
	 * @param usual newcomers need not be told
	 * @returns false: subscribers would see no difference
	 */
	setState(kind: StateKind, event: string, data: unknown, nextSeq: () => number, usual = false): boolean {
		const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
		if (text === this.#current[kind].text) return false;
		this.#current[kind] = { ...nothing(), seq: nextSeq(), text, usual };
		return true;
	}

	setBye(chunk: string): void {
		this.#bye = chunk;
	}

	/** Versions that are not the present ones count as none: they are older, of another room, or made up. */
	recognised(claimed: SeenVersions): SeenVersions {
		const known = (kind: StateKind): number => (claimed[kind] === this.#current[kind].seq ? claimed[kind] : 0);
		return { room: known('room'), stage: known('stage'), count: known('count'), move: known('move'), caption: known('caption'), reaction: known('reaction') };
	}

	/** Every state event that a newcomer lacks; afterwards it has them. */
	snapshotFor(seen: SeenVersions): string {
		let text = '';
		for (const kind of STATE_KINDS) {
			const { seq, usual } = this.#current[kind];
			if (seen[kind] === seq) continue;
			if (usual) seen[kind] = seq;
			else text += this.#stateChunk(kind, seen);
		}
		return text;
	}

	isDue(subscriber: Subscriber, kind: EventKind, nowMs: number): boolean {
		if (kind === 'bye') return true;
		if (kind === 'heartbeat') return nowMs - subscriber.lastWriteMs >= QUIET_MS;
		return subscriber.seen[kind] !== this.#current[kind].seq;
	}

	/** What to write; a state event counts as seen from here on. */
	chunkFor(subscriber: Subscriber, kind: EventKind): string {
		if (kind === 'bye') return this.#bye;
		if (kind === 'heartbeat') return HEARTBEAT;
		return this.#stateChunk(kind, subscriber.seen);
	}

	add(subscriber: Subscriber): void {
		subscriber.index = this.subscribers.push(subscriber) - 1;
		for (const kind of EVENT_KINDS) this.sweeps[kind].grew();
	}

	/** The last one takes the place, so that leaving costs the same in any audience. @returns sweeps that might miss the one that moved */
	remove(subscriber: Subscriber, nowMs: number): Sweep[] {
		const place = subscriber.index;
		const last = this.subscribers.pop();
		subscriber.index = -1;
		if (last === undefined || last === subscriber) return [];
		this.subscribers[place] = last;
		last.index = place;
		return Object.values(this.sweeps).filter((sweep) => sweep.pending && this.isDue(last, sweep.kind, nowMs));
	}

	#stateChunk(kind: StateKind, seen: SeenVersions): string {
		const current = this.#current[kind];
		seen[kind] = current.seq;
		const { forSeen } = current;
		if (STATE_KINDS.some((each) => forSeen[each] !== seen[each])) {
			current.forSeen = { ...seen };
			current.chunk = `id: ${formatEventId(this.#instanceId, seen)}\n${current.text}`;
		}
		return current.chunk;
	}
}

function nothing(): Current {
	return { seq: 0, text: '', usual: true, chunk: '', forSeen: { room: -1, stage: -1, count: -1, move: -1, caption: -1, reaction: -1 } };
}
