import type { Invitation } from '../rooms/hand-queue.ts';
import { participantIdOf } from '../rooms/stage-roster.ts';

/** As much of a stream as it takes to know whose it is. */
export interface PersonalStream {
	/** Of the token that it was opened with; undefined: anybody's. */
	readonly subject: string | undefined;
	/** Of that person in the room, once it was asked for. */
	participantId: string | undefined;
}

const NOBODY: ReadonlyMap<string, Invitation> = new Map();

/**
 * Who of those who follow one room is invited onto its stage. As long as nobody is, a stream costs nothing here: not
 * even whose it is is worked out before there is somebody to be found.
 */
export class Invitees {
	readonly #roomId: string;
	#open = NOBODY;

	constructor(roomId: string) {
		this.#roomId = roomId;
	}

	/** For a room that is followed from now on: nobody is there to be told. */
	start(open: ReadonlyMap<string, Invitation>): void {
		this.#open = open;
	}

	/** What somebody who has just come is to be told; empty for all but the invited. */
	newsFor(stream: PersonalStream): string {
		if (this.#open.size === 0) return '';
		const invitation = this.#open.get(this.#idOf(stream) ?? '');
		return invitation === undefined ? '' : invitationEvent(invitation);
	}

	/** @returns what to tell, and to whom: those who are invited now, otherwise than before, or not any more */
	change<S extends PersonalStream>(open: ReadonlyMap<string, Invitation>, streams: Iterable<S>): [S, string][] {
		const before = this.#open;
		this.#open = open;
		const news = new Map<string, string>();
		for (const id of before.keys()) if (!open.has(id)) news.set(id, invitationEvent(null));
		for (const [id, invitation] of open) {
			const known = before.get(id);
			if (known?.by !== invitation.by || known.expiresAt !== invitation.expiresAt) news.set(id, invitationEvent(invitation));
		}
		const told: [S, string][] = [];
		if (news.size === 0) return told;
		for (const stream of streams) {
			const text = news.get(this.#idOf(stream) ?? '');
			if (text !== undefined) told.push([stream, text]);
		}
		return told;
	}

	#idOf(stream: PersonalStream): string | undefined {
		if (stream.subject === undefined) return undefined;
		return (stream.participantId ??= participantIdOf(this.#roomId, stream.subject));
	}
}

/** Without an id: it is no part of what `Last-Event-ID` tells, for it is told again with each new stream. */
function invitationEvent(invitation: Invitation | null): string {
	return `event: invitation\ndata: ${JSON.stringify({ invitation: invitation && { by: invitation.by, expiresAt: invitation.expiresAt } })}\n\n`;
}
