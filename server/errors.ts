/**
 * Every refusal that a caller can meet, once: the HTTP status, the WebSocket close code where the
 * refusal ends a socket, whether trying again can help, and the title people read.
 * `code` is stable and part of the API; titles may be reworded.
 */
export const DOMAIN_ERRORS = {
	invalid_request: { status: 400, closeCode: 4400, retryable: false, title: 'The request is not valid' },
	invalid_offer: { status: 400, closeCode: 4400, retryable: false, title: 'The SDP offer cannot be used' },
	invalid_fragment: { status: 400, closeCode: 4400, retryable: false, title: 'The trickle ICE fragment cannot be used' },
	token_required: { status: 401, closeCode: 4401, retryable: false, title: 'A token is required' },
	token_revoked: { status: 401, closeCode: 4401, retryable: false, title: 'The token was revoked' },
	token_invalid: { status: 401, closeCode: 4401, retryable: false, title: 'The token is not valid' },
	forbidden: { status: 403, closeCode: 4403, retryable: false, title: 'This token does not allow that' },
	banned: { status: 403, closeCode: 4403, retryable: false, title: 'This person is banned from the room' },
	handoff_invalid: { status: 403, closeCode: 4403, retryable: true, title: 'The hand-off ticket cannot be used' },
	node_not_found: { status: 404, closeCode: 4404, retryable: false, title: 'There is no such node' },
	not_found: { status: 404, closeCode: 4404, retryable: false, title: 'There is nothing here' },
	room_not_found: { status: 404, closeCode: 4404, retryable: false, title: 'There is no such room' },
	session_not_found: { status: 404, closeCode: 4404, retryable: false, title: 'There is no such session' },
	recording_not_found: { status: 404, closeCode: 4404, retryable: false, title: 'There is no such recording' },
	webhook_not_found: { status: 404, closeCode: 4404, retryable: false, title: 'There is no such webhook or delivery' },
	participant_not_found: { status: 404, closeCode: 4404, retryable: false, title: 'Nobody on this stage has that id' },
	method_not_allowed: { status: 405, closeCode: 4400, retryable: false, title: 'This resource does not take that method' },
	room_exists: { status: 409, closeCode: 4409, retryable: false, title: 'A room with this id exists already' },
	room_not_open: { status: 409, closeCode: 4409, retryable: true, title: 'The doors of this room are not open yet' },
	room_ended: { status: 410, closeCode: 4410, retryable: false, title: 'This room has ended' },
	wrong_room_state: { status: 409, closeCode: 4409, retryable: false, title: 'The room is not in a state that allows this' },
	already_on_stage: { status: 409, closeCode: 4409, retryable: false, title: 'This person is on stage already' },
	hands_full: { status: 409, closeCode: 4409, retryable: true, title: 'As many hands are up as may be' },
	not_invited: { status: 409, closeCode: 4409, retryable: false, title: 'There is no open invitation' },
	not_reachable: { status: 409, closeCode: 4409, retryable: true, title: 'This person cannot be asked right now' },
	stage_locked: { status: 409, closeCode: 4409, retryable: true, title: 'The stage is locked' },
	precondition_failed: { status: 412, closeCode: 4400, retryable: false, title: 'The session has changed meanwhile' },
	payload_too_large: { status: 413, closeCode: 1009, retryable: false, title: 'The request is too large' },
	unsupported_media_type: { status: 415, closeCode: 4400, retryable: false, title: 'The content type is not supported' },
	range_not_satisfiable: { status: 416, closeCode: 4400, retryable: false, title: 'There is no such piece of this file' },
	too_many_requests: { status: 429, closeCode: 4429, retryable: true, title: 'Too many requests' },
	rate_limited: { status: 429, closeCode: 4429, retryable: true, title: 'More joins than one address or token may begin' },
	stage_full: { status: 503, closeCode: 4503, retryable: true, title: 'The stage is full' },
	no_capacity: { status: 503, closeCode: 4503, retryable: true, title: 'There is no room for more listeners right now' },
	recording_unavailable: { status: 503, closeCode: 4503, retryable: true, title: 'This server cannot record right now' },
	overflow_unavailable: { status: 503, closeCode: 4503, retryable: true, title: 'This room cannot be heard by HLS right now' },
	media_unavailable: { status: 503, closeCode: 4503, retryable: true, title: 'The media server is starting again' },
	home_unavailable: { status: 503, closeCode: 4503, retryable: true, title: 'The node that holds this room cannot be told or reached right now' },
	not_home: { status: 503, closeCode: 4503, retryable: true, title: 'The room lives on another node now' },
	peer_unreachable: { status: 503, closeCode: 4503, retryable: true, title: 'Another node of this cluster does not answer' },
	store_unavailable: { status: 503, closeCode: 4503, retryable: true, title: 'The shared store does not answer right now' },
	upstream_unavailable: { status: 503, closeCode: 4503, retryable: true, title: 'There is no place to link this edge to right now' },
	link_full: { status: 503, closeCode: 4503, retryable: true, title: 'This end of the room carries as many links as it may' },
	shutting_down: { status: 503, closeCode: 1001, retryable: true, title: 'This server is shutting down' },
	internal_error: { status: 500, closeCode: 1011, retryable: true, title: 'Something went wrong on the server' },
} as const;

export type DomainErrorCode = keyof typeof DOMAIN_ERRORS;

/** Close codes that are not refusals. */
export const CLOSE_CODES = { replaced: 4408, left: 1000, kicked: 4430, demoted: 4431, banned: 4403, roomEnded: 4410, moved: 4307, shuttingDown: 1001 } as const;

/** The one error of the server's domain; `server/http/plugins` turns it into a problem, `server/stage` into a frame. */
export class DomainError extends Error {
	readonly code: DomainErrorCode;
	/** Further members of the problem document, e.g. `{reason: 'bad_fingerprint'}`. */
	readonly extra: Readonly<Record<string, unknown>>;
	/** When trying again makes sense, in seconds. */
	readonly retryAfterSeconds: number | undefined;

	constructor(
		code: DomainErrorCode,
		detail: string,
		options: { cause?: unknown; extra?: Record<string, unknown>; retryAfterSeconds?: number } = {},
	) {
		super(detail, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = 'DomainError';
		this.code = code;
		this.extra = options.extra ?? {};
		this.retryAfterSeconds = options.retryAfterSeconds;
	}

	get status(): number {
		return DOMAIN_ERRORS[this.code].status;
	}
	get closeCode(): number {
		return DOMAIN_ERRORS[this.code].closeCode;
	}
	get title(): string {
		return DOMAIN_ERRORS[this.code].title;
	}
	get retryable(): boolean {
		return DOMAIN_ERRORS[this.code].retryable;
	}
}
