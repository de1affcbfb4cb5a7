import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Role } from '../../auth/roles.ts';
import { DomainError } from '../../server/errors.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import type { Participant } from '../../server/rooms/room.ts';
import { participantIdOf } from '../../server/rooms/stage-roster.ts';
import type { HandState } from '../../server/stage/stage-people.ts';
import type { StagePrincipal } from '../../server/stage/stage-policy.ts';
import { type StagePlace, StageService } from '../../server/stage/stage-service.ts';
import { FakeConnection, FakeHomes, FakeMedia, FakeStageStore, FakeStore, recordingLog, VirtualClock } from '../support/stage-fakes.ts';

const ROOM = 'launch';
const GRACE_MS = 10_000;

let clock: VirtualClock;
let media: FakeMedia;
let store: FakeStore;
let stageStore: FakeStageStore;
let homes: FakeHomes;
let rooms: RoomDirectory;
let stages: StageService;
let log: ReturnType<typeof recordingLog>;
let banned: string[];

/** A node of its own over the same stores, as after a home has died. */
function openNode(): { stages: StageService; homes: FakeHomes; media: FakeMedia } {
	const node = { homes: new FakeHomes(), media: new FakeMedia() };
	let ids = 0;
	const service = StageService.create({
		rooms,
		store,
		stageStore,
		homes: node.homes,
		media: node.media,
		now: clock.now,
		schedule: clock.schedule,
		randomId: () => `media-${++ids}`,
		reconnectGraceMs: GRACE_MS,
		maxStageSize: 6,
		maxHands: 2_000,
		onBanned: (roomId, subject) => void banned.push(`${subject} in ${roomId}`),
		log,
	});
	return { ...node, stages: service };
}

beforeEach(async () => {
	clock = new VirtualClock();
	store = new FakeStore();
	stageStore = new FakeStageStore();
	log = recordingLog();
	banned = [];
	rooms = await RoomDirectory.create({ store, now: clock.now, randomId: () => 'some-room', defaults: { voices: 3 } });
	await rooms.create({ id: ROOM, title: 'The announcement' });
	await rooms.transition(ROOM, 'open');
	({ stages, homes, media } = openNode());
	homes.gain(ROOM, 1);
});

function someone(subject: string, role: Role = 'speaker'): StagePrincipal {
	return { subject, name: `Name of ${subject}`, role, ...(role !== 'admin' && { roomId: ROOM }) };
}
const listener = (subject: string): StagePrincipal => someone(subject, 'listener');
const idOf = (subject: string): string => participantIdOf(ROOM, subject);
const refusal = (code: string, reason?: string): unknown =>
	expect.objectContaining({ constructor: DomainError, code, ...(reason !== undefined && { extra: { reason } }) });
const inRoster = (subject: string): Participant | undefined => stages.roster(ROOM).find((participant) => participant.subject === subject);

type OnStage = StagePlace & { connection: FakeConnection; principal: StagePrincipal };
async function enter(principal: StagePrincipal): Promise<OnStage> {
	const connection = new FakeConnection();
	const { participant } = await stages.enter(principal, ROOM, connection);
	return { roomId: ROOM, participantId: participant.id, connection, principal };
}
/** What the hand's own page does once it has a token for the stage. */
const comeUp = (subject: string): Promise<OnStage> => enter(someone(subject));

/** All that was set off has run: every fake answers within a few turns of the event loop. */
async function settled(): Promise<void> {
	for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Puts up a hand and lets its writing happen, however soon after another one. */
async function raise(subject: string, raised = true): Promise<HandState> {
	const raising = stages.people.raiseHand(listener(subject), ROOM, raised);
	await settled();
	clock.advance(250);
	return raising;
}

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

describe('another home', () => {
	it('has hands, invitations, roles, the lock, the size and the order as they were', async () => {
		const host = await enter(someone('host', 'host'));
		const [ann, bob] = [await enter(someone('ann')), await enter(someone('bob'))];
		for (const subject of ['cat', 'dan', 'eve']) await raise(subject);
		await stages.people.promote(host.principal, ROOM, ann.participantId);
		await stages.people.demote(host.principal, ROOM, bob.participantId);
		await stages.people.invite(host.principal, ROOM, idOf('dan'));
		await stages.people.promote(host.principal, ROOM, idOf('eve'));
		await stages.people.set(host.principal, ROOM, { locked: true, maxSize: 4, order: [ann.participantId] });
		clock.advance(1_000);
		await settled();
		const known = await stages.people.hand(listener('cat'), ROOM);
		const waiting = stages.people.hand(listener('dan'), ROOM, { version: (await stages.people.hand(listener('dan'), ROOM)).version, waitMs: 6_000 });
		const ended = expect(waiting).rejects.toEqual(refusal('not_home'));
		homes.lose(ROOM);
		await ended;

		({ stages, homes, media } = openNode());
		homes.gain(ROOM, 2);
		await settled();
		expect(await stages.people.hand(listener('cat'), ROOM)).toEqual(known);
		expect(await stages.people.hand(listener('dan'), ROOM)).toMatchObject({ position: 2, invitation: { by: 'Name of host' } });
		expect(await stages.people.hand(listener('eve'), ROOM)).toMatchObject({ granted: true });
		expect((await enter(someone('ann'))).connection.of('welcome')[0]).toMatchObject({ role: 'cohost', locked: true, maxSize: 4 });
		await expect(enter(someone('bob'))).rejects.toEqual(refusal('forbidden', 'off_stage'));
		expect(stages.roster(ROOM)[0]?.id).toBe(ann.participantId);
	});

	it('has the hand of whoever was told that it is up, and goes on when the store is away', async () => {
		expect((await raise('ann')).raised).toBe(true);
		expect(stageStore.latest(ROOM)?.roster.hands).toMatchObject([{ id: idOf('ann'), subject: 'ann' }]);
		stageStore.away = true;
		expect((await raise('bob')).raised).toBe(true);
	});

	it('has the hands of the last moment before it was given the room, and nobody is told of one that it has not', async () => {
		await raise('ann');
		const last = stages.people.raiseHand(listener('bob'), ROOM, true);
		await settled();
		await stages.flush(ROOM);
		expect((await last).raised).toBe(true);
		expect(stageStore.latest(ROOM)?.roster.hands).toHaveLength(2);
		const late = expect(stages.people.raiseHand(listener('cat'), ROOM, true)).rejects.toEqual(refusal('not_home'));
		await settled();
		homes.lose(ROOM, 'released');
		await late;
		expect(stageStore.latest(ROOM)?.roster.hands).toHaveLength(2);
	});

	it('that knows the stage from afar gives people the roles they have there', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		await stages.people.promote(host.principal, ROOM, ann.participantId);
		const other = openNode();
		let told = 0;
		other.stages.on('rosterChanged', () => (told += 1));
		const { epoch, roster } = stages.stateOf(ROOM);
		other.stages.applyRemoteStage(ROOM, epoch, roster);
		expect(told).toBe(1);
		expect(other.stages.people.actingAs(someone('ann'), ROOM).role).toBe('cohost');
		await raise('cat');
		const later = stages.stateOf(ROOM);
		expect(later.roster.version).toBeGreaterThan(roster.version);
		other.stages.applyRemoteStage(ROOM, later.epoch, later.roster);
		expect(told).toBe(1);
	});
});

describe('whatever is done to whom', () => {
	const SUBJECTS = ['hana', 'cora', 'ann', 'bob'] as const;
	const TOKENS: Record<(typeof SUBJECTS)[number], Role> = { hana: 'host', cora: 'cohost', ann: 'speaker', bob: 'listener' };
	const step = fc.record({
		act: fc.constantFrom('enter', 'lose', 'leave', 'raise', 'lower', 'invite', 'accept', 'decline', 'promote', 'hand over', 'demote', 'kick', 'lock', 'unlock', 'wait'),
		by: fc.constantFrom(...SUBJECTS),
		to: fc.constantFrom(...SUBJECTS),
	});

	it('people on stage have the role that counts, nobody is there who may not be, and nobody there has a hand up', async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
				({ stages, homes, media } = openNode());
				stageStore = new FakeStageStore();
				homes.gain(ROOM, 1);
				const places = new Map<string, OnStage>();
				const { people } = stages;
				const principal = (subject: (typeof SUBJECTS)[number]): StagePrincipal => someone(subject, TOKENS[subject]);
				const acts: Record<(typeof step extends fc.Arbitrary<infer S> ? S : never)['act'], (by: StagePrincipal, to: StagePrincipal) => Promise<unknown>> = {
					enter: async (by) => places.set(by.subject, await enter(by)),
					lose: async (by) => places.has(by.subject) && stages.socketLost(places.get(by.subject)!),
					leave: async (by) => places.has(by.subject) && stages.leave(places.get(by.subject)!),
					raise: (by) => people.raiseHand(by, ROOM, true),
					lower: (by) => people.raiseHand(by, ROOM, false),
					invite: (by, to) => people.invite(by, ROOM, idOf(to.subject)),
					accept: (by) => people.answerInvitation(by, ROOM, true),
					decline: (by) => people.answerInvitation(by, ROOM, false),
					promote: (by, to) => people.promote(by, ROOM, idOf(to.subject)),
					'hand over': (by, to) => people.promote(by, ROOM, idOf(to.subject), 'host'),
					demote: (by, to) => people.demote(by, ROOM, idOf(to.subject)),
					kick: (by, to) => people.kick(by, ROOM, idOf(to.subject)),
					lock: (by) => people.set(by, ROOM, { locked: true }),
					unlock: (by) => people.set(by, ROOM, { locked: false }),
					wait: async () => clock.advance(GRACE_MS),
				};
				for (const { act, by, to } of steps) {
					const done = acts[act](principal(by), principal(to)).catch((error: unknown) => {
						if (!(error instanceof DomainError)) throw error;
					});
					await settled();
					clock.advance(300);
					await done;
					await settled();
					for (const { id, subject, role } of stages.roster(ROOM)) {
						expect(role).toBe(people.actingAs(principal(subject as (typeof SUBJECTS)[number]), ROOM).role);
						expect((await people.hand(listener(subject), ROOM)).raised, `hand of ${id}`).toBe(false);
					}
				}
				clock.advance(GRACE_MS);
				await settled();
				// Whom the stage has, media has, and nobody else.
				expect(media.speakers(ROOM)).toEqual(stages.roster(ROOM).map(({ id }) => id).toSorted());
				expect(log.errors).toEqual([]);
				stages.closeAll('the next run begins');
			}),
			{ numRuns: 40 },
		);
	});
});
