// A stage that outlives its home: two nodes, one store, and a room that goes from one to the other.
import { beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import type { Participant } from '../../server/rooms/room.ts';
import { EMPTY_ROSTER, participantIdOf, type StageState, withEntered, withLeft } from '../../server/rooms/stage-roster.ts';
import type { StagePrincipal } from '../../server/stage/stage-policy.ts';
import { type StagePlace, StageService } from '../../server/stage/stage-service.ts';
import type { StageStore } from '../../server/stage/stage-store.ts';
import { FakeConnection, FakeHomes, FakeMedia, FakeStageStore, FakeStore, recordingLog, VirtualClock } from '../support/stage-fakes.ts';

const ROOM = 'launch';
const GRACE_MS = 10_000;

interface Node {
	homes: FakeHomes;
	media: FakeMedia;
	stages: StageService;
	changes: number[];
	log: ReturnType<typeof recordingLog>;
}

let clock: VirtualClock;
let store: FakeStore;
let stageStore: FakeStageStore;
let rooms: RoomDirectory;
let a: Node;
let b: Node;

function makeNode(ownStore: StageStore = stageStore): Node {
	const homes = new FakeHomes();
	const media = new FakeMedia();
	const log = recordingLog();
	let mediaIds = 0;
	const stages = StageService.create({
		rooms, store, media, homes, stageStore: ownStore, log,
		now: clock.now,
		schedule: clock.schedule,
		randomId: () => `media-${++mediaIds}`,
		reconnectGraceMs: GRACE_MS,
		maxStageSize: 5,
		alternates: () => ['https://b.example.org'],
	});
	const changes: number[] = [];
	stages.on('rosterChanged', ({ version }) => changes.push(version));
	return { homes, media, stages, changes, log };
}

beforeEach(async () => {
	clock = new VirtualClock();
	store = new FakeStore();
	stageStore = new FakeStageStore();
	rooms = await RoomDirectory.create({ store, now: clock.now, randomId: () => 'some-room', defaults: { voices: 3 } });
	await rooms.create({ id: ROOM, title: 'The announcement' });
	await rooms.transition(ROOM, 'open');
	a = makeNode();
	b = makeNode();
	a.homes.gain(ROOM, 1, false);
	await settled();
});

const someone = (subject: string, role: 'host' | 'cohost' | 'speaker' = 'speaker'): StagePrincipal => ({ subject, name: `Name of ${subject}`, role, roomId: ROOM });

async function enter(node: Node, principal: StagePrincipal): Promise<StagePlace & { connection: FakeConnection; resumed: boolean }> {
	const connection = new FakeConnection();
	const { participant, resumed } = await node.stages.enter(principal, ROOM, connection);
	return { roomId: ROOM, participantId: participant.id, connection, resumed };
}

async function settled(): Promise<void> {
	for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const idOf = (subject: string): string => participantIdOf(ROOM, subject);
const inRoster = (node: Node, subject: string): Participant | undefined => node.stages.roster(ROOM).find((participant) => participant.subject === subject);
const refusal = (code: string) => expect.objectContaining({ name: 'DomainError', code });

/** As when its host vanishes: nobody tells it anything. */
async function takeOver(node: Node, epoch: number): Promise<void> {
	node.homes.gain(ROOM, epoch);
	await settled();
}

describe('a new home', () => {
	it('has everybody who was on stage, waited for, with number, name, role and muted state, and versions go on', async () => {
		const ann = await enter(a, someone('ann', 'host'));
		const bob = await enter(a, someone('bob'));
		await a.stages.run(ann, () => a.media.produce(ROOM, ann.participantId));
		await a.stages.setMuted(bob, true);
		await settled();
		const before = a.stages.stateOf(ROOM);
		clock.advance(3_000);
		await takeOver(b, 2);

		expect(b.stages.roster(ROOM)).toEqual(before.roster.participants.map((participant) => ({ ...participant, connection: 'reconnecting', mediaId: null })));
		expect(inRoster(b, 'bob')).toMatchObject({ number: 2, muted: true, role: 'speaker', joinedAt: inRoster(a, 'bob')?.joinedAt });
		expect(b.stages.rosterVersion(ROOM)).toBe(before.roster.version + 1);
		expect(b.changes).toEqual([before.roster.version + 1]);
		expect(stageStore.latest(ROOM)).toEqual({ roomId: ROOM, ...b.stages.stateOf(ROOM), epoch: 2 });
	});

	it('takes people back on the places they had, with media of its own and still muted', async () => {
		const bob = await enter(a, someone('bob'));
		await a.stages.setMuted(bob, true);
		await settled();
		await takeOver(b, 2);
		const back = await enter(b, someone('bob'));
		// Its transports are of the home before: nothing is resumed.
		expect(back.resumed).toBe(false);
		expect(back.connection.of('welcome')[0]).toMatchObject({ participantId: bob.participantId, number: 1, resumed: false, mediaReady: true, alternates: ['https://b.example.org'] });
		expect(inRoster(b, 'bob')).toMatchObject({ connection: 'connected', muted: true, number: 1 });
		expect(b.media.speaker(ROOM, idOf('bob'))).toMatchObject({ number: 1, muted: true });
		clock.advance(2 * GRACE_MS);
		expect(inRoster(b, 'bob')).toBeDefined();
		expect(b.log.errors).toEqual([]);
	});

	it('gives up the places of those who do not come back within the grace period', async () => {
		await enter(a, someone('ann'));
		await enter(a, someone('bob'));
		await settled();
		await takeOver(b, 2);
		await enter(b, someone('ann'));
		clock.advance(GRACE_MS);
		await settled();
		expect(b.stages.roster(ROOM).map(({ subject }) => subject)).toEqual(['ann']);
		expect(stageStore.latest(ROOM)?.roster.participants.map(({ subject }) => subject)).toEqual(['ann']);
	});

	it('waits for encoders too, and they publish again', async () => {
		await a.stages.publish(someone('cam'), ROOM, 'offer');
		await settled();
		await takeOver(b, 2);
		expect(inRoster(b, 'cam')).toMatchObject({ kind: 'encoder', connection: 'reconnecting', mediaId: null });
		await b.stages.publish(someone('cam'), ROOM, 'offer');
		expect(inRoster(b, 'cam')).toMatchObject({ kind: 'encoder', connection: 'connected', number: 1, mediaId: expect.any(String) });
		clock.advance(2 * GRACE_MS);
		expect(inRoster(b, 'cam')).toBeDefined();
	});

	it('lets nobody in before it has read who was there', async () => {
		await enter(a, someone('ann'));
		await settled();
		const hold = stageStore.gates.hold('loadStage');
		b.homes.gain(ROOM, 2);
		const bob = enter(b, someone('bob'));
		await hold.reached;
		await settled();
		expect(b.stages.roster(ROOM)).toEqual([]);
		hold.release();
		await bob;
		expect(b.stages.roster(ROOM).map(({ subject }) => subject)).toEqual(['ann', 'bob']);
	});

	it('reads again what the store could not give it at first, also when nobody comes', async () => {
		await enter(a, someone('ann'));
		await settled();
		stageStore.away = true;
		await takeOver(b, 2);
		await expect(enter(b, someone('bob'))).rejects.toEqual(refusal('store_unavailable'));
		stageStore.away = false;
		clock.advance(1_000);
		await settled();
		expect(inRoster(b, 'ann')).toMatchObject({ connection: 'reconnecting' });
	});

	it('goes by what it was told when that is newer than what was stored', async () => {
		await enter(a, someone('ann'));
		await settled();
		stageStore.away = true;
		await enter(a, someone('bob'));
		await settled();
		b.stages.applyRemoteStage(ROOM, 1, a.stages.stateOf(ROOM).roster);
		stageStore.away = false;
		await takeOver(b, 2);
		expect(b.stages.roster(ROOM).map(({ subject }) => subject)).toEqual(['ann', 'bob']);
	});

	it('has nobody on the stage of a room that ended meanwhile', async () => {
		await enter(a, someone('ann'));
		await settled();
		await rooms.transition(ROOM, 'end');
		stageStore.saved.splice(0, stageStore.saved.length, { roomId: ROOM, epoch: 1, roster: withEntered(EMPTY_ROSTER, participant('ann')) });
		await takeOver(b, 2);
		expect(b.stages.roster(ROOM)).toEqual([]);
		expect(stageStore.latest(ROOM)).toMatchObject({ epoch: 2, roster: { participants: [] } });
	});
});

describe('a home that is lost', () => {
	it('sends everybody away to come back, takes nobody off, and leaves media alone', async () => {
		const ann = await enter(a, someone('ann'));
		await settled();
		const calls = a.media.calls.length;
		a.homes.lose(ROOM);
		await settled();
		expect(ann.connection.ended).toEqual({ ending: 'moved' });
		expect(a.stages.roster(ROOM)).toMatchObject([{ subject: 'ann', connection: 'connected' }]);
		expect(stageStore.latest(ROOM)?.roster.participants).toHaveLength(1);
		expect(a.media.calls).toHaveLength(calls);
		// The place is the next home's to give up.
		clock.advance(2 * GRACE_MS);
		expect(a.stages.roster(ROOM)).toHaveLength(1);
		expect(clock.pending).toBe(0);
	});

	it('refuses what is for the home alone', async () => {
		const ann = await enter(a, someone('ann', 'host'));
		a.homes.lose(ROOM);
		await expect(enter(a, someone('bob'))).rejects.toEqual(refusal('not_home'));
		await expect(a.stages.admit(someone('bob'), ROOM)).rejects.toEqual(refusal('not_home'));
		await expect(a.stages.publish(someone('bob'), ROOM, 'offer')).rejects.toEqual(refusal('not_home'));
		await expect(a.stages.people.kick(someone('eve', 'host'), ROOM, ann.participantId)).rejects.toEqual(refusal('not_home'));
		await expect(a.stages.setMuted(ann, true)).rejects.toEqual(refusal('not_home'));
		await expect(a.stages.leave(ann)).rejects.toEqual(refusal('not_home'));
	});

	it('lets nobody in who was at the door, and what is under way changes nothing', async () => {
		const hold = a.media.gates.hold('addSpeaker');
		const entering = enter(a, someone('ann'));
		await hold.reached;
		const version = a.stages.rosterVersion(ROOM);
		a.homes.lose(ROOM);
		hold.release();
		await expect(entering).rejects.toEqual(refusal('not_home'));
		await settled();
		expect(a.stages.rosterVersion(ROOM)).toBe(version);
	});

	it('finds out from the store when nobody else tells it, and does not write again', async () => {
		const ann = await enter(a, someone('ann'));
		await settled();
		await takeOver(b, 2);
		await a.stages.setMuted(ann, true);
		await settled();
		expect(ann.connection.ended).toEqual({ ending: 'moved' });
		await expect(enter(a, someone('bob'))).rejects.toEqual(refusal('not_home'));
		expect(stageStore.latest(ROOM)).toMatchObject({ epoch: 2, roster: { participants: [{ muted: false }] } });
	});

	it('may become the home again, and has everybody back', async () => {
		await enter(a, someone('ann'));
		await settled();
		a.homes.lose(ROOM, 'released');
		await takeOver(b, 2);
		await enter(b, someone('bob'));
		await settled();
		b.homes.lose(ROOM, 'released');
		await takeOver(a, 3);
		expect(a.stages.roster(ROOM).map(({ subject, connection }) => [subject, connection])).toEqual([['ann', 'reconnecting'], ['bob', 'reconnecting']]);
		const ann = await enter(a, someone('ann'));
		expect(ann.connection.of('welcome')).toHaveLength(1);
		expect(a.log.errors).toEqual([]);
	});

	it('under a greater number but without a break goes on, and saves under it', async () => {
		const ann = await enter(a, someone('ann'));
		await settled();
		a.homes.gain(ROOM, 4, false);
		await settled();
		expect(ann.connection.ended).toBeNull();
		expect(stageStore.latest(ROOM)).toMatchObject({ epoch: 4, roster: { participants: [{ subject: 'ann', connection: 'connected' }] } });
	});
});

describe('saving', () => {
	it('writes one roster at a time, and after it only the newest', async () => {
		const ann = await enter(a, someone('ann'));
		await settled();
		const before = stageStore.saved.length;
		const hold = stageStore.gates.hold('saveStage');
		await a.stages.setMuted(ann, true);
		await hold.reached;
		for (const muted of [false, true, false, true]) await a.stages.setMuted(ann, muted);
		await settled();
		expect(stageStore.saved).toHaveLength(before);
		hold.release();
		await settled();
		expect(stageStore.saved.slice(before).map(({ roster }) => roster.version)).toEqual([a.stages.rosterVersion(ROOM) - 4, a.stages.rosterVersion(ROOM)]);
	});

	it('keeps what failed and writes it with the next change or when asked', async () => {
		stageStore.away = true;
		const ann = await enter(a, someone('ann'));
		await settled();
		expect(await a.stages.flush(ROOM)).toBe(false);
		expect(stageStore.saved).toEqual([]);
		stageStore.away = false;
		expect(await a.stages.flush()).toBe(true);
		expect(stageStore.latest(ROOM)?.roster.version).toBe(a.stages.rosterVersion(ROOM));
		stageStore.away = true;
		await a.stages.setMuted(ann, true);
		await settled();
		stageStore.away = false;
		await a.stages.setMuted(ann, false);
		await settled();
		expect(stageStore.latest(ROOM)?.roster.version).toBe(a.stages.rosterVersion(ROOM));
		expect(ann.connection.ended).toBeNull();
	});

	it('tries once more by itself what changed while a write failed', async () => {
		const hold = stageStore.gates.hold('saveStage');
		const ann = await enter(a, someone('ann'));
		await hold.reached;
		await a.stages.setMuted(ann, true);
		hold.fail(new DomainError('store_unavailable', 'away'));
		await settled();
		expect(stageStore.latest(ROOM)?.roster.version).toBe(a.stages.rosterVersion(ROOM));
	});

	it('ends with the room', async () => {
		await enter(a, someone('ann'));
		await rooms.remove(ROOM);
		await settled();
		expect(a.stages.stateOf(ROOM)).toEqual({ epoch: 0, roster: EMPTY_ROSTER });
	});
});

function participant(subject: string, change: Partial<Participant> = {}): Participant {
	const id = participantIdOf(ROOM, subject);
	return { id, subject, number: 1, name: subject, role: 'speaker', kind: 'browser', muted: false, connection: 'connected', mediaId: null, joinedAt: '2026-05-24T20:00:00.000Z', ...change };
}

describe('a node that is not the home', () => {
	const one = withEntered(EMPTY_ROSTER, participant('ann'));
	const two = withEntered(one, participant('bob', { number: 2 }));

	it('knows who is on stage from what the home says, and tells of it', () => {
		b.stages.applyRemoteStage(ROOM, 1, one);
		b.stages.applyRemoteStage(ROOM, 1, two);
		expect(b.stages.roster(ROOM)).toBe(two.participants);
		expect(b.changes).toEqual([1, 2]);
		expect(b.stages.participantCount).toBe(0);
	});

	it.each([
		['an older version', 1, one],
		['the same again', 1, two],
		['a home that was before', 0, withLeft(withLeft(two, idOf('ann')), idOf('bob'))],
	])('ignores %s', (_what, epoch, roster) => {
		b.stages.applyRemoteStage(ROOM, 1, two);
		b.stages.applyRemoteStage(ROOM, epoch, roster);
		expect(b.stages.roster(ROOM)).toBe(two.participants);
		expect(b.changes).toEqual([2]);
	});

	it('tells of it also when its store has taken in what comes before it says so, and keeps the newest of both', () => {
		let stored: StageState | undefined;
		const c = makeNode({ saveStage: async () => {}, loadStage: async () => stored, stageOf: () => stored });
		for (const roster of [one, two]) {
			stored = { epoch: 1, roster };
			c.stages.applyRemoteStage(ROOM, 1, roster);
			c.stages.applyRemoteStage(ROOM, 1, roster);
		}
		expect(c.changes).toEqual([one.version, two.version]);
		const d = makeNode({ saveStage: async () => {}, loadStage: async () => stored, stageOf: () => stored });
		d.stages.applyRemoteStage(ROOM, 1, one);
		expect([d.stages.roster(ROOM), d.changes]).toEqual([two.participants, [two.version]]);
	});

	it('believes a later home whatever its version', () => {
		b.stages.applyRemoteStage(ROOM, 1, two);
		b.stages.applyRemoteStage(ROOM, 2, one);
		expect(b.stages.roster(ROOM)).toBe(one.participants);
	});

	it('is not told by others of what lives here', async () => {
		await enter(a, someone('ann'));
		const mine = a.stages.stateOf(ROOM);
		a.stages.applyRemoteStage(ROOM, 9, two);
		expect(a.stages.stateOf(ROOM)).toEqual(mine);
	});

	it('forgets a room that is removed', async () => {
		b.stages.applyRemoteStage(ROOM, 1, two);
		await rooms.remove(ROOM);
		expect(b.stages.roster(ROOM)).toEqual([]);
	});
});
