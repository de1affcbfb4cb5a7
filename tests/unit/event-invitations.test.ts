// An invitation onto the stage on its way to one person among many.
import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import { EventHub, type Subscription } from '../../server/events/event-hub.ts';
import { Invitees, type PersonalStream } from '../../server/events/invitees.ts';
import type { Invitation } from '../../server/rooms/hand-queue.ts';
import { participantIdOf } from '../../server/rooms/stage-roster.ts';
import { aRoom } from '../support/rooms.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const ROOM = 'launch';
const BY_HANA: Invitation = { by: 'Hana', expiresAt: '2026-06-01T18:02:00.000Z' };
const idOf = (subject: string, roomId = ROOM): string => participantIdOf(roomId, subject);

class FakeInvitations extends EventEmitter<{ invitationsChanged: [string] }> {
	readonly #open = new Map<string, Map<string, Invitation>>();
	invitationsIn(roomId: string): ReadonlyMap<string, Invitation> {
		return this.#open.get(roomId) ?? new Map();
	}
	put(roomId: string, open: Record<string, Invitation>): void {
		this.#open.set(roomId, new Map(Object.entries(open)));
		this.emit('invitationsChanged', roomId);
	}
}

let invitations: FakeInvitations;
let clock: VirtualClock;
let hub: EventHub;

beforeEach(() => {
	invitations = new FakeInvitations();
	clock = new VirtualClock();
	const stages = Object.assign(new EventEmitter(), { roster: () => [] });
	const media = Object.assign(new EventEmitter(), { listenersIn: () => 0 });
	const rooms = Object.assign(new EventEmitter(), { require: (id: string) => aRoom({ id }) });
	hub = EventHub.create({ rooms, stages, media, invitations, clock, randomId: () => 'boot-1', maxStreams: 50_000 });
});

/** A stream, of somebody or of anybody. */
class Reader {
	readonly chunks: string[] = [];
	takes = true;
	fails = false;
	ended: string | undefined;
	lastEventId: string | undefined;
	readonly #subscription: Subscription;

	constructor(subject?: string, { roomId = ROOM, lastEventId }: { roomId?: string; lastEventId?: string | undefined } = {}) {
		const write = (chunk: string): boolean => {
			if (this.fails) throw new Error('connection reset');
			this.chunks.push(chunk);
			this.lastEventId = /^id: (.*)$/m.exec(chunk)?.[1] ?? this.lastEventId;
			return this.takes;
		};
		this.#subscription = hub.attach(roomId, write, lastEventId, (reason) => (this.ended = reason), subject);
	}
	get told(): (Invitation | null)[] {
		return this.chunks.join('').split('\n\n').filter((block) => block.includes('event: invitation')).map((block) => (JSON.parse(block.slice(block.indexOf('{'))) as { invitation: Invitation | null }).invitation);
	}
	close(): void {
		this.#subscription.close();
	}
}

describe('an invitation', () => {
	it('reaches all streams of the one who is meant, at once, and nobody else is written anything', () => {
		const others = [new Reader(), new Reader('ann'), ...Array.from({ length: 50 }, (_, index) => new Reader(`guest-${index}`)), new Reader('bob', { roomId: 'other' })];
		const [phone, desk] = [new Reader('bob'), new Reader('bob')];
		const before = others.map(({ chunks }) => chunks.length);
		const written = hub.metrics().writesTotal;
		invitations.put(ROOM, { [idOf('bob')]: BY_HANA });
		expect([phone.told, desk.told]).toEqual([[BY_HANA], [BY_HANA]]);
		clock.advance(5_000);
		expect(others.map(({ chunks }) => chunks.length)).toEqual(before);
		expect(hub.metrics().writesTotal - written).toBe(2);
	});

	it('is told again when it is another one, taken back when it is over, and not repeated when somebody else is invited', () => {
		const [bob, ann] = [new Reader('bob'), new Reader('ann')];
		const later = { ...BY_HANA, expiresAt: '2026-06-01T18:05:00.000Z' };
		invitations.put(ROOM, { [idOf('bob')]: BY_HANA });
		invitations.put(ROOM, { [idOf('bob')]: { ...BY_HANA }, [idOf('ann')]: BY_HANA });
		invitations.put(ROOM, { [idOf('bob')]: later, [idOf('ann')]: BY_HANA });
		invitations.put(ROOM, { [idOf('ann')]: BY_HANA });
		expect([bob.told, ann.told]).toEqual([[BY_HANA, later, null], [BY_HANA]]);
	});

	it('that was missed is in the first words of the next stream, whatever its reader has seen', () => {
		const first = new Reader('bob');
		const { lastEventId } = first;
		first.close();
		invitations.put(ROOM, { [idOf('bob')]: BY_HANA });
		const back = new Reader('bob', { lastEventId });
		expect([back.chunks.length, back.told]).toEqual([1, [BY_HANA]]);
		// Also on a node where nobody followed the room until now, and beside those who are not meant.
		expect([new Reader('ann').told, new Reader().told]).toEqual([[], []]);
		invitations.put(ROOM, {});
		expect(new Reader('bob').told).toEqual([]);
	});

	it('does not change where a stream goes on from', () => {
		const bob = new Reader('bob');
		const { lastEventId } = bob;
		invitations.put(ROOM, { [idOf('bob')]: BY_HANA });
		expect(bob.lastEventId).toBe(lastEventId);
	});

	it('reaches a slow reader as soon as the connection takes it, and a broken one does not keep it from the others', () => {
		const [slow, broken, well] = [new Reader('bob'), new Reader('bob'), new Reader('bob')];
		slow.takes = false;
		broken.fails = true;
		invitations.put(ROOM, { [idOf('bob')]: BY_HANA });
		expect([slow.told, broken.ended, well.told]).toEqual([[BY_HANA], 'failed', [BY_HANA]]);
		expect(hub.metrics()).toMatchObject({ streams: 2, blocked: 1 });
	});

	it('is nobody’s business after the hub is closed', () => {
		hub.close();
		expect(invitations.listenerCount('invitationsChanged')).toBe(0);
	});
});

describe('whose a stream is', () => {
	it('is worked out only once somebody is invited, and only once', () => {
		const stream = (subject?: string): PersonalStream => ({ subject, participantId: undefined });
		const [bob, ann, anybody] = [stream('bob'), stream('ann'), stream()];
		const invitees = new Invitees(ROOM);
		expect([bob, ann, anybody].map((each) => invitees.newsFor(each))).toEqual(['', '', '']);
		invitees.change(new Map(), [bob, ann, anybody]);
		expect([bob.participantId, ann.participantId]).toEqual([undefined, undefined]);

		const open = new Map([[idOf('bob'), BY_HANA]]);
		expect(invitees.change(open, [bob, ann, anybody]).map(([each]) => each)).toEqual([bob]);
		expect([bob.participantId, ann.participantId, anybody.participantId]).toEqual([idOf('bob'), idOf('ann'), undefined]);
		// What is known is not worked out again: this is nobody's id.
		ann.participantId = 'known';
		invitees.change(new Map([...open, [idOf('ann'), BY_HANA]]), [bob, ann]);
		expect(ann.participantId).toBe('known');
	});
});
