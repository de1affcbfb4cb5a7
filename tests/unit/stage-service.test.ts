import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Role } from '../../auth/roles.ts';
import { DomainError } from '../../server/errors.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import type { Participant, RoomState } from '../../server/rooms/room.ts';
import { participantIdOf } from '../../server/rooms/stage-roster.ts';
import type { StagePrincipal } from '../../server/stage/stage-policy.ts';
import { type StagePlace, StageService } from '../../server/stage/stage-service.ts';
import { FakeConnection, FakeMedia, FakeStore, recordingLog, VirtualClock } from '../support/stage-fakes.ts';

const ROOM = 'launch';
const GRACE_MS = 10_000;

let clock: VirtualClock;
let media: FakeMedia;
let store: FakeStore;
let rooms: RoomDirectory;
let stages: StageService;
let log: ReturnType<typeof recordingLog>;

async function setUp(maxStageSize = 5): Promise<void> {
	clock = new VirtualClock();
	media = new FakeMedia();
	store = new FakeStore();
	log = recordingLog();
	let mediaIds = 0;
	rooms = await RoomDirectory.create({ store, now: clock.now, randomId: () => 'some-room', defaults: { voices: 3 } });
	await rooms.create({ id: ROOM, title: 'The announcement' });
	stages = StageService.create({
		rooms,
		store,
		media,
		now: clock.now,
		schedule: clock.schedule,
		randomId: () => `media-${++mediaIds}`,
		reconnectGraceMs: GRACE_MS,
		maxStageSize,
		log,
	});
}

beforeEach(() => setUp());

function someone(subject: string, role: Role = 'speaker', roomId: string = ROOM): StagePrincipal {
	return { subject, name: `Name of ${subject}`, role, ...(role !== 'admin' && { roomId }) };
}

type OnStage = StagePlace & { connection: FakeConnection; principal: StagePrincipal; resumed: boolean };

async function enter(principal: StagePrincipal, roomId = ROOM): Promise<OnStage> {
	const connection = new FakeConnection();
	const { participant, resumed } = await stages.enter(principal, roomId, connection);
	return { roomId, participantId: participant.id, connection, principal, resumed };
}

const subjects = (): string[] => stages.roster(ROOM).map(({ subject }) => subject);
const inRoster = (subject: string): Participant | undefined => stages.roster(ROOM).find((participant) => participant.subject === subject);
const idOf = (subject: string): string => participantIdOf(ROOM, subject);
const produce = (place: StagePlace) => stages.run(place, () => media.produce(place.roomId, place.participantId));

/** All that was set off has run: every fake answers within a few turns of the event loop. */
async function settled(): Promise<void> {
	for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function expectNoGhosts(): void {
	expect(media.speakers(ROOM)).toEqual(
		stages
			.roster(ROOM)
			.map(({ id }) => id)
			.toSorted(),
	);
	expect(log.errors).toEqual([]);
}

const refusal = (code: string) => expect.objectContaining({ name: 'DomainError', code });

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

describe('what people on stage are told', () => {
	it('of the room', async () => {
		const ann = await enter(someone('ann'));
		await rooms.transition(ROOM, 'start');
		expect(ann.connection.of('room')).toMatchObject([{ room: { id: ROOM, state: 'live' } }]);
	});

	it('of who talks, also those who come later', async () => {
		const ann = await enter(someone('ann'));
		const talkers = { talkers: [{ number: 1, voice: 0 }], dominant: 1 };
		media.emit('talkers', { roomId: ROOM, ...talkers });
		media.emit('talkers', { roomId: 'finale', talkers: [], dominant: null });
		expect(ann.connection.of('talkers')).toEqual([talkers]);
		expect((await enter(someone('bob'))).connection.of('talkers')).toEqual([talkers]);
	});

	it('of the listeners: only changes, at most every two seconds', async () => {
		const ann = await enter(someone('ann'));
		const counts: number[] = [];
		for (const count of [0, 7, 8, 9, 9, 9, 10]) {
			media.audience.set(ROOM, count);
			media.emit('counts');
			counts.push(ann.connection.of('listeners').length);
			clock.advance(1_000);
		}
		expect(ann.connection.of('listeners')).toEqual([{ count: 7 }, { count: 9 }, { count: 10 }]);
		expect(counts).toEqual([0, 1, 1, 2, 2, 2, 3]);
	});

	it('of the listeners in the end what is true, whenever they came', async () => {
		await enter(someone('ann'));
		media.audience.set(ROOM, 5);
		media.emit('counts');
		media.audience.set(ROOM, 6);
		const bob = await enter(someone('bob'));
		expect(bob.connection.of('welcome')[0]?.listenerCount).toBe(6);
		media.audience.set(ROOM, 5);
		clock.advance(2_000);
		media.emit('counts');
		expect(bob.connection.of('listeners').at(-1)).toEqual({ count: 5 });
	});
});

describe('a room that ends', () => {
	it.each(['end', 'remove'] as const)('on %s sends everybody home and forgets their media', async (how) => {
		await rooms.transition(ROOM, 'start');
		const ann = await enter(someone('ann'));
		const bob = await enter(someone('bob'));
		stages.socketLost(bob);
		await (how === 'end' ? rooms.transition(ROOM, 'end') : rooms.remove(ROOM));
		expect(ann.connection.ended).toMatchObject({ ending: 'room_ended' });
		await settled();
		expect(subjects()).toEqual([]);
		expect(clock.pending).toBe(0);
		expectNoGhosts();
		await expect(enter(someone('ann'))).rejects.toEqual(refusal(how === 'end' ? 'room_ended' : 'room_not_found'));
	});

	it('may be made again under the same id', async () => {
		await enter(someone('ann'));
		await rooms.remove(ROOM);
		await rooms.create({ id: ROOM, title: 'Once more' });
		await enter(someone('ann'));
		await settled();
		expect(subjects()).toEqual(['ann']);
		expectNoGhosts();
	});
});

describe('shutdown', () => {
	it('tells everybody to come back, keeps the roster as it is, and lets nobody in', async () => {
		const ann = await enter(someone('ann'));
		stages.socketLost(await enter(someone('bob')));
		const version = stages.rosterVersion(ROOM);
		stages.closeAll('maintenance');
		stages.closeAll('again');
		expect(ann.connection.ended).toEqual({ ending: 'shutting_down', detail: 'maintenance' });
		stages.socketLost(ann);
		expect(clock.pending).toBe(0);
		expect(stages.rosterVersion(ROOM)).toBe(version);
		await expect(enter(someone('cid'))).rejects.toEqual(refusal('shutting_down'));
		expect(media.eventNames().flatMap((name) => media.listeners(name))).toEqual([]);
	});

	it('reaches somebody at the door', async () => {
		const door = media.gates.hold('addSpeaker');
		const entering = enter(someone('ann'));
		await door.reached;
		stages.closeAll('maintenance');
		door.release();
		await expect(entering).rejects.toEqual(refusal('shutting_down'));
		await settled();
		expectNoGhosts();
	});
});

describe('the origin', () => {
	it('that is lost takes all media with it, and everybody hears of it', async () => {
		const ann = await enter(someone('ann'));
		await produce(ann);
		media.loseOrigin(ROOM);
		expect(inRoster('ann')?.mediaId).toBeNull();
		expect(ann.connection.of('media')).toEqual([{ ready: false, rtpCapabilities: null }]);
		expect(stages.rtpCapabilities(ROOM)).toBeNull();
	});

	it('that is back gets every speaker again, muted as they were, and they are told at once', async () => {
		const ann = await enter(someone('ann'));
		const bob = await enter(someone('bob'));
		await stages.setMuted(bob, true);
		stages.socketLost(bob);
		media.loseOrigin(ROOM);
		const door = media.gates.hold('addSpeaker');
		media.regainOrigin(ROOM);
		expect(ann.connection.of('media').at(-1)).toMatchObject({ ready: true, rtpCapabilities: { codecs: [{ mimeType: 'audio/opus' }] } });
		// What the client asks for at once waits for its speaker to be known, and for nobody else.
		await door.reached;
		const order: string[] = [];
		const transport = stages.run(ann, () => media.createTransport(ROOM, ann.participantId, 'send')).then(() => order.push('transport'));
		await settled();
		expect(media.speaker(ROOM, bob.participantId)).toMatchObject({ number: 2, muted: true });
		expect(order).toEqual([]);
		door.release();
		await transport;
		await produce(ann);
		expect(inRoster('ann')?.mediaId).toBe('media-1');
		expectNoGhosts();
	});

	it('lets people in while it is away, and heals them with the rest', async () => {
		const ann = await enter(someone('ann'));
		media.loseOrigin(ROOM);
		const bob = await enter(someone('bob'));
		expect(bob.connection.of('welcome')[0]).toMatchObject({ mediaReady: false, rtpCapabilities: null });
		await stages.setMuted(ann, true);
		media.regainOrigin(ROOM);
		await settled();
		expect(bob.connection.of('media')).toMatchObject([{ ready: true }]);
		expect(media.speaker(ROOM, ann.participantId)?.muted).toBe(true);
		expectNoGhosts();
	});

	it('that was replaced while somebody was away is the first thing they hear of', async () => {
		const ann = await enter(someone('ann'));
		stages.socketLost(ann);
		media.loseOrigin(ROOM);
		media.regainOrigin(ROOM);
		const again = await enter(someone('ann'));
		expect(again.connection.frames.map(({ event }) => event).slice(0, 2)).toEqual(['welcome', 'media']);
		expect(again.connection.of('welcome')[0]).toMatchObject({ resumed: true, mediaReady: true });
		stages.socketLost(again);
		expect((await enter(someone('ann'))).connection.of('media')).toEqual([]);
	});

	it('announced again without having been lost disturbs nobody', async () => {
		const ann = await enter(someone('ann'));
		media.regainOrigin(ROOM);
		expect(ann.connection.of('media')).toEqual([]);
	});

	it('that refuses somebody sends them round for a fresh start', async () => {
		const ann = await enter(someone('ann'));
		await stages.setMuted(ann, true);
		media.loseOrigin(ROOM);
		const door = media.gates.hold('addSpeaker');
		media.regainOrigin(ROOM);
		await door.reached;
		door.fail(new Error('the shard answered nonsense'));
		await settled();
		expect(ann.connection.ended).toEqual({ ending: 'media_unavailable' });
		expect(log.errors).toHaveLength(1);
		log.errors.length = 0;
		const again = await enter(someone('ann'));
		expect(again.resumed).toBe(false);
		expect(media.speaker(ROOM, ann.participantId)?.muted).toBe(true);
		expect(inRoster('ann')).toMatchObject({ muted: true, connection: 'connected' });
		expectNoGhosts();
	});
});

describe('an encoder', () => {
	const ann = someone('ann');
	const news = (state: 'connected' | 'disconnected' | 'closed') => media.emit('speakerMedia', { roomId: ROOM, participantId: idOf('ann'), state });

	it('publishes and is on stage', async () => {
		await expect(stages.publish(ann, ROOM, 'offer')).resolves.toMatchObject({ sdp: 'v=0' });
		expect(inRoster('ann')).toMatchObject({ kind: 'encoder', connection: 'connected', mediaId: 'media-1', number: 1 });
		expectNoGhosts();
	});

	it('that loses its way is waited for, and is back when it is back', async () => {
		await stages.publish(ann, ROOM, 'offer');
		news('connected');
		expect(inRoster('ann')).toMatchObject({ connection: 'connected', mediaId: 'media-1' });
		news('disconnected');
		expect(inRoster('ann')).toMatchObject({ connection: 'reconnecting', mediaId: null });
		news('connected');
		clock.advance(GRACE_MS);
		expect(inRoster('ann')).toMatchObject({ connection: 'connected', mediaId: 'media-2' });
		news('disconnected');
		news('closed');
		expect(inRoster('ann')).toMatchObject({ connection: 'reconnecting', mediaId: null });
		clock.advance(GRACE_MS);
		await settled();
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('that says goodbye leaves at once', async () => {
		await stages.publish(ann, ROOM, 'offer');
		news('connected');
		news('closed');
		await settled();
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('that publishes again replaces its session and stays muted', async () => {
		await stages.publish(ann, ROOM, 'offer');
		await stages.people.mute(someone('me', 'host'), ROOM, idOf('ann'));
		await stages.publish(ann, ROOM, 'offer');
		await settled();
		expect(inRoster('ann')).toMatchObject({ number: 1, muted: true, connection: 'connected', mediaId: 'media-2' });
		expect(media.speaker(ROOM, idOf('ann'))?.muted).toBe(true);
		expectNoGhosts();
	});

	it('whose offer is refused was never there', async () => {
		const seen: unknown[] = [];
		stages.on('rosterChanged', (change) => seen.push(change));
		const door = media.gates.hold('publish');
		const publishing = stages.publish(ann, ROOM, 'nonsense');
		await door.reached;
		door.fail(new DomainError('invalid_offer', 'no audio'));
		await expect(publishing).rejects.toEqual(refusal('invalid_offer'));
		await settled();
		expect(seen).toEqual([]);
		expectNoGhosts();
	});

	it('and a browser of the same person replace each other', async () => {
		const browser = await enter(ann);
		await produce(browser);
		await stages.publish(ann, ROOM, 'offer');
		expect(browser.connection.ended).toEqual({ ending: 'replaced' });
		expect(inRoster('ann')).toMatchObject({ kind: 'encoder', number: 1 });
		const back = await enter(ann);
		expect(back.resumed).toBe(false);
		expect(inRoster('ann')).toMatchObject({ kind: 'browser', mediaId: null });
		expect(media.speaker(ROOM, idOf('ann'))?.sessionId).toBeNull();
		expectNoGhosts();
	});

	it('whose session went with the origin has the grace period to publish anew', async () => {
		await stages.publish(ann, ROOM, 'offer');
		media.loseOrigin(ROOM);
		expect(inRoster('ann')).toMatchObject({ connection: 'reconnecting', mediaId: null });
		media.regainOrigin(ROOM);
		await stages.publish(ann, ROOM, 'offer');
		clock.advance(GRACE_MS);
		expect(inRoster('ann')?.connection).toBe('connected');
		expectNoGhosts();
	});

	it('whose origin dies as its session is made is not taken for alive', async () => {
		const door = media.gates.hold('publish');
		const publishing = stages.publish(ann, ROOM, 'offer');
		await door.reached;
		media.emit('originLost', { roomId: ROOM });
		door.release();
		await expect(publishing).rejects.toEqual(refusal('media_unavailable'));
		await settled();
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});
});

describe('races', () => {
	it.each(['isBanned', 'speakerNumber'] as const)('the room ends while the store is asked (%s)', async (question) => {
		await rooms.transition(ROOM, 'open');
		const door = store.gates.hold(question);
		const entering = enter(someone('ann'));
		await door.reached;
		await rooms.transition(ROOM, 'end');
		door.release();
		await expect(entering).rejects.toEqual(refusal('room_ended'));
		expectNoGhosts();
	});

	it('the room ends while media adds the speaker', async () => {
		await rooms.transition(ROOM, 'open');
		const door = media.gates.hold('addSpeaker');
		const entering = enter(someone('ann'));
		await door.reached;
		await rooms.transition(ROOM, 'end');
		door.release();
		await expect(entering).rejects.toEqual(refusal('room_ended'));
		await settled();
		expectNoGhosts();
	});

	it('a kick while the microphone starts', async () => {
		const ann = await enter(someone('ann'));
		const door = media.gates.hold('produce');
		const producing = produce(ann);
		await door.reached;
		const kicking = stages.people.kick(someone('me', 'host'), ROOM, ann.participantId);
		await settled();
		expect(ann.connection.ended).toEqual({ ending: 'kicked' });
		expect(subjects()).toEqual([]);
		door.release();
		await Promise.all([producing, kicking]);
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('the room ends while what media knew of an earlier visit is removed', async () => {
		await rooms.transition(ROOM, 'open');
		await stages.publish(someone('ann'), ROOM, 'offer');
		const door = media.gates.hold('removeSpeaker');
		const entering = enter(someone('ann'));
		await door.reached;
		const before = media.calls.length;
		await rooms.transition(ROOM, 'end');
		door.release();
		await expect(entering).rejects.toEqual(refusal('room_ended'));
		await settled();
		expect(media.calls.slice(before).filter((call) => call.startsWith('addSpeaker'))).toEqual([]);
		expectNoGhosts();
	});

	it('a kick while an encoder makes its session anew', async () => {
		await stages.publish(someone('ann'), ROOM, 'offer');
		const door = media.gates.hold('publish');
		const publishing = stages.publish(someone('ann'), ROOM, 'offer');
		await door.reached;
		const kicking = stages.people.kick(someone('me', 'host'), ROOM, idOf('ann'));
		door.release();
		await expect(publishing).rejects.toEqual(refusal('participant_not_found'));
		await kicking;
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('the origin dies between adding a speaker and the answer', async () => {
		const door = media.gates.hold('addSpeaker');
		const entering = enter(someone('ann'));
		await door.reached;
		media.emit('originLost', { roomId: ROOM });
		door.release();
		const { connection } = await entering;
		expect(connection.of('welcome')[0]).toMatchObject({ mediaReady: false, rtpCapabilities: null });
		media.regainOrigin(ROOM);
		expect(connection.of('media')).toMatchObject([{ ready: true }]);
		await settled();
		expectNoGhosts();
	});

	it('a ban while the same person asks to come again', async () => {
		const ann = await enter(someone('ann'));
		const door = store.gates.hold('isBanned');
		const entering = enter(someone('ann'));
		await door.reached;
		const banning = stages.people.ban(someone('me', 'host'), ROOM, ann.participantId);
		await settled();
		door.release();
		await expect(entering).rejects.toEqual(refusal('banned'));
		await banning;
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('the grace period ends while the person is at the door', async () => {
		stages.socketLost(await enter(someone('ann')));
		const door = store.gates.hold('isBanned');
		const entering = enter(someone('ann'));
		await door.reached;
		clock.advance(GRACE_MS);
		door.release();
		expect((await entering).resumed).toBe(false);
		await settled();
		expect(subjects()).toEqual(['ann']);
		expectNoGhosts();
	});

	it('leaving and coming back while media is still at it', async () => {
		const ann = await enter(someone('ann'));
		const door = media.gates.hold('removeSpeaker');
		const leaving = stages.leave(ann);
		await door.reached;
		const entering = enter(someone('ann'));
		door.release();
		await leaving;
		expect((await entering).resumed).toBe(false);
		expectNoGhosts();
	});

	it('two sockets of one person at once', async () => {
		const [first, second] = await Promise.all([enter(someone('ann')), enter(someone('ann'))]);
		expect([first, second].filter(({ connection }) => connection.ended?.ending === 'replaced')).toHaveLength(1);
		expect(subjects()).toEqual(['ann']);
		expect(media.calls.filter((call) => call.startsWith('addSpeaker'))).toHaveLength(1);
		expectNoGhosts();
	});

	it('somebody slow holds up nobody else', async () => {
		const ann = await enter(someone('ann'));
		const door = media.gates.hold('produce');
		const producing = produce(ann);
		await door.reached;
		const bob = await enter(someone('bob'));
		await stages.setMuted(bob, true);
		await stages.people.kick(someone('me', 'host'), ROOM, bob.participantId);
		door.release();
		await producing;
		expectNoGhosts();
	});

	it('never leave a ghost, whatever the order', async () => {
		const person = fc.constantFrom('ann', 'bob', 'cid');
		const step = fc.record({
			subject: person,
			act: fc.constantFrom('enter', 'enter', 'publish', 'leave', 'lose', 'kick', 'produce', 'mute', 'originLost', 'originReady', 'grace', 'closed', 'wait'),
		});
		await fc.assert(
			fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.array(fc.nat(6), { minLength: 1, maxLength: 20 }), async (steps, delays) => {
				await setUp(2);
				let calls = 0;
				const delay = async (): Promise<void> => {
					for (let turns = delays[calls++ % delays.length] ?? 0; turns > 0; turns -= 1) await Promise.resolve();
				};
				media.gates.delay = delay;
				store.gates.delay = delay;
				const host = someone('me', 'host');
				const places: OnStage[] = [];
				const under: Promise<unknown>[] = [];
				const failures: unknown[] = [];
				for (const { subject, act } of steps) {
					const place = places.findLast(({ principal }) => principal.subject === subject);
					const doIt = async (): Promise<unknown> => {
						switch (act) {
							case 'enter':
								return enter(someone(subject)).then((entered) => places.push(entered));
							case 'publish':
								return stages.publish(someone(subject), ROOM, 'offer');
							case 'leave':
								return place && stages.leave(place);
							case 'lose':
								return place && stages.socketLost(place);
							case 'kick':
								return stages.people.kick(host, ROOM, idOf(subject));
							case 'produce':
								return place && produce(place);
							case 'mute':
								return stages.people.mute(host, ROOM, idOf(subject));
							case 'originLost':
								return media.loseOrigin(ROOM);
							case 'originReady':
								return media.regainOrigin(ROOM);
							case 'grace':
								return clock.advance(GRACE_MS);
							case 'closed':
								return media.emit('speakerMedia', { roomId: ROOM, participantId: idOf(subject), state: 'closed' });
							default:
								return settled();
						}
					};
					under.push(doIt().catch((error: unknown) => failures.push(error)));
					await Promise.resolve();
				}
				media.regainOrigin(ROOM);
				await Promise.all(under);
				await settled();
				await settled();
				expect(failures.filter((error) => !(error instanceof DomainError))).toEqual([]);
				expectNoGhosts();
				for (const { id, muted, mediaId } of stages.roster(ROOM)) {
					expect(media.speaker(ROOM, id)).toMatchObject({ muted, producing: mediaId !== null });
				}
			}),
			{ numRuns: 300 },
		);
	});
});
