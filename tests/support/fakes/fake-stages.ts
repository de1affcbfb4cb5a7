import { DomainError } from '../../../server/errors.ts';
import type { SessionCreated } from '../../../server/programme/room-media.ts';
import type { Participant } from '../../../server/rooms/room.ts';
import type { HandState } from '../../../server/stage/hand-state.ts';
import type { StagePeople } from '../../../server/stage/stage-people.ts';
import { requireRight, type StagePrincipal } from '../../../server/stage/stage-policy.ts';
import type { StageService } from '../../../server/stage/stage-service.ts';
import type { FakeRoomMedia } from './fake-room-media.ts';
import type { FakeRoomStore } from './fake-room-store.ts';

/** The part of `StageService` that HTTP routes use: a roster without media. */
export class FakeStages implements Pick<StageService, 'roster' | 'publish'> {
	readonly people: FakePeople;
	readonly participants = new Map<string, Participant[]>();
	readonly #media: FakeRoomMedia;

	constructor(media: FakeRoomMedia, store: FakeRoomStore) {
		this.#media = media;
		this.people = new FakePeople(this, store);
	}

	put(roomId: string, given: Partial<Participant> & Pick<Participant, 'id' | 'subject'>): void {
		const people = this.participants.get(roomId) ?? [];
		people.push({
			number: people.length + 1,
			name: 'Somebody',
			role: 'speaker',
			kind: 'browser',
			muted: false,
			connection: 'connected',
			mediaId: null,
			joinedAt: '2026-01-01T00:00:00.000Z',
			...given,
		});
		this.participants.set(roomId, people);
	}

	roster(roomId: string): readonly Participant[] {
		return this.participants.get(roomId) ?? [];
	}

	async publish(principal: StagePrincipal, roomId: string, offer: string): Promise<SessionCreated> {
		this.put(roomId, { id: `p-${principal.subject}`, subject: principal.subject, kind: 'encoder' });
		return this.#media.seat(roomId, offer);
	}
}

const DOWN: HandState = { version: 0, raised: false, position: null, total: 0, invitation: null, onStage: false, granted: false };

/** Looks at the token's own role, as the stage does with whom nobody has promoted or demoted; nobody is ever in the queue. */
export class FakePeople implements Pick<StagePeople, keyof StagePeople> {
	readonly #stages: FakeStages;
	readonly #store: FakeRoomStore;

	constructor(stages: FakeStages, store: FakeRoomStore) {
		this.#stages = stages;
		this.#store = store;
	}

	actingAs<P extends StagePrincipal>(principal: P): P {
		return principal;
	}
	async raiseHand(principal: StagePrincipal, roomId: string, raised: boolean): Promise<HandState> {
		requireRight(principal, 'room:react', roomId);
		return { ...DOWN, version: 1, raised, ...(raised && { position: 1, total: 1 }) };
	}
	async hand(principal: StagePrincipal, roomId: string): Promise<HandState> {
		requireRight(principal, 'room:react', roomId);
		return DOWN;
	}
	async answerInvitation(principal: StagePrincipal, roomId: string): Promise<HandState> {
		requireRight(principal, 'room:react', roomId);
		throw new DomainError('not_invited', 'Nobody has invited you');
	}
	async hands(actor: StagePrincipal, roomId: string): Promise<{ hands: []; total: number; version: number }> {
		requireRight(actor, 'stage:moderate', roomId);
		return { hands: [], total: 0, version: 0 };
	}
	async lowerHand(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		this.#find(actor, roomId, participantId);
	}
	async invite(actor: StagePrincipal, roomId: string): Promise<void> {
		requireRight(actor, 'stage:moderate', roomId);
	}
	async promote(actor: StagePrincipal, roomId: string, participantId: string, role: Participant['role'] = 'cohost'): Promise<void> {
		this.#find(actor, roomId, participantId).role = role;
	}
	async demote(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		this.#find(actor, roomId, participantId).role = 'speaker';
	}
	async mute(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		this.#find(actor, roomId, participantId).muted = true;
	}
	async muteAll(actor: StagePrincipal, roomId: string): Promise<void> {
		requireRight(actor, 'stage:moderate', roomId);
		for (const person of this.#stages.roster(roomId)) person.muted = true;
	}
	async unmute(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		this.#find(actor, roomId, participantId);
	}
	async kick(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const person = this.#find(actor, roomId, participantId);
		this.#stages.participants.set(roomId, this.#stages.roster(roomId).filter((other) => other !== person));
	}
	async ban(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const { subject, name } = this.#find(actor, roomId, participantId);
		await this.kick(actor, roomId, participantId);
		await this.banSubject(actor, roomId, subject, name);
	}
	async banSubject(actor: StagePrincipal, roomId: string, subject: string, name: string): Promise<void> {
		requireRight(actor, 'stage:moderate', roomId);
		await this.#store.ban({ roomId, subject, name, bannedBy: actor.subject, bannedAt: '2026-01-01T00:00:00.000Z' });
	}
	command(): Promise<never> {
		return Promise.reject(new Error('nobody commands by socket in these tests'));
	}
	settings(actor: StagePrincipal, roomId: string): ReturnType<StagePeople['set']> {
		return this.set(actor, roomId, {});
	}
	async set(actor: StagePrincipal, roomId: string, { locked = false, maxSize = 50, order = [] }: Parameters<StagePeople['set']>[2]): Promise<Awaited<ReturnType<StagePeople['set']>>> {
		requireRight(actor, 'stage:moderate', roomId);
		return { locked, maxSize, order, recording: false };
	}

	#find(actor: StagePrincipal, roomId: string, participantId: string): Participant {
		requireRight(actor, 'stage:moderate', roomId);
		const person = this.#stages.roster(roomId).find(({ id }) => id === participantId);
		if (!person) throw new DomainError('participant_not_found', 'Nobody on this stage has that id');
		return person;
	}
}
