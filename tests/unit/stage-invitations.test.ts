// That somebody is invited is known to every node, and to each only when it is news.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Role } from '../../auth/roles.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import { participantIdOf } from '../../server/rooms/stage-roster.ts';
import { INVITATION_MS } from '../../server/stage/stage-hands.ts';
import type { StagePrincipal } from '../../server/stage/stage-policy.ts';
import { StageService } from '../../server/stage/stage-service.ts';
import { FakeConnection, FakeHomes, FakeMedia, FakeStageStore, FakeStore, recordingLog, VirtualClock } from '../support/stage-fakes.ts';

const ROOM = 'launch';
let clock: VirtualClock;
let store: FakeStore;
let stageStore: FakeStageStore;
let rooms: RoomDirectory;
let home: Node;
let other: Node;

interface Node {
	homes: FakeHomes;
	stages: StageService;
	/** Who was invited at each change. */
	news: string[][];
}

function makeNode(): Node {
	const homes = new FakeHomes();
	const stages = StageService.create({
		rooms, store, stageStore, homes, media: new FakeMedia(), log: recordingLog(), now: clock.now, schedule: clock.schedule,
		randomId: () => 'media', reconnectGraceMs: 10_000, maxStageSize: 6,
	});
	const news: string[][] = [];
	stages.on('invitationsChanged', (roomId) => news.push([...stages.invitationsIn(roomId).keys()]));
	return { homes, stages, news };
}

beforeEach(async () => {
	clock = new VirtualClock();
	store = new FakeStore();
	stageStore = new FakeStageStore();
	rooms = await RoomDirectory.create({ store, now: clock.now, randomId: () => 'some-room', defaults: { voices: 3 } });
	await rooms.create({ id: ROOM, title: 'The announcement' });
	await rooms.transition(ROOM, 'open');
	home = makeNode();
	other = makeNode();
	home.homes.gain(ROOM, 1);
});

const someone = (subject: string, role: Role = 'listener'): StagePrincipal => ({ subject, name: subject, role, roomId: ROOM });
const idOf = (subject: string): string => participantIdOf(ROOM, subject);
const host = someone('hana', 'host');
const settled = async (): Promise<void> => {
	for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};
/** The home's state as it comes to a node that is not the home. */
const arrive = (at: Node): void => {
	const { epoch, roster } = home.stages.stateOf(ROOM);
	at.stages.applyRemoteStage(ROOM, epoch, roster);
};

describe('an open invitation', () => {
	it('is known at the home at once, and elsewhere with the state of the stage', async () => {
		await home.stages.people.invite(host, ROOM, idOf('bob'));
		expect([home.news, other.news]).toEqual([[[idOf('bob')]], []]);
		expect(home.stages.invitationsIn(ROOM).get(idOf('bob'))).toEqual({ by: 'hana', expiresAt: new Date(clock.now().getTime() + INVITATION_MS).toISOString() });
		arrive(other);
		expect(other.news).toEqual([[idOf('bob')]]);
		expect(other.stages.invitationsIn(ROOM)).toEqual(home.stages.invitationsIn(ROOM));
	});

	it.each([
		['declined', () => home.stages.people.answerInvitation(someone('bob'), ROOM, false)],
		['accepted', () => home.stages.people.answerInvitation(someone('bob'), ROOM, true)],
		['taken back', () => home.stages.people.lowerHand(host, ROOM, idOf('bob'))],
		['not answered in time', async () => clock.advance(INVITATION_MS)],
	] as const)('that is %s is over, at the home and elsewhere', async (_how, over) => {
		await home.stages.people.invite(host, ROOM, idOf('bob'));
		arrive(other);
		const done = over();
		await settled();
		clock.advance(1_000);
		await done;
		arrive(other);
		expect([home.news, other.news]).toEqual([[[idOf('bob')], []], [[idOf('bob')], []]]);
	});

	it('is no news when hands go up and down, or people come and go', async () => {
		await home.stages.people.invite(host, ROOM, idOf('bob'));
		arrive(other);
		void home.stages.people.raiseHand(someone('ann'), ROOM, true);
		await home.stages.enter(someone('hana', 'host'), ROOM, new FakeConnection());
		clock.advance(1_000);
		await settled();
		arrive(other);
		expect(home.stages.stateOf(ROOM).roster.hands).toHaveLength(2);
		expect([home.news.length, other.news.length]).toEqual([1, 1]);
	});

	it('that was never heard of here becomes known with the home itself, and is news then', async () => {
		await home.stages.people.invite(host, ROOM, idOf('bob'));
		await settled();
		other.homes.gain(ROOM, 2);
		await settled();
		expect(other.news).toEqual([[idOf('bob')]]);
		clock.advance(INVITATION_MS);
		expect(other.stages.invitationsIn(ROOM).size).toBe(0);
	});
});
