import { CLOSE_CODES, DOMAIN_ERRORS } from '../errors.ts';
import type { IceServer, StageEvent, StageEventName } from './protocol.ts';
import type { Static } from 'typebox';

/**
 * Why the server ends a connection to the stage: its close code, and what the client is told before.
 * `left` says nothing: the person asked for it and has the answer.
 */
export const STAGE_ENDINGS = {
	left: { closeCode: CLOSE_CODES.left, reconnect: false, detail: 'You have left the stage.' },
	replaced: { closeCode: CLOSE_CODES.replaced, reconnect: false, detail: 'The same person has come on stage from elsewhere.' },
	kicked: { closeCode: CLOSE_CODES.kicked, reconnect: false, detail: 'You have been taken off the stage.' },
	demoted: { closeCode: CLOSE_CODES.demoted, reconnect: false, detail: 'You are a listener now.' },
	banned: { closeCode: CLOSE_CODES.banned, reconnect: false, detail: 'You have been banned from this room.' },
	token_revoked: { closeCode: DOMAIN_ERRORS.token_revoked.closeCode, reconnect: false, detail: 'The token that you came with was revoked.' },
	room_ended: { closeCode: CLOSE_CODES.roomEnded, reconnect: false, detail: 'The room has ended.' },
	moved: { closeCode: CLOSE_CODES.moved, reconnect: true, detail: 'The room has moved to another server. Come back and you are taken there; your place is kept.' },
	media_unavailable: { closeCode: DOMAIN_ERRORS.media_unavailable.closeCode, reconnect: true, detail: 'Your place could not be moved to the new media server.' },
	shutting_down: { closeCode: CLOSE_CODES.shuttingDown, reconnect: true, detail: 'This server is shutting down.' },
} as const;

export type StageEnding = keyof typeof STAGE_ENDINGS;

/** The wire to one person on stage, as the stage sees it. Its methods do not throw, and do nothing once the wire is down. */
export interface StageConnection {
	/** What this person is told in `welcome` of STUN and TURN. */
	readonly iceServers: Static<typeof IceServer>[];
	/** As `welcome` tells it: this wire is never silent for longer. */
	readonly pulseEveryMs: number;
	/** Takes a frame made by `encodeEvent`, so that a broadcast is encoded once for all. */
	deliver(frame: string): void;
	/** Says `bye` and closes. The stage has let go of the connection by then and need not be told of its loss. */
	end(ending: StageEnding, detail?: string): void;
}

export function encodeEvent<E extends StageEventName>(event: E, data: StageEvent<E>): string {
	return JSON.stringify({ event, data });
}
