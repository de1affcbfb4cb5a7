import { EventEmitter } from 'node:events';
import { DomainError } from '../errors.ts';
import type { Participant } from '../rooms/room.ts';
import { EMPTY_ROSTER, looksTheSame, participantIn, rulesOf, type StageRoster, withChanged } from '../rooms/stage-roster.ts';
import type { StageRules } from '../rooms/stage-rules.ts';

/**
 * The roster of a stage that lives here, and all that is kept with it: one value, replaced in one step, so that everybody
 * always sees a whole state.
 */
export class LiveRoster extends EventEmitter<{
	/** What people see has changed. */
	rosterChanged: [StageRoster];
	/** Something that is to be kept has changed; told after `rosterChanged`. */
	stateChanged: [StageRoster];
}> {
	#current: StageRoster = EMPTY_ROSTER;
	#movedAway = false;

	get current(): StageRoster {
		return this.#current;
	}

	get participants(): readonly Participant[] {
		return this.#current.participants;
	}

	get rules(): StageRules {
		return rulesOf(this.#current);
	}

	find(participantId: string): Participant | undefined {
		return participantIn(this.#current, participantId);
	}

	/** Throws DomainError `participant_not_found`. */
	require(participantId: string): Participant {
		const participant = this.find(participantId);
		if (!participant) throw nobodyHere();
		return participant;
	}

	/** Does nothing once the room lives elsewhere. */
	set(roster: StageRoster): void {
		if (roster === this.#current || this.#movedAway) return;
		const before = this.#current;
		this.#current = roster;
		if (!looksTheSame(before, roster)) this.emit('rosterChanged', roster);
		this.emit('stateChanged', roster);
	}

	/** Whoever is not on stage stays away. */
	change(participantId: string, change: Parameters<typeof withChanged>[2]): void {
		this.set(withChanged(this.#current, participantId, change));
	}

	/** The room lives elsewhere: nothing that still runs here may change anything any more. */
	moveAway(): void {
		this.#movedAway = true;
	}

	get movedAway(): boolean {
		return this.#movedAway;
	}

	/** Throws DomainError `not_home` once the room lives elsewhere. */
	requireHere(): void {
		if (this.#movedAway) throw notHome();
	}
}

export function notHome(): DomainError {
	return new DomainError('not_home', 'This room lives on another node; come back and you are taken there.');
}

export function nobodyHere(): DomainError {
	return new DomainError('participant_not_found', 'Nobody on this stage has that id.');
}
