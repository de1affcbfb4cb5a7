import type { Permission } from '../../auth/roles.ts';
import { DomainError } from '../errors.ts';
import type { Participant, Room, StageRole } from '../rooms/room.ts';
import type { RoomCommand } from '../rooms/room-transitions.ts';
import { participantIdOf } from '../rooms/stage-roster.ts';
import { outranks, type StageRules, type Standing, standingOf } from '../rooms/stage-rules.ts';
import { handState, type HandState, matterOf } from './hand-state.ts';
import { type HandsPage, HANDS_SHOWN, type StageSettings } from './protocol.ts';
import { actingAs, requirePowerOver, requireRight, type StagePrincipal } from './stage-policy.ts';
import type { StageLog } from './stage-log.ts';
import type { StageRoom } from './stage-room.ts';

export interface StagePeopleOptions {
	room: (roomId: string) => Room | undefined;
	transition: (roomId: string, command: RoomCommand) => Promise<Room>;
	/** Whose home this node is. Rejects with `not_home`. */
	stageOf: (roomId: string) => Promise<StageRoom>;
	/** What is settled for a stage, wherever it lives, as far as it is known here. */
	rulesOf: (roomId: string) => StageRules;
	/** Whether all that has changed of this stage was kept; never rejects. */
	flush: (roomId: string) => Promise<boolean>;
	/** Somebody was banned: everything else of theirs in the room is to end. */
	onBanned: (roomId: string, subject: string) => void;
	epochOf: (roomId: string) => number | undefined;
	log: StageLog;
}

/** Somebody whose place alone has moved is told after this long. */
const MOVED_MS = 3_000;
const DOWN: Readonly<Record<StageRole, StageRole | 'listener'>> = { host: 'cohost', cohost: 'speaker', speaker: 'listener' };

/**
 * What people do with each other on and around a stage: hands, invitations, roles, and what hosts and co-hosts may do to
 * others. Roles are those that the stage gives, whatever the tokens say. All methods reject with DomainErrors: `forbidden`,
 * `room_not_found`, `not_home`, and those named.
 */
export class StagePeople {
	readonly #options: StagePeopleOptions;

	constructor(options: StagePeopleOptions) {
		this.#options = options;
	}

	/** The principal with the role that the room's stage gives it. */
	actingAs<P extends StagePrincipal>(principal: P, roomId: string): P {
		return actingAs(principal, roomId, this.#options.rulesOf(roomId));
	}

	/** Puts a hand up or down. Resolves once it would survive this node. Rejects with `already_on_stage`, `hands_full`, `room_not_open`, `room_ended`. */
	async raiseHand(principal: StagePrincipal, roomId: string, raised: boolean): Promise<HandState> {
		const { stage, id } = await this.#audience(principal, roomId);
		if (raised) {
			this.#requireDoorsOpen(roomId);
			if (stage.roster.find(id)) throw new DomainError('already_on_stage', 'You are on stage already.');
			stage.hands.raise({ id, subject: principal.subject, name: principal.name });
		} else {
			stage.hands.lower(id);
		}
		await this.#kept(stage, roomId);
		return handState(stage, id);
	}

	/** How a hand stands, once that differs from `version`, or after `waitMs`. Rejects with `too_many_requests` when too many wait. */
	async hand(principal: StagePrincipal, roomId: string, { version, waitMs = 0 }: { version?: number; waitMs?: number } = {}): Promise<HandState> {
		const { stage, id } = await this.#audience(principal, roomId);
		const now = handState(stage, id);
		if (version === undefined || waitMs <= 0 || matterOf(now.version) !== matterOf(version)) return now;
		// In a queue that moves all the time nobody is to ask all the time.
		await stage.hands.change(id, now.version === version ? waitMs : Math.min(waitMs, MOVED_MS));
		return handState(stage, id);
	}

	/** Rejects with `not_invited`, `stage_locked`, `stage_full`. */
	async answerInvitation(principal: StagePrincipal, roomId: string, accept: boolean): Promise<HandState> {
		const { stage, id } = await this.#audience(principal, roomId);
		if (!stage.hands.get(id)?.invitation) throw new DomainError('not_invited', 'Nobody has invited you, or the invitation is over.');
		if (accept) {
			stage.order.requirePlaceFor(id, 'speaker');
			this.#bringUp(stage, id);
		} else {
			stage.hands.decline(id);
		}
		await this.#kept(stage, roomId);
		return handState(stage, id);
	}

	/** The queue, for hosts and co-hosts. */
	async hands(actor: StagePrincipal, roomId: string, range: { limit?: number | undefined; after?: string | undefined } = {}): Promise<HandsPage> {
		const { stage } = await this.#moderated(actor, roomId);
		return stage.hands.page({ limit: range.limit ?? HANDS_SHOWN, ...(range.after !== undefined && { after: range.after }) });
	}

	/** Lowers somebody's hand, or takes an invitation back. Rejects with `participant_not_found`. */
	async lowerHand(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const { stage } = await this.#moderated(actor, roomId);
		if (!stage.hands.remove(participantId)) throw nobody();
	}

	/** Asks somebody in the audience onto the stage. Rejects with `already_on_stage`, `stage_locked`, `stage_full`, `hands_full`. */
	async invite(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const { stage, acting } = await this.#moderated(actor, roomId);
		if (stage.roster.find(participantId)) throw new DomainError('already_on_stage', 'This person is on stage already.');
		stage.order.requirePlaceFor(participantId, 'speaker');
		stage.hands.invite(participantId, acting.name);
		this.#log(roomId, participantId, actor, 'participant invited');
	}

	/**
	 * A raised hand comes on stage at once, for the hand says yes already; a speaker becomes a co-host; `host` hands over:
	 * an acting host who is on stage is a co-host then. Default: one step. Rejects with `participant_not_found`,
	 * `stage_locked`, `stage_full`, and `invalid_request` for what would be no step up.
	 */
	async promote(actor: StagePrincipal, roomId: string, participantId: string, role?: StageRole): Promise<void> {
		const { stage, acting } = await this.#moderated(actor, roomId);
		const target = stage.roster.find(participantId);
		const to = role ?? (target ? 'cohost' : 'speaker');
		if (to === 'host') requireRight(acting, 'room:state', roomId);
		if (!target) {
			if (to !== 'speaker') throw nobody();
			// Without a hand there is no consent: that takes an invitation.
			if (stage.hands.get(participantId)?.raisedAt == null) throw nobody('Nobody with this id has a hand up.');
			stage.order.requirePlaceFor(participantId, 'speaker');
			this.#bringUp(stage, participantId);
		} else {
			if (!outranks(to, target.role)) throw new DomainError('invalid_request', `A ${target.role} cannot be promoted to ${to}.`);
			stage.order.appoint(this.#standing(stage, participantId, to));
			if (to === 'host') this.#stepBack(stage, acting, roomId);
		}
		this.#log(roomId, participantId, actor, 'participant promoted', to);
	}

	/**
	 * Default: one step. Somebody who was brought up and is not on stage (yet, or any more) may not come any more then.
	 * Rejects with `participant_not_found`, and `invalid_request` for what would be no step down.
	 */
	async demote(actor: StagePrincipal, roomId: string, participantId: string, role?: 'speaker' | 'listener'): Promise<void> {
		const { stage, acting } = await this.#moderated(actor, roomId);
		const target = stage.roster.find(participantId);
		const standing = standingOf(stage.roster.rules, participantId);
		const from = target?.role ?? standing?.role;
		if (from === undefined || (!target && from === 'listener')) throw nobody();
		requirePowerOver(acting, roomId, { role: from });
		const to = role ?? (target ? DOWN[target.role] : 'listener');
		if (!outranks(from, to)) throw new DomainError('invalid_request', `A ${from} cannot be demoted to ${to}.`);
		if (target && to === 'listener') await stage.order.demote(participantId);
		else stage.order.appoint({ id: participantId, role: to, kind: 'cap' });
		this.#log(roomId, participantId, actor, 'participant demoted', to);
	}

	/** Rejects with `participant_not_found`. */
	async mute(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const { stage, acting } = await this.#over(actor, roomId, participantId);
		await stage.media.setMuted(participantId, true, acting.name);
	}

	/** Everybody but hosts and whoever asks for it. Tries them all before it rejects with the first refusal. */
	async muteAll(actor: StagePrincipal, roomId: string): Promise<void> {
		const { stage, acting } = await this.#moderated(actor, roomId);
		const others = stage.roster.participants.filter(({ role, subject, muted }) => role !== 'host' && subject !== actor.subject && !muted);
		const results = await Promise.allSettled(others.map(({ id }) => stage.media.setMuted(id, true, acting.name)));
		for (const result of results) {
			// Whoever has left meanwhile is silent too.
			const left = result.status === 'rejected' && result.reason instanceof DomainError && result.reason.code === 'participant_not_found';
			if (result.status === 'rejected' && !left) throw result.reason;
		}
	}

	/**
	 * Asks somebody to unmute, which only the person can do; the person's own token does it.
	 * Rejects with `participant_not_found`, `not_reachable`.
	 */
	async unmute(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		this.#requireRoom(roomId);
		if (participantIdOf(roomId, actor.subject) === participantId) {
			const stage = await this.#options.stageOf(roomId);
			await stage.media.setMuted(participantId, false);
			return;
		}
		const { stage, acting } = await this.#moderated(actor, roomId);
		stage.media.askToUnmute(participantId, acting.name);
	}

	/** Takes somebody off the stage. Rejects with `participant_not_found`. */
	async kick(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const { stage } = await this.#over(actor, roomId, participantId);
		await stage.order.kick(participantId);
		this.#log(roomId, participantId, actor, 'participant kicked');
	}

	/**
	 * Takes somebody off the stage or out of the queue, and refuses the subject in this room from now on. Resolves once the
	 * ban is stored. Rejects with `participant_not_found`.
	 */
	async ban(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const { stage, acting } = await this.#moderated(actor, roomId);
		const target = stage.roster.find(participantId);
		const hand = stage.hands.get(participantId);
		const who = target ?? (hand?.subject == null ? undefined : { subject: hand.subject, name: hand.name });
		if (!who) throw nobody();
		if (target) requirePowerOver(acting, roomId, target);
		await this.#ban(stage, roomId, who, actor);
	}

	/** The same by subject, of somebody who need not be here. */
	async banSubject(actor: StagePrincipal, roomId: string, subject: string, name: string): Promise<void> {
		const { stage, acting } = await this.#moderated(actor, roomId);
		const target = stage.roster.find(participantIdOf(roomId, subject));
		if (target) requirePowerOver(acting, roomId, target);
		await this.#ban(stage, roomId, { subject, name: target?.name ?? name }, actor);
	}

	/** Doors, live, ended; for hosts. */
	async command(actor: StagePrincipal, roomId: string, command: RoomCommand): Promise<Room> {
		await this.#moderated(actor, roomId, 'room:state');
		return this.#options.transition(roomId, command);
	}

	/** What is set for the stage as a whole, and who is shown first, for hosts and co-hosts. */
	async settings(actor: StagePrincipal, roomId: string): Promise<StageSettings & { order: readonly string[] }> {
		const { stage } = await this.#moderated(actor, roomId);
		return { ...stage.order.settings, order: stage.roster.rules.order };
	}

	/** Rejects with `invalid_request` for a size that the node does not allow. */
	async set(actor: StagePrincipal, roomId: string, change: { locked?: boolean; maxSize?: number; order?: readonly string[] }): Promise<StageSettings & { order: readonly string[] }> {
		const { stage } = await this.#moderated(actor, roomId);
		stage.order.set(change);
		this.#options.log.info({ room: roomId, epoch: this.#options.epochOf(roomId), by: actor.subject, ...stage.order.settings }, 'stage set');
		return { ...stage.order.settings, order: stage.roster.rules.order };
	}

	async #ban(stage: StageRoom, roomId: string, who: Pick<Participant, 'subject' | 'name'>, actor: StagePrincipal): Promise<void> {
		if (who.subject === actor.subject) throw new DomainError('invalid_request', 'Nobody can ban themselves.');
		await stage.door.ban(who, actor.subject);
		this.#options.onBanned(roomId, who.subject);
		this.#log(roomId, participantIdOf(roomId, who.subject), actor, 'participant banned');
	}

	/** Out of the queue and allowed onto the stage; the person's page does the rest. */
	#bringUp(stage: StageRoom, participantId: string): void {
		stage.order.appoint(this.#standing(stage, participantId, 'speaker'));
		stage.hands.remove(participantId);
	}

	/** Somebody who was held down to a role is lifted to this one and no further. */
	#standing({ roster: { rules } }: StageRoom, id: string, role: StageRole): Standing {
		return { id, role, kind: standingOf(rules, id)?.kind ?? 'floor' };
	}

	#stepBack(stage: StageRoom, acting: StagePrincipal, roomId: string): void {
		const id = participantIdOf(roomId, acting.subject);
		// An admin need not be on stage, and is not bound by any standing.
		if (acting.role === 'host' && stage.roster.find(id)) stage.order.appoint({ id, role: 'cohost', kind: 'cap' });
	}

	async #audience(principal: StagePrincipal, roomId: string): Promise<{ stage: StageRoom; id: string }> {
		requireRight(principal, 'room:react', roomId);
		if (this.#requireRoom(roomId).state === 'ended') throw new DomainError('room_ended', 'This room has ended.');
		return { stage: await this.#options.stageOf(roomId), id: participantIdOf(roomId, principal.subject) };
	}

	async #moderated(actor: StagePrincipal, roomId: string, permission: Permission = 'stage:moderate'): Promise<{ stage: StageRoom; acting: StagePrincipal }> {
		// Known here or not, whoever can never do this is told so before anything is loaded.
		if (actor.roomId !== undefined && actor.roomId !== roomId) requireRight(actor, permission, roomId);
		this.#requireRoom(roomId);
		const stage = await this.#options.stageOf(roomId);
		const acting = actingAs(actor, roomId, stage.roster.rules);
		requireRight(acting, permission, roomId);
		return { stage, acting };
	}

	/** The stage on which `actor` may act on the participant. */
	async #over(actor: StagePrincipal, roomId: string, participantId: string): Promise<{ stage: StageRoom; acting: StagePrincipal; target: Participant }> {
		const { stage, acting } = await this.#moderated(actor, roomId);
		const target = stage.roster.find(participantId);
		if (!target) throw nobody();
		requirePowerOver(acting, roomId, target);
		return { stage, acting, target };
	}

	#requireRoom(roomId: string): Room {
		const room = this.#options.room(roomId);
		if (!room) throw new DomainError('room_not_found', 'There is no room with this id.');
		return room;
	}

	#requireDoorsOpen(roomId: string): void {
		if (this.#requireRoom(roomId).state === 'scheduled') throw new DomainError('room_not_open', 'The doors of this room are not open yet.');
	}

	/** A store that is away holds nobody up: what could not be kept is kept later. */
	async #kept(stage: StageRoom, roomId: string): Promise<void> {
		await stage.hands.whenKept();
		await this.#options.flush(roomId);
		// The home may have moved meanwhile, without this change: then it has not happened.
		await stage.hands.whenKept();
	}

	#log(room: string, participant: string, actor: StagePrincipal, message: string, role?: string): void {
		const { log, epochOf } = this.#options;
		log.info({ room, participant, epoch: epochOf(room), by: actor.subject, ...(role !== undefined && { role }) }, message);
	}
}

function nobody(detail = 'Nobody on this stage or in its queue has that id.'): DomainError {
	return new DomainError('participant_not_found', detail);
}
