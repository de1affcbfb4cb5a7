// Kicks, bans and the rest that keeps order, and who follows a host.
import { beforeEach, describe, expect, it } from 'vitest';
import { banned, clock, comeUp, enter, GRACE_MS, idOf, inRoster, listener, raise, refusal, ROOM, rooms, settled, setUp, someone, stages, store } from '../support/stage-people-rig.ts';

beforeEach(() => setUp());

describe('whoever is kicked', () => {
	it('needs to be brought up again when a host had brought them', async () => {
		const host = await enter(someone('host', 'host'));
		await raise('ann');
		await stages.people.promote(host.principal, ROOM, idOf('ann'));
		const ann = await comeUp('ann');
		await stages.people.kick(host.principal, ROOM, ann.participantId);
		await expect(comeUp('ann')).rejects.toEqual(refusal('forbidden', 'off_stage'));
		expect(await stages.people.hand(listener('ann'), ROOM)).toMatchObject({ granted: false, onStage: false });
	});
});

describe('a ban', () => {
	it('takes somebody out of the queue and tells whoever ends the rest', async () => {
		await raise('ann');
		await stages.people.ban(someone('host', 'host'), ROOM, idOf('ann'));
		expect(await store.listBans(ROOM)).toMatchObject([{ subject: 'ann', name: 'Name of ann', bannedBy: 'host' }]);
		expect((await stages.people.hands(someone('host', 'host'), ROOM)).total).toBe(0);
		expect(banned).toEqual(['ann in launch']);
	});

	it('is made by subject, too, and not over a host by a co-host', async () => {
		await enter(someone('host', 'host'));
		await expect(stages.people.banSubject(someone('co', 'cohost'), ROOM, 'host', '')).rejects.toEqual(refusal('forbidden', 'target_is_host'));
		await stages.people.banSubject(someone('co', 'cohost'), ROOM, 'eve', 'Eve');
		await expect(enter(someone('eve'))).rejects.toEqual(refusal('banned'));
		expect(banned).toEqual(['eve in launch']);
	});

	it('that is undone does not bring anybody onto the stage whom a host had brought there', async () => {
		const host = await enter(someone('host', 'host'));
		await raise('ann');
		await stages.people.promote(host.principal, ROOM, idOf('ann'));
		await comeUp('ann');
		await stages.people.ban(host.principal, ROOM, idOf('ann'));
		await store.unban(ROOM, 'ann');
		await settled();
		await expect(comeUp('ann')).rejects.toEqual(refusal('forbidden', 'off_stage'));
	});
});

describe('unmuting', () => {
	it('is asked for, and done by the person alone', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		await stages.people.mute(host.principal, ROOM, ann.participantId);
		await stages.people.unmute(host.principal, ROOM, ann.participantId);
		expect(inRoster('ann')?.muted).toBe(true);
		expect(ann.connection.of('unmuteRequested')).toEqual([{ by: 'Name of host' }]);
		await stages.people.unmute(ann.principal, ROOM, ann.participantId);
		expect(inRoster('ann')?.muted).toBe(false);
	});

	it('cannot be asked of somebody who is not connected', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		await stages.people.mute(host.principal, ROOM, ann.participantId);
		stages.socketLost(ann);
		await expect(stages.people.unmute(host.principal, ROOM, ann.participantId)).rejects.toEqual(refusal('not_reachable'));
		await expect(stages.people.unmute(someone('bob'), ROOM, ann.participantId)).rejects.toEqual(refusal('forbidden', 'wrong_role'));
	});
});

describe('a host who is gone', () => {
	it('is followed by the co-host who has been there longest, once the place is lost', async () => {
		const host = await enter(someone('host', 'host'));
		const first = await enter(someone('first', 'cohost'));
		clock.advance(1_000);
		const second = await enter(someone('second', 'cohost'));
		stages.socketLost(host);
		clock.advance(GRACE_MS - 1);
		expect(inRoster('first')?.role).toBe('cohost');
		clock.advance(1);
		expect([inRoster('first')?.role, inRoster('second')?.role]).toEqual(['host', 'cohost']);
		expect(first.connection.of('role')).toEqual([{ role: 'host' }]);
		expect(second.connection.of('role')).toEqual([]);
		expect(await stages.people.command(first.principal, ROOM, 'start')).toMatchObject({ state: 'live' });
		// The host comes back as one.
		expect((await enter(someone('host', 'host'))).connection.of('welcome')[0]?.role).toBe('host');
	});

	it.each(['leaves', 'is kicked', 'is demoted'] as const)('is followed also when the host %s', async (how) => {
		const host = await enter(someone('host', 'host'));
		await enter(someone('co', 'cohost'));
		if (how === 'leaves') await stages.leave(host);
		else if (how === 'is kicked') await stages.people.kick(someone('root', 'admin'), ROOM, host.participantId);
		else await stages.people.demote(someone('root', 'admin'), ROOM, host.participantId, 'speaker');
		expect(inRoster('co')?.role).toBe('host');
	});

	it('is followed by nobody while another host is there, or when the room ends', async () => {
		const host = await enter(someone('host', 'host'));
		await enter(someone('other', 'host'));
		const co = await enter(someone('co', 'cohost'));
		await stages.leave(host);
		expect(inRoster('co')?.role).toBe('cohost');
		await rooms.transition(ROOM, 'end');
		expect(co.connection.of('role')).toEqual([]);
	});

	it('without a co-host leaves the room as it is', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		await stages.leave(host);
		expect(inRoster('ann')?.role).toBe('speaker');
		expect(ann.connection.ended).toBeNull();
	});
});
