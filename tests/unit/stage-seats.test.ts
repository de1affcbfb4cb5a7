// Places and the roster that shows them, without media, doors or hosts.
import { beforeEach, describe, expect, it } from 'vitest';
import { KeyedQueue } from '../../server/rooms/keyed-queue.ts';
import { withEntered } from '../../server/rooms/stage-roster.ts';
import { LiveRoster } from '../../server/stage/live-roster.ts';
import { newSeat, type Seat } from '../../server/stage/stage-seat.ts';
import { StageSeats } from '../../server/stage/stage-seats.ts';
import { FakeConnection, VirtualClock } from '../support/stage-fakes.ts';

const GRACE_MS = 10_000;
const refusal = (code: string): unknown => expect.objectContaining({ name: 'DomainError', code });

let clock: VirtualClock;
let roster: LiveRoster;
let seats: StageSeats;
/** What was asked of media, in order. */
let media: string[];

beforeEach(() => {
	clock = new VirtualClock();
	roster = new LiveRoster();
	media = [];
	const seatMedia = {
		outdated: (id: string) => void media.push(`outdated ${id}`),
		linger: async (id: string) => void media.push(`linger ${id}`),
		remove: async (id: string) => void media.push(`remove ${id}`),
	};
	seats = new StageSeats({ roster, seatMedia, queue: new KeyedQueue(), schedule: clock.schedule, reconnectGraceMs: GRACE_MS });
});

function seated(id: string, role: 'host' | 'speaker' = 'speaker'): { seat: Seat; connection: FakeConnection } {
	const joinedAt = clock.now().toISOString();
	const seat = newSeat({ id, number: seats.size + 1, kind: 'browser', joinedAt });
	const connection = new FakeConnection();
	seats.add(seat);
	seats.attach(seat, connection);
	roster.set(withEntered(roster.current, { id, subject: id, number: seat.number, name: id, role, kind: 'browser', muted: false, connection: 'connected', mediaId: null, joinedAt }));
	return { seat, connection };
}

describe('a place', () => {
	it('is kept for the grace period when its connection is lost, and no longer; a connection of before changes nothing', async () => {
		const { seat, connection } = seated('ann');
		const newer = new FakeConnection();
		seats.attach(seat, newer);
		expect(connection.ended).toEqual({ ending: 'replaced' });
		seats.connectionLost('ann', connection);
		expect(roster.find('ann')?.connection).toBe('connected');
		seats.connectionLost('ann', newer);
		clock.advance(GRACE_MS - 1);
		expect([roster.find('ann')?.connection, seats.size]).toEqual(['reconnecting', 1]);
		clock.advance(1);
		expect([roster.find('ann'), seats.size, seat.gone]).toEqual([undefined, 0, true]);
	});

	it('that is given up is gone for others in the same turn, and only then is it told and taken from media', async () => {
		const { seat, connection } = seated('ann', 'host');
		const seen: unknown[] = [];
		seats.on('left', ({ id }, ending, was) => seen.push(id, ending, was?.role, roster.find(id), connection.ended?.ending, [...media]));
		const done = seats.dismiss(seat, 'kicked');
		expect(seen).toEqual(['ann', 'kicked', 'host', undefined, 'kicked', ['outdated ann']]);
		await done;
		await seats.dismiss(seat, 'left');
		expect([media, seen.length]).toEqual([['outdated ann', 'remove ann'], 6]);
	});

	it('of somebody who is sent back to listen lets the stage be heard a little longer', async () => {
		await seats.dismiss(seated('ann').seat, 'demoted');
		expect(media).toEqual(['outdated ann', 'linger ann']);
	});

	it('is found by whoever has it, over the connection that has it', () => {
		const { seat, connection } = seated('ann');
		expect([seats.require('ann'), seats.heldBy('ann', connection)]).toEqual([seat, seat]);
		expect(() => seats.require('bob')).toThrow(refusal('participant_not_found'));
		expect(() => seats.heldBy('ann', new FakeConnection())).toThrow(refusal('participant_not_found'));
		seated('hana', 'host');
		expect([[...seats.connections()].length, [...seats.moderators()].length]).toEqual([2, 1]);
	});
});

describe('a roster', () => {
	it('that lives elsewhere does not change here any more, and says so', () => {
		const { seat, connection } = seated('ann');
		let changes = 0;
		roster.on('stateChanged', () => (changes += 1));
		roster.moveAway();
		seats.moveAway();
		roster.change('ann', { muted: true });
		clock.advance(2 * GRACE_MS);
		expect([roster.find('ann')?.muted, changes, seat.gone, connection.ended]).toEqual([false, 0, true, { ending: 'moved' }]);
		expect(() => seats.require('ann')).toThrow(refusal('not_home'));
		expect(() => roster.requireHere()).toThrow(refusal('not_home'));
	});

	it('tells what people see before what is kept, and what they do not see only to be kept', () => {
		const told: string[] = [];
		roster.on('stateChanged', () => told.push('kept'));
		roster.on('rosterChanged', () => told.push('seen'));
		seated('ann');
		roster.change('ann', { muted: false });
		roster.set({ ...roster.current, version: roster.current.version + 1, hands: [] });
		expect(told).toEqual(['seen', 'kept', 'kept']);
	});
});
