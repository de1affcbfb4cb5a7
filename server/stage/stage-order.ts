import { DomainError } from '../errors.ts';
import { isRecording, type Room, type StageRole } from '../rooms/room.ts';
import { withRules } from '../rooms/stage-roster.ts';
import { type StageRules, type Standing, standingOf, withSettings, withStanding } from '../rooms/stage-rules.ts';
import type { LiveRoster } from './live-roster.ts';
import type { StageSettings } from './protocol.ts';
import { encodeEvent } from './stage-connection.ts';
import type { StageHands } from './stage-hands.ts';
import type { StageLog } from './stage-log.ts';
import { successor } from './stage-policy.ts';
import type { StageSeats } from './stage-seats.ts';

export interface StageOrderOptions {
	roomId: string;
	/** The room as it is now. */
	room: () => Room | undefined;
	maxStageSize: number;
	roster: LiveRoster;
	seats: StageSeats;
	hands: Pick<StageHands, 'nudge'>;
	/** To somebody who may see the queue since a moment ago, if they may. */
	showHandsTo: (participantId: string) => void;
	/** The node stops: everybody is about to be lost, and nobody follows anybody. */
	stopping: () => boolean;
	/** Of the home, for the log. */
	epoch?: (() => number | undefined) | undefined;
	log: StageLog;
}

/** What is settled for one stage: how many may come, who is what there, who is not any more, and who follows a host who is gone. */
export class StageOrder {
	readonly #options: StageOrderOptions;

	constructor(options: StageOrderOptions) {
		this.#options = options;
	}

	get settings(): StageSettings {
		const { maxStageSize, room, roster } = this.#options;
		const { locked, maxSize } = roster.rules;
		const now = room();
		return { locked, maxSize: Math.min(maxSize ?? maxStageSize, maxStageSize), recording: now !== undefined && isRecording(now) };
	}

	/** Throws DomainError `invalid_request` for a size that this node does not allow. */
	set(change: Partial<Pick<StageRules, 'locked' | 'maxSize' | 'order'>>): void {
		const { maxStageSize, roster } = this.#options;
		roster.requireHere();
		if (change.maxSize !== undefined && change.maxSize > maxStageSize) throw new DomainError('invalid_request', `A stage holds ${maxStageSize} people at most.`);
		roster.set(withRules(roster.current, withSettings(roster.rules, change)));
	}

	/** Gives somebody, on stage or not, another standing. Of those on stage, others and they themselves see it at once. */
	appoint(standing: Standing): void {
		const { roster, seats, hands, showHandsTo } = this.#options;
		roster.requireHere();
		const { id, role } = standing;
		roster.set(withRules(roster.current, withStanding(roster.rules, standing)));
		const participant = roster.find(id);
		if (participant && role !== 'listener' && participant.role !== role) {
			roster.change(id, { role });
			seats.get(id)?.connection?.deliver(encodeEvent('role', { role }));
			showHandsTo(id);
		}
		hands.nudge(id);
		if (participant?.role === 'host' && role === 'speaker') this.succeed();
	}

	/** Takes somebody off the stage. Whoever was brought there by a host needs that again to come back. Rejects with `participant_not_found`. */
	async kick(participantId: string): Promise<void> {
		const { roster, seats } = this.#options;
		const seat = seats.require(participantId);
		if (standingOf(roster.rules, participantId)) this.appoint({ id: participantId, role: 'listener', kind: 'cap' });
		await seats.dismiss(seat, 'kicked');
	}

	/** Back to the audience, until a host says otherwise. Rejects with `participant_not_found`. */
	async demote(participantId: string): Promise<void> {
		const { seats } = this.#options;
		const seat = seats.require(participantId);
		this.appoint({ id: participantId, role: 'listener', kind: 'cap' });
		await seats.dismiss(seat, 'demoted');
	}

	/** Throws DomainError `stage_full` or `stage_locked` when this person would find no place; one that is held counts. */
	requirePlaceFor(participantId: string, role: StageRole): void {
		const { maxStageSize, seats } = this.#options;
		if (seats.get(participantId)) return;
		const { locked, maxSize } = this.settings;
		// Whoever runs the room is not to be shut out of it by their own doing.
		const runs = role !== 'speaker';
		if (locked && !runs) throw new DomainError('stage_locked', 'Nobody new comes on stage at present.', { retryAfterSeconds: 10 });
		const most = runs ? maxStageSize : maxSize;
		if (seats.size >= most) throw new DomainError('stage_full', `There are ${seats.size} people on stage; ${most} is the limit.`, { retryAfterSeconds: 10 });
	}

	/** When no host is left somebody takes over, for a room must not die with one person. */
	succeed(): void {
		const { roomId, room, roster, stopping, epoch, log } = this.#options;
		if (stopping() || room()?.state === 'ended' || roster.participants.some(({ role }) => role === 'host')) return;
		const heir = successor(roster.participants);
		if (!heir) return;
		this.appoint({ id: heir.id, role: 'host', kind: 'floor' });
		log.info({ room: roomId, participant: heir.id, epoch: epoch?.() }, 'co-host took over as host');
	}
}
