// One node with the stage of one room, over stand-ins for media and store. `setUp` makes it anew.
import { expect } from 'vitest';
import type { Role } from '../../auth/roles.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import type { Participant } from '../../server/rooms/room.ts';
import { participantIdOf } from '../../server/rooms/stage-roster.ts';
import type { StagePrincipal } from '../../server/stage/stage-policy.ts';
import { type StagePlace, StageService } from '../../server/stage/stage-service.ts';
import { FakeConnection, FakeMedia, FakeStore, recordingLog, VirtualClock } from './stage-fakes.ts';

export const ROOM = 'launch';
export const GRACE_MS = 10_000;

export let clock: VirtualClock;
export let media: FakeMedia;
export let store: FakeStore;
export let rooms: RoomDirectory;
export let stages: StageService;
export let log: ReturnType<typeof recordingLog>;

export async function setUp(maxStageSize = 5): Promise<void> {
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

export function someone(subject: string, role: Role = 'speaker', roomId: string = ROOM): StagePrincipal {
	return { subject, name: `Name of ${subject}`, role, ...(role !== 'admin' && { roomId }) };
}

export type OnStage = StagePlace & { connection: FakeConnection; principal: StagePrincipal; resumed: boolean };

export async function enter(principal: StagePrincipal, roomId = ROOM): Promise<OnStage> {
	const connection = new FakeConnection();
	const { participant, resumed } = await stages.enter(principal, roomId, connection);
	return { roomId, participantId: participant.id, connection, principal, resumed };
}

export const subjects = (): string[] => stages.roster(ROOM).map(({ subject }) => subject);
export const inRoster = (subject: string): Participant | undefined => stages.roster(ROOM).find((participant) => participant.subject === subject);
export const idOf = (subject: string): string => participantIdOf(ROOM, subject);
export const produce = (place: StagePlace) => stages.run(place, () => media.produce(place.roomId, place.participantId));

/** All that was set off has run: every fake answers within a few turns of the event loop. */
export async function settled(): Promise<void> {
	for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function expectNoGhosts(): void {
	expect(media.speakers(ROOM)).toEqual(
		stages
			.roster(ROOM)
			.map(({ id }) => id)
			.toSorted(),
	);
	expect(log.errors).toEqual([]);
}

export const refusal = (code: string) => expect.objectContaining({ name: 'DomainError', code });
