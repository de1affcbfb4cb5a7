// Who is what on a stage, by the will of its hosts.
import { beforeEach, describe, expect, it } from 'vitest';
import { clock, comeUp, enter, idOf, inRoster, listener, media, raise, refusal, ROOM, settled, setUp, someone, stages, store } from '../support/stage-people-rig.ts';

beforeEach(() => setUp());

describe('promotion', () => {
	it('brings a raised hand up, and nobody who did not ask', async () => {
		const host = await enter(someone('host', 'host'));
		await expect(stages.people.promote(host.principal, ROOM, idOf('ann'))).rejects.toEqual(refusal('participant_not_found'));
		const { version } = await raise('ann');
		const waiting = stages.people.hand(listener('ann'), ROOM, { version, waitMs: 6_000 });
		await settled();
		await stages.people.promote(host.principal, ROOM, idOf('ann'));
		expect(await waiting).toMatchObject({ granted: true, raised: false });
		await comeUp('ann');
		expect(inRoster('ann')?.role).toBe('speaker');
	});

	it('makes a speaker a co-host with a co-host’s powers, whatever the token says', async () => {
		const host = await enter(someone('host', 'host'));
		const [ann, bob] = [await enter(someone('ann')), await enter(someone('bob'))];
		await expect(stages.people.mute(ann.principal, ROOM, bob.participantId)).rejects.toEqual(refusal('forbidden', 'wrong_role'));
		await stages.people.promote(host.principal, ROOM, ann.participantId);
		expect(ann.connection.of('role')).toEqual([{ role: 'cohost' }]);
		expect(ann.connection.of('hands')).toHaveLength(1);
		expect(bob.connection.of('stage').at(-1)?.roster.find(({ id }) => id === ann.participantId)?.role).toBe('cohost');
		await stages.people.mute(ann.principal, ROOM, bob.participantId);
		expect(inRoster('bob')?.muted).toBe(true);
		await expect(stages.people.mute(ann.principal, ROOM, host.participantId)).rejects.toEqual(refusal('forbidden', 'target_is_host'));
		await expect(stages.people.promote(ann.principal, ROOM, bob.participantId, 'host')).rejects.toEqual(refusal('forbidden', 'wrong_role'));
		await expect(stages.people.promote(host.principal, ROOM, ann.participantId)).rejects.toEqual(refusal('invalid_request'));
		// With the token alone, and on the way back.
		stages.socketLost(ann);
		expect((await enter(someone('ann'))).connection.of('welcome')[0]?.role).toBe('cohost');
	});

	it('hands over: the new host has a host’s powers, and the old one a co-host’s', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		await stages.people.promote(host.principal, ROOM, ann.participantId, 'host');
		expect([inRoster('ann')?.role, inRoster('host')?.role]).toEqual(['host', 'cohost']);
		expect(host.connection.of('role')).toEqual([{ role: 'cohost' }]);
		await expect(stages.people.command(host.principal, ROOM, 'start')).rejects.toEqual(refusal('forbidden', 'wrong_role'));
		expect(await stages.people.command(ann.principal, ROOM, 'start')).toMatchObject({ state: 'live' });
		// And back again.
		await stages.people.promote(ann.principal, ROOM, host.participantId, 'host');
		expect([inRoster('ann')?.role, inRoster('host')?.role]).toEqual(['cohost', 'host']);
	});

	it('finds a full or a locked stage, and a size that hosts have set', async () => {
		const host = await enter(someone('host', 'host'));
		await enter(someone('ann'));
		expect(await stages.people.set(host.principal, ROOM, { maxSize: 2 })).toMatchObject({ maxSize: 2, locked: false });
		await raise('bob');
		await expect(stages.people.promote(host.principal, ROOM, idOf('bob'))).rejects.toEqual(refusal('stage_full'));
		await expect(stages.people.invite(host.principal, ROOM, idOf('cat'))).rejects.toEqual(refusal('stage_full'));
		await expect(enter(someone('dan'))).rejects.toEqual(refusal('stage_full'));
		await stages.people.set(host.principal, ROOM, { maxSize: 6, locked: true });
		await expect(stages.people.promote(host.principal, ROOM, idOf('bob'))).rejects.toEqual(refusal('stage_locked'));
		await expect(enter(someone('dan'))).rejects.toEqual(refusal('stage_locked'));
		await expect(stages.admit(someone('dan'), ROOM)).rejects.toEqual(refusal('stage_locked'));
		await expect(stages.people.set(host.principal, ROOM, { maxSize: 7 })).rejects.toEqual(refusal('invalid_request'));
	});
});

describe('a locked stage', () => {
	it('keeps those who are on it, also when they lose their way, and lets co-hosts in', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		await stages.people.set(host.principal, ROOM, { locked: true });
		expect(ann.connection.of('stage').at(-1)).toMatchObject({ locked: true, maxSize: 6 });
		stages.socketLost(ann);
		await expect(enter(someone('ann'))).resolves.toBeDefined();
		const cohost = await enter(someone('cohost', 'cohost'));
		expect(cohost.connection.of('welcome')[0]).toMatchObject({ locked: true });
		await stages.people.set(cohost.principal, ROOM, { locked: false });
		await expect(enter(someone('dan'))).resolves.toBeDefined();
	});

	it('is a host’s or co-host’s to lock', async () => {
		await expect(stages.people.set(someone('eve'), ROOM, { locked: true })).rejects.toEqual(refusal('forbidden', 'wrong_role'));
	});
});

describe('the order of speakers', () => {
	it('is what hosts say, for people on stage and for listeners’ pages', async () => {
		const [host, ann, bob] = [await enter(someone('host', 'host')), await enter(someone('ann')), await enter(someone('bob'))];
		await stages.people.set(host.principal, ROOM, { order: [bob.participantId, host.participantId] });
		const order = [bob.participantId, host.participantId, ann.participantId];
		expect(ann.connection.of('stage').at(-1)?.roster.map(({ id }) => id)).toEqual(order);
		expect(stages.roster(ROOM).map(({ id }) => id)).toEqual(order);
	});
});

describe('demotion', () => {
	it('sends a speaker back to the audience: silent at once, and hearing the stage until the page listens', async () => {
		const host = await enter(someone('host', 'host'));
		await raise('ann');
		await stages.people.promote(host.principal, ROOM, idOf('ann'));
		const ann = await comeUp('ann');
		await stages.people.demote(host.principal, ROOM, ann.participantId);
		expect(ann.connection.ended).toEqual({ ending: 'demoted' });
		expect(inRoster('ann')).toBeUndefined();
		expect(media.speaker(ROOM, ann.participantId)).toMatchObject({ muted: true });
		clock.advance(4_000);
		await settled();
		expect(media.speakers(ROOM)).toEqual([host.participantId]);
	});

	it('holds: neither token brings the person back, only a host does', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		await stages.people.demote(host.principal, ROOM, ann.participantId);
		await expect(enter(someone('ann'))).rejects.toEqual(refusal('forbidden', 'off_stage'));
		await expect(stages.admit(someone('ann'), ROOM)).rejects.toEqual(refusal('forbidden', 'off_stage'));
		await expect(stages.publish(someone('ann'), ROOM, 'offer')).rejects.toEqual(refusal('forbidden', 'off_stage'));
		expect(await stages.people.hand(listener('ann'), ROOM)).toMatchObject({ granted: false });
		await raise('ann');
		await stages.people.promote(host.principal, ROOM, ann.participantId);
		await expect(comeUp('ann')).resolves.toBeDefined();
		clock.advance(10_000);
		await settled();
		expect(media.speakers(ROOM)).toContain(ann.participantId);
	});

	it('takes a co-host’s powers away, whatever the token says, and brings them up again no further than said', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann', 'cohost'));
		await stages.people.demote(host.principal, ROOM, ann.participantId);
		expect(ann.connection.of('role')).toEqual([{ role: 'speaker' }]);
		await expect(stages.people.hands(ann.principal, ROOM)).rejects.toEqual(refusal('forbidden', 'wrong_role'));
		await stages.people.demote(host.principal, ROOM, ann.participantId, 'listener');
		await raise('ann');
		await stages.people.promote(host.principal, ROOM, ann.participantId);
		expect((await enter(someone('ann', 'cohost'))).connection.of('welcome')[0]?.role).toBe('speaker');
	});

	it('reaches somebody at the door', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		stages.socketLost(ann);
		const door = store.gates.hold('isBanned');
		const entering = enter(someone('ann'));
		await door.reached;
		// Media hears of it in the person's turn, which is over once the door is passed.
		const demoting = stages.people.demote(host.principal, ROOM, ann.participantId);
		await settled();
		door.release();
		await expect(entering).rejects.toEqual(refusal('forbidden', 'off_stage'));
		await demoting;
		expect(inRoster('ann')).toBeUndefined();
	});

	it.each(['speaker', 'listener'] as const)('is not a co-host’s over a host (to %s)', async (to) => {
		const host = await enter(someone('host', 'host'));
		await expect(stages.people.demote(someone('co', 'cohost'), ROOM, host.participantId, to)).rejects.toEqual(refusal('forbidden', 'target_is_host'));
	});

	it('reaches somebody who was brought up and has not come yet, and nobody else who is not there', async () => {
		const host = await enter(someone('host', 'host'));
		await raise('ann');
		await stages.people.promote(host.principal, ROOM, idOf('ann'));
		await stages.people.demote(host.principal, ROOM, idOf('ann'));
		expect(await stages.people.hand(listener('ann'), ROOM)).toMatchObject({ granted: false });
		await expect(comeUp('ann')).rejects.toEqual(refusal('forbidden', 'off_stage'));
		for (const subject of ['ann', 'bob']) await expect(stages.people.demote(host.principal, ROOM, idOf(subject))).rejects.toEqual(refusal('participant_not_found'));
	});
});
