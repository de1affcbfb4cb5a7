import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Participant } from '../../server/rooms/room.ts';
import {
	EMPTY_ROSTER,
	participantIdOf,
	participantIn,
	type StageRoster,
	withChanged,
	withEntered,
	withLeft,
	withoutMedia,
} from '../../server/rooms/stage-roster.ts';

function aParticipant(number: number, changes: Partial<Participant> = {}): Participant {
	return {
		id: `p_${number}`,
		subject: `subject-${number}`,
		number,
		name: `Person ${number}`,
		role: 'speaker',
		kind: 'browser',
		muted: false,
		connection: 'connected',
		mediaId: null,
		joinedAt: '2026-05-24T20:00:00.000Z',
		...changes,
	};
}

describe('the id of a participant', () => {
	it('is the same for a subject in a room, and another in another room', () => {
		expect(participantIdOf('launch', 'ann@example.org')).toBe(participantIdOf('launch', 'ann@example.org'));
		expect(participantIdOf('launch', 'ann@example.org')).not.toBe(participantIdOf('finale', 'ann@example.org'));
		expect(participantIdOf('launch', 'ann@example.org')).not.toBe(participantIdOf('launch', 'bob@example.org'));
	});

	it('does not show the subject and fits the protocol', () => {
		expect(participantIdOf('launch', 'ann')).toMatch(/^p_[0-9a-f]{20}$/);
	});

	it('tells apart what would be the same once joined', () => {
		expect(participantIdOf('a-b', 'c')).not.toBe(participantIdOf('a', 'b-c'));
	});
});

describe('a roster', () => {
	it('is in order of number, whoever comes first', () => {
		const roster = [3, 1, 2].reduce((roster, number) => withEntered(roster, aParticipant(number)), EMPTY_ROSTER);
		expect(roster.participants.map(({ number }) => number)).toEqual([1, 2, 3]);
		expect(roster.version).toBe(3);
	});

	it('replaces whoever enters again', () => {
		const roster = withEntered(withEntered(EMPTY_ROSTER, aParticipant(1)), aParticipant(1, { kind: 'encoder' }));
		expect(roster.participants).toEqual([aParticipant(1, { kind: 'encoder' })]);
	});

	it('stays the very same when nothing changes', () => {
		const roster = withEntered(EMPTY_ROSTER, aParticipant(1));
		expect(withChanged(roster, 'p_1', { muted: false, connection: 'connected' })).toBe(roster);
		expect(withChanged(roster, 'p_2', { muted: true })).toBe(roster);
		expect(withLeft(roster, 'p_2')).toBe(roster);
		expect(withoutMedia(roster)).toBe(roster);
	});

	it('leaves earlier snapshots alone', () => {
		const before = withEntered(EMPTY_ROSTER, aParticipant(1, { mediaId: 'm1' }));
		const after = withoutMedia(withChanged(before, 'p_1', { muted: true }));
		expect(participantIn(before, 'p_1')).toMatchObject({ muted: false, mediaId: 'm1' });
		expect(participantIn(after, 'p_1')).toMatchObject({ muted: true, mediaId: null });
		expect(() => Object.assign(after.participants[0]!, { muted: false })).toThrow(TypeError);
		expect(() => Array.prototype.push.call(after.participants, aParticipant(2))).toThrow(TypeError);
	});

	it('keeps ids and numbers unique and its version honest, whatever happens', () => {
		const number = fc.integer({ min: 1, max: 5 });
		const step = fc.oneof(
			number.map((n) => (roster: StageRoster) => withEntered(roster, aParticipant(n))),
			number.map((n) => (roster: StageRoster) => withLeft(roster, `p_${n}`)),
			fc.tuple(number, fc.boolean()).map(([n, muted]) => (roster: StageRoster) => withChanged(roster, `p_${n}`, { muted })),
			fc.tuple(number, fc.string({ maxLength: 2 })).map(([n, mediaId]) => (roster: StageRoster) => withChanged(roster, `p_${n}`, { mediaId })),
			fc.constant(withoutMedia),
		);
		fc.assert(
			fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
				let roster = EMPTY_ROSTER;
				for (const change of steps) {
					const next = change(roster);
					expect(next.version).toBe(next === roster ? roster.version : roster.version + 1);
					const numbers = next.participants.map((participant) => participant.number);
					expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
					roster = next;
				}
			}),
		);
	});
});
