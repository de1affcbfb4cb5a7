import { DomainError } from '../../../server/errors.ts';
import type { SessionCreated } from '../../../server/programme/room-media.ts';
import type { Participant } from '../../../server/rooms/room.ts';
import type { StagePrincipal } from '../../../server/stage/stage-policy.ts';
import type { StageService } from '../../../server/stage/stage-service.ts';
import type { FakeRoomMedia } from './fake-room-media.ts';
import type { FakeRoomStore } from './fake-room-store.ts';

/** The part of `StageService` that HTTP routes use: a roster without media. */
export class FakeStages implements Pick<StageService, 'roster' | 'muteOther' | 'kick' | 'ban' | 'publish'> {
	readonly participants = new Map<string, Participant[]>();
	readonly #media: FakeRoomMedia;
	readonly #store: FakeRoomStore;

	constructor(media: FakeRoomMedia, store: FakeRoomStore) {
		this.#media = media;
		this.#store = store;
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

	async muteOther(_actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		this.#find(roomId, participantId).muted = true;
	}

	async kick(_actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const person = this.#find(roomId, participantId);
		this.participants.set(roomId, this.roster(roomId).filter((other) => other !== person));
	}

	async ban(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const { subject, name } = this.#find(roomId, participantId);
		await this.kick(actor, roomId, participantId);
		await this.#store.ban({ roomId, subject, name, bannedBy: actor.subject, bannedAt: '2026-01-01T00:00:00.000Z' });
	}

	async publish(principal: StagePrincipal, roomId: string, offer: string): Promise<SessionCreated> {
		this.put(roomId, { id: `p-${principal.subject}`, subject: principal.subject, kind: 'encoder' });
		return this.#media.seat(roomId, offer);
	}

	#find(roomId: string, participantId: string): Participant {
		const person = this.roster(roomId).find(({ id }) => id === participantId);
		if (!person) throw new DomainError('participant_not_found', 'Nobody on this stage has that id');
		return person;
	}
}
