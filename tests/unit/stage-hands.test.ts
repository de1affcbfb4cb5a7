// Raised hands and invitations, between one listener and the hosts.
import { beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import type { HandState } from '../../server/stage/hand-state.ts';
import { clock, enter, homes, idOf, inRoster, listener, raise, refusal, ROOM, rooms, settled, setUp, someone, stages, stageStore } from '../support/stage-people-rig.ts';

beforeEach(() => setUp());

describe('a hand', () => {
	it('goes up, has its place in the queue, and goes down', async () => {
		await raise('ann');
		expect(await raise('bob')).toMatchObject({ raised: true, position: 2, total: 2, invitation: null, onStage: false, granted: false });
		expect(await raise('ann', false)).toMatchObject({ raised: false, position: null, total: 1 });
		expect(await stages.people.hand(listener('bob'), ROOM)).toMatchObject({ raised: true, position: 1 });
	});

	it('is for people of this room whose doors are open, and who are not on stage', async () => {
		await expect(stages.people.raiseHand({ ...listener('ann'), roomId: 'finale' }, ROOM, true)).rejects.toEqual(refusal('forbidden', 'wrong_room'));
		await enter(someone('bob'));
		await expect(stages.people.raiseHand(someone('bob'), ROOM, true)).rejects.toEqual(refusal('already_on_stage'));
		await rooms.create({ id: 'later', title: 'Later' });
		homes.gain('later', 1);
		await expect(stages.people.raiseHand({ ...listener('ann'), roomId: 'later' }, 'later', true)).rejects.toEqual(refusal('room_not_open'));
		await expect(stages.people.raiseHand(listener('ann'), 'nowhere', true)).rejects.toBeInstanceOf(DomainError);
	});

	it('is told at once that something has come of it, and of nothing that is others’', async () => {
		const host = await enter(someone('host', 'host'));
		const { version } = await raise('ann');
		let answered: HandState | undefined;
		void stages.people.hand(listener('ann'), ROOM, { version, waitMs: 6_000 }).then((hand) => (answered = hand));
		await raise('bob');
		await settled();
		expect(answered).toBeUndefined();
		await stages.people.invite(host.principal, ROOM, idOf('ann'));
		await settled();
		expect(answered).toMatchObject({ invitation: { by: 'Name of host' }, position: 1 });
		expect(answered?.version).not.toBe(version);
	});

	it('is told after its time that nothing has come of it', async () => {
		const { version } = await raise('ann');
		const waiting = stages.people.hand(listener('ann'), ROOM, { version, waitMs: 6_000 });
		await settled();
		clock.advance(6_000);
		expect((await waiting).version).toBe(version);
	});

	it('hears of a place that has moved, but not with every move', async () => {
		for (const subject of ['ann', 'bob', 'cat']) await raise(subject);
		const { version } = await stages.people.hand(listener('cat'), ROOM);
		await raise('ann', false);
		let answered: HandState | undefined;
		void stages.people.hand(listener('cat'), ROOM, { version, waitMs: 6_000 }).then((hand) => (answered = hand));
		await settled();
		expect(answered).toBeUndefined();
		clock.advance(3_000);
		await settled();
		expect(answered).toMatchObject({ position: 2 });
		expect(answered?.version).not.toBe(version);
	});

	it('is seen by hosts and co-hosts alone, twice a second at most, the first fifty of thousands', async () => {
		const host = await enter(someone('host', 'host'));
		const cohost = await enter(someone('cohost', 'cohost'));
		const speaker = await enter(someone('speaker'));
		const shown = () => host.connection.of('hands');
		expect(shown()).toEqual([expect.objectContaining({ hands: [], total: 0 })]);
		let told = 0;
		stages.on('rosterChanged', () => (told += 1));
		const before = stageStore.saved.length;
		const raising: Promise<unknown>[] = [];
		for (let index = 0; index < 1_500; index += 1) {
			raising.push(stages.people.raiseHand(listener(`listener-${index}`), ROOM, true));
			if (index % 150 === 149) {
				await settled();
				clock.advance(100);
			}
		}
		await settled();
		clock.advance(1_000);
		await Promise.all(raising);
		// One second of raising: the first at once, then one in every half second.
		expect(shown().length).toBeLessThanOrEqual(5);
		expect(shown().at(-1)).toMatchObject({ total: 1_500, hands: { length: 50 } });
		expect(shown().at(-1)?.hands[0]).toEqual({ id: idOf('listener-0'), name: 'Name of listener-0', raisedAt: expect.any(String), invited: false, raised: true });
		expect(cohost.connection.of('hands').at(-1)).toEqual(shown().at(-1));
		expect(speaker.connection.of('hands')).toEqual([]);
		expect(stageStore.saved.length - before).toBeLessThanOrEqual(8);
		// What listeners' pages follow has not moved at all.
		expect(told).toBe(0);
		expect(speaker.connection.of('stage').length).toBe(0);
		const page = await stages.people.hands(cohost.principal, ROOM, { limit: 100, after: idOf('listener-1398') });
		expect(page.hands.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, index) => idOf(`listener-${index + 1_399}`)));
	});

	it('finds the queue full at its limit', async () => {
		const raising = Array.from({ length: 2_001 }, (_, index) => stages.people.raiseHand(listener(`l${index}`), ROOM, true));
		const outcomes = Promise.allSettled(raising);
		await settled();
		clock.advance(500);
		expect((await outcomes).filter(({ status }) => status === 'rejected')).toEqual([{ status: 'rejected', reason: refusal('hands_full') }]);
	});

	it('is lowered by a host, and by nobody who is none', async () => {
		await raise('ann');
		await expect(stages.people.lowerHand(someone('eve'), ROOM, idOf('ann'))).rejects.toEqual(refusal('forbidden', 'wrong_role'));
		await stages.people.lowerHand(someone('host', 'host'), ROOM, idOf('ann'));
		await expect(stages.people.lowerHand(someone('host', 'host'), ROOM, idOf('ann'))).rejects.toEqual(refusal('participant_not_found'));
		expect(await stages.people.hand(listener('ann'), ROOM)).toMatchObject({ raised: false });
	});
});

describe('an invitation', () => {
	const answer = async (subject: string, accept: boolean): Promise<HandState> => {
		const [answering] = await Promise.allSettled([stages.people.answerInvitation(listener(subject), ROOM, accept), settled().then(() => clock.advance(250))]);
		if (answering.status === 'rejected') throw answering.reason;
		return answering.value;
	};

	it('is accepted, and lets a listener onto the stage, with the own token or a new one', async () => {
		await stages.people.invite(someone('host', 'host'), ROOM, idOf('ann'));
		expect(await answer('ann', true)).toMatchObject({ invitation: null, raised: false, granted: true, onStage: false });
		expect(stages.people.actingAs(listener('ann'), ROOM).role).toBe('speaker');
		const ann = await enter(listener('ann'));
		expect(inRoster('ann')).toMatchObject({ role: 'speaker', name: 'Name of ann' });
		expect(await stages.people.hand(listener('ann'), ROOM)).toMatchObject({ onStage: true, granted: true });
		expect(ann.connection.of('welcome')[0]).toMatchObject({ role: 'speaker' });
	});

	it('is declined, and the hand stays up', async () => {
		await raise('ann');
		await stages.people.invite(someone('host', 'host'), ROOM, idOf('ann'));
		expect(await answer('ann', false)).toMatchObject({ invitation: null, raised: true, position: 1, granted: false });
		await expect(answer('ann', true)).rejects.toEqual(refusal('not_invited'));
		await expect(enter(listener('ann'))).rejects.toEqual(refusal('forbidden', 'wrong_role'));
	});

	it('is over when nobody answers', async () => {
		await stages.people.invite(someone('host', 'host'), ROOM, idOf('ann'));
		const { version } = await stages.people.hand(listener('ann'), ROOM);
		clock.advance(118_000);
		const waiting = stages.people.hand(listener('ann'), ROOM, { version, waitMs: 6_000 });
		await settled();
		clock.advance(2_000);
		expect(await waiting).toMatchObject({ invitation: null });
		await expect(answer('ann', true)).rejects.toEqual(refusal('not_invited'));
		expect((await stages.people.hands(someone('host', 'host'), ROOM)).total).toBe(0);
	});

	it('is a host’s and a co-host’s to make, for whoever is not on stage', async () => {
		await expect(stages.people.invite(someone('eve'), ROOM, idOf('ann'))).rejects.toEqual(refusal('forbidden', 'wrong_role'));
		const ann = await enter(someone('ann'));
		await expect(stages.people.invite(someone('host', 'cohost'), ROOM, ann.participantId)).rejects.toEqual(refusal('already_on_stage'));
	});
});
