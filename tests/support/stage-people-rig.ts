// The home of one room that is open, and what people around its stage do. `setUp` makes it anew.
import { expect } from 'vitest';
import type { Role } from '../../auth/roles.ts';
import { DomainError } from '../../server/errors.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import type { Participant } from '../../server/rooms/room.ts';
import { participantIdOf } from '../../server/rooms/stage-roster.ts';
import type { HandState } from '../../server/stage/hand-state.ts';
import type { StagePrincipal } from '../../server/stage/stage-policy.ts';
import { type StagePlace, StageService } from '../../server/stage/stage-service.ts';
import { FakeConnection, FakeHomes, FakeMedia, FakeStageStore, FakeStore, recordingLog, VirtualClock } from './stage-fakes.ts';

export const ROOM = 'launch';
export const GRACE_MS = 10_000;

export let clock: VirtualClock;
export let media: FakeMedia;
export let store: FakeStore;
export let stageStore: FakeStageStore;
export let homes: FakeHomes;
export let rooms: RoomDirectory;
export let stages: StageService;
export let log: ReturnType<typeof recordingLog>;
export let banned: string[];

/** A node of its own over the same stores, as after a home has died. */
export function openNode(): { stages: StageService; homes: FakeHomes; media: FakeMedia } {
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

/** From here on the node that tests speak of is another one. */
export function openHome(): void {
	({ stages, homes, media } = openNode());
}

/** Nothing is kept of any stage. */
export function emptyStageStore(): void {
	stageStore = new FakeStageStore();
}

export async function setUp(): Promise<void> {
	clock = new VirtualClock();
	store = new FakeStore();
	emptyStageStore();
	log = recordingLog();
	banned = [];
	rooms = await RoomDirectory.create({ store, now: clock.now, randomId: () => 'some-room', defaults: { voices: 3 } });
	await rooms.create({ id: ROOM, title: 'The announcement' });
	await rooms.transition(ROOM, 'open');
	openHome();
	homes.gain(ROOM, 1);
}

export function someone(subject: string, role: Role = 'speaker'): StagePrincipal {
	return { subject, name: `Name of ${subject}`, role, ...(role !== 'admin' && { roomId: ROOM }) };
}
export const listener = (subject: string): StagePrincipal => someone(subject, 'listener');
export const idOf = (subject: string): string => participantIdOf(ROOM, subject);
export const refusal = (code: string, reason?: string): unknown =>
	expect.objectContaining({ constructor: DomainError, code, ...(reason !== undefined && { extra: { reason } }) });
export const inRoster = (subject: string): Participant | undefined => stages.roster(ROOM).find((participant) => participant.subject === subject);

export type OnStage = StagePlace & { connection: FakeConnection; principal: StagePrincipal };
export async function enter(principal: StagePrincipal): Promise<OnStage> {
	const connection = new FakeConnection();
	const { participant } = await stages.enter(principal, ROOM, connection);
	return { roomId: ROOM, participantId: participant.id, connection, principal };
}
/** What the hand's own page does once it has a token for the stage. */
export const comeUp = (subject: string): Promise<OnStage> => enter(someone(subject));

/** All that was set off has run: every fake answers within a few turns of the event loop. */
export async function settled(): Promise<void> {
	for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Puts up a hand and lets its writing happen, however soon after another one. */
export async function raise(subject: string, raised = true): Promise<HandState> {
	const raising = stages.people.raiseHand(listener(subject), ROOM, raised);
	await settled();
	clock.advance(250);
	return raising;
}
