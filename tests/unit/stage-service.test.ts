// Who comes on stage, comes back to it, and what people do to each other there.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Role } from '../../auth/roles.ts';
import { DomainError } from '../../server/errors.ts';
import type { RoomState } from '../../server/rooms/room.ts';
import type { StagePrincipal } from '../../server/stage/stage-policy.ts';
import { clock, enter, expectNoGhosts, GRACE_MS, inRoster, media, produce, refusal, ROOM, rooms, settled, setUp, someone, stages, store, subjects } from '../support/stage-rig.ts';

beforeEach(() => setUp());

describe('coming on stage', () => {
	it.each<[Role, 'host' | 'cohost' | 'speaker']>([
		['admin', 'host'],
		['host', 'host'],
		['cohost', 'cohost'],
		['speaker', 'speaker'],
	])('lets %s on as %s, also before the doors open', async (role, stageRole) => {
		const { connection, participantId } = await enter(someone('ann', role));
		expect(connection.frames[0]).toMatchObject({
			event: 'welcome',
			data: { participantId, number: 1, role: stageRole, resumed: false, mediaReady: true, room: { id: ROOM, state: 'scheduled' }, reconnectGraceMs: GRACE_MS },
		});
		expect(connection.of('welcome')[0]?.roster.map(({ id }) => id)).toEqual([participantId]);
		expectNoGhosts();
	});

	it.each<[string, StagePrincipal, string, string]>([
		['listeners', someone('ann', 'listener'), ROOM, 'forbidden'],
		['tokens of another room', someone('ann', 'host', 'finale'), ROOM, 'forbidden'],
		['unknown rooms', someone('ann', 'admin'), 'nowhere', 'room_not_found'],
	])('refuses %s', async (_what, principal, roomId, code) => {
		await expect(enter(principal, roomId)).rejects.toEqual(refusal(code));
		await expect(stages.admit(principal, roomId)).rejects.toEqual(refusal(code));
		await expect(stages.publish(principal, roomId, 'offer')).rejects.toEqual(refusal(code));
		expect(media.calls).toEqual([]);
	});

	it.each<[RoomState, boolean]>([
		['open', true],
		['live', true],
		['ended', false],
	])('in a room that is %s: %s', async (state, may) => {
		await rooms.transition(ROOM, 'open');
		if (state === 'live') await rooms.transition(ROOM, 'start');
		if (state === 'ended') await rooms.transition(ROOM, 'end');
		const entered = enter(someone('ann'));
		await (may ? expect(entered).resolves.toBeDefined() : expect(entered).rejects.toEqual(refusal('room_ended')));
	});

	it('numbers people in the order they came first, and never gives a number twice', async () => {
		const ann = await enter(someone('ann'));
		await enter(someone('bob'));
		await stages.leave(ann);
		await enter(someone('cid'));
		await enter(someone('ann'));
		expect(stages.roster(ROOM).map(({ subject, number }) => [subject, number])).toEqual([
			['ann', 1],
			['bob', 2],
			['cid', 3],
		]);
	});

	it('refuses one too many, but not who is there already', async () => {
		await setUp(2);
		const ann = await enter(someone('ann'));
		await enter(someone('bob'));
		await expect(enter(someone('cid'))).rejects.toEqual(refusal('stage_full'));
		await expect(stages.admit(someone('cid'), ROOM)).rejects.toEqual(refusal('stage_full'));
		stages.socketLost(ann);
		await expect(stages.admit(someone('ann'), ROOM)).resolves.toBeUndefined();
		expect((await enter(someone('ann'))).resumed).toBe(true);
		expectNoGhosts();
	});

	it('does not let two at the door both take the last place', async () => {
		await setUp(1);
		const door = media.gates.hold('addSpeaker');
		const first = enter(someone('ann'));
		await door.reached;
		await expect(enter(someone('bob'))).rejects.toEqual(refusal('stage_full'));
		door.release();
		await first;
		expect(subjects()).toEqual(['ann']);
		expectNoGhosts();
	});

	it('frees the place of somebody whom media refused', async () => {
		await setUp(1);
		const door = media.gates.hold('addSpeaker');
		const first = enter(someone('ann'));
		await door.reached;
		door.fail(new DomainError('media_unavailable', 'no stage shard'));
		await expect(first).rejects.toEqual(refusal('media_unavailable'));
		await enter(someone('bob'));
		expectNoGhosts();
	});

	it('shows others a new snapshot with a greater version', async () => {
		const seen: { version: number; subjects: string[] }[] = [];
		stages.on('rosterChanged', ({ version, participants }) => seen.push({ version, subjects: participants.map(({ subject }) => subject) }));
		const ann = await enter(someone('ann'));
		await enter(someone('bob'));
		expect(seen).toEqual([
			{ version: 1, subjects: ['ann'] },
			{ version: 2, subjects: ['ann', 'bob'] },
		]);
		expect(stages.rosterVersion(ROOM)).toBe(2);
		expect(ann.connection.of('stage').at(-1)?.roster).toHaveLength(2);
		expect(JSON.stringify(ann.connection.frames)).not.toContain('"subject"');
	});
});

describe('a lost socket', () => {
	it('keeps the place, the number, the muted state and the media for the grace period', async () => {
		const bob = await enter(someone('bob'));
		const ann = await enter(someone('ann'));
		await produce(ann);
		await stages.setMuted(ann, true);
		const { mediaId } = inRoster('ann')!;
		stages.socketLost(ann);
		expect(bob.connection.of('stage').at(-1)?.roster[1]).toMatchObject({ connection: 'reconnecting', mediaId });
		clock.advance(GRACE_MS - 1);
		const before = media.calls.length;
		const again = await enter(someone('ann'));
		expect(again).toMatchObject({ participantId: ann.participantId, resumed: true });
		expect(again.connection.of('welcome')[0]).toMatchObject({ number: 2, resumed: true });
		expect(inRoster('ann')).toMatchObject({ muted: true, connection: 'connected', mediaId });
		expect(media.calls.slice(before)).toEqual([]);
		clock.advance(GRACE_MS * 2);
		expect(subjects()).toEqual(['bob', 'ann']);
		expectNoGhosts();
	});

	it('takes the person off the stage once the grace period is over', async () => {
		const ann = await enter(someone('ann'));
		stages.socketLost(ann);
		clock.advance(GRACE_MS);
		await settled();
		expect(subjects()).toEqual([]);
		expectNoGhosts();
		const again = await enter(someone('ann'));
		expect(again).toMatchObject({ resumed: false, participantId: ann.participantId });
		expect(inRoster('ann')?.number).toBe(1);
	});

	it('does not matter once another socket has taken over', async () => {
		const old = await enter(someone('ann'));
		const fresh = await enter(someone('ann'));
		expect(old.connection.ended).toEqual({ ending: 'replaced' });
		expect(fresh.resumed).toBe(true);
		stages.socketLost(old);
		clock.advance(GRACE_MS);
		expect(inRoster('ann')?.connection).toBe('connected');
		await expect(produce(old)).rejects.toEqual(refusal('participant_not_found'));
		await expect(stages.leave(old)).rejects.toEqual(refusal('participant_not_found'));
		await produce(fresh);
		expectNoGhosts();
	});

	it('takes over the role and name of the newer token', async () => {
		stages.socketLost(await enter(someone('ann')));
		await enter({ ...someone('ann', 'cohost'), name: 'Ann B.' });
		expect(inRoster('ann')).toMatchObject({ role: 'cohost', name: 'Ann B.' });
	});
});

describe('muting', () => {
	it('reaches media and everybody on stage', async () => {
		const bob = await enter(someone('bob'));
		const ann = await enter(someone('ann'));
		await stages.setMuted(ann, true);
		expect(media.speaker(ROOM, ann.participantId)?.muted).toBe(true);
		expect(bob.connection.of('stage').at(-1)?.roster[1]?.muted).toBe(true);
		await stages.setMuted(ann, false);
		expect(media.speaker(ROOM, ann.participantId)?.muted).toBe(false);
	});

	it('tells the one who was muted by whom, and lets them unmute themselves', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		await stages.people.mute(host.principal, ROOM, ann.participantId);
		expect(ann.connection.of('muted')).toEqual([{ by: 'Name of host' }]);
		await stages.setMuted(ann, false);
		expect(inRoster('ann')?.muted).toBe(false);
	});

	it('shows nobody as muted who is still heard', async () => {
		const ann = await enter(someone('ann'));
		const door = media.gates.hold('setMuted');
		const muting = stages.setMuted(ann, true);
		await door.reached;
		door.fail(new DomainError('media_unavailable', 'no answer'));
		await expect(muting).rejects.toEqual(refusal('media_unavailable'));
		expect(inRoster('ann')?.muted).toBe(false);
	});

	it('of all spares hosts and whoever asks', async () => {
		const cohost = await enter(someone('co', 'cohost'));
		for (const [subject, role] of [['co2', 'cohost'], ['host', 'host'], ['ann', 'speaker']] as const) await enter(someone(subject, role));
		await stages.people.muteAll(cohost.principal, ROOM);
		expect(stages.roster(ROOM).filter(({ muted }) => muted).map(({ subject }) => subject)).toEqual(['co2', 'ann']);
		await expect(stages.people.muteAll(someone('ann'), ROOM)).rejects.toEqual(refusal('forbidden'));
	});
});

describe('moderation', () => {
	const actors: Role[] = ['admin', 'host', 'cohost', 'speaker', 'listener'];
	const targets = ['host', 'cohost', 'speaker'] as const;
	const may = (actor: Role, target: string) => actor === 'admin' || actor === 'host' || (actor === 'cohost' && target !== 'host');
	const cases = actors.flatMap((actor) => targets.map((target) => ({ actor, target, allowed: may(actor, target) })));

	describe.each(cases)('$actor over $target: $allowed', ({ actor, target, allowed }) => {
		it.each(['mute', 'kick', 'ban'] as const)('%s', async (command) => {
			const them = await enter(someone('them', target));
			const done = stages.people[command](someone('me', actor), ROOM, them.participantId);
			if (!allowed) {
				await expect(done).rejects.toEqual(refusal('forbidden'));
				expect(inRoster('them')).toMatchObject({ muted: false });
				expect(them.connection.ended).toBeNull();
			} else {
				await done;
				if (command === 'mute') expect(inRoster('them')?.muted).toBe(true);
				else expect(them.connection.ended).toEqual({ ending: command === 'kick' ? 'kicked' : 'banned' });
			}
			expectNoGhosts();
		});
	});

	it.each(cases.filter(({ target }) => target === 'speaker'))('room commands by $actor', async ({ actor }) => {
		const done = stages.people.command(someone('me', actor), ROOM, 'open');
		if (actor === 'admin' || actor === 'host') await expect(done).resolves.toMatchObject({ state: 'open' });
		else await expect(done).rejects.toEqual(refusal('forbidden'));
	});

	it('is for the own room only', async () => {
		const them = await enter(someone('them'));
		await expect(stages.people.kick(someone('me', 'host', 'finale'), ROOM, them.participantId)).rejects.toEqual(refusal('forbidden'));
	});

	it('does not find whom nobody knows', async () => {
		await expect(stages.people.kick(someone('me', 'host'), ROOM, 'p_none')).rejects.toEqual(refusal('participant_not_found'));
		await expect(stages.people.kick(someone('me', 'admin'), 'nowhere', 'p_none')).rejects.toEqual(refusal('room_not_found'));
	});

	it('lets who was kicked come back, and who was banned not', async () => {
		const ann = await enter(someone('ann'));
		await stages.people.kick(someone('me', 'host'), ROOM, ann.participantId);
		const again = await enter(someone('ann'));
		expect(again.resumed).toBe(false);
		await stages.people.ban(someone('me', 'host'), ROOM, again.participantId);
		await expect(enter(someone('ann'))).rejects.toEqual(refusal('banned'));
		await expect(stages.admit(someone('ann'), ROOM)).rejects.toEqual(refusal('banned'));
		await expect(stages.publish(someone('ann'), ROOM, 'offer')).rejects.toEqual(refusal('banned'));
		expect(await store.listBans(ROOM)).toMatchObject([{ subject: 'ann', name: 'Name of ann', bannedBy: 'me' }]);
		expectNoGhosts();
	});

	it('keeps nobody from coming back whose ban was not stored', async () => {
		const ann = await enter(someone('ann'));
		const door = store.gates.hold('ban');
		const banning = stages.people.ban(someone('me', 'host'), ROOM, ann.participantId);
		await door.reached;
		door.fail(new Error('disk full'));
		await expect(banning).rejects.toThrow('disk full');
		await settled();
		await expect(enter(someone('ann'))).resolves.toBeDefined();
	});

	it('does not let people ban themselves', async () => {
		const me = await enter(someone('me', 'host'));
		await expect(stages.people.ban(me.principal, ROOM, me.participantId)).rejects.toEqual(refusal('invalid_request'));
	});
});
