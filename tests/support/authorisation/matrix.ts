// Who may do what: one line a route, one column a kind of caller. `tests/integration/authorisation.test.ts` asks the running
// server for its routes and asserts every cell; a route that is missing here fails it.
import type { StageMethod } from '../../../server/stage/protocol.ts';

/** Columns of the grids below, in this order. Those after `admin` hold a host's token: of another room, expired, revoked, of somebody who is banned. */
export const CALLERS = ['nobody', 'listener', 'speaker', 'cohost', 'host', 'admin', 'otherHost', 'expired', 'revoked', 'banned'] as const;
export type Caller = (typeof CALLERS)[number];

/**
 * What a cell says. `yes`: authorised, and answered as the row says; the others are the refusals:
 * none: 401 token_required · role: 403 forbidden, wrong_role · room: 403 forbidden, wrong_room ·
 * old: 401 token_invalid, token_expired · gone: 401 token_revoked · ban: 403 banned · shut: 403 forbidden, not_public
 */
export const REFUSALS = {
	none: { status: 401, code: 'token_required' },
	role: { status: 403, code: 'forbidden', reason: 'wrong_role' },
	room: { status: 403, code: 'forbidden', reason: 'wrong_room' },
	old: { status: 401, code: 'token_invalid', reason: 'token_expired' },
	gone: { status: 401, code: 'token_revoked' },
	ban: { status: 403, code: 'banned' },
	shut: { status: 403, code: 'forbidden', reason: 'not_public' },
} as const;
export type Cell = 'yes' | keyof typeof REFUSALS;

//               nobody listener speaker cohost host admin otherHost expired revoked banned
const ANYBODY =  'yes   yes      yes     yes    yes  yes   yes       yes     yes     yes';
/** Of a public room: no token is needed, but one that is shown must be good, for this room, and of nobody who is banned. */
const ENTRY =    'yes   yes      yes     yes    yes  yes   room      old     gone    ban';
const PRIVATE =  'none  yes      yes     yes    yes  yes   room      old     gone    ban';
/** Only with a token, public room or not. */
const AUDIENCE = PRIVATE;
const SPEAKERS = 'none  role     yes     yes    yes  yes   room      old     gone    ban';
const COHOSTS =  'none  role     role    yes    yes  yes   room      old     gone    ban';
const HOSTS =    'none  role     role    role   yes  yes   room      old     gone    ban';
const OPERATOR = 'none  role     role    role   role yes   role      old     gone    role';
/** The same where the path names the room from which the caller is banned. */
const OF_ROOM =  'none  role     role    role   role yes   role      old     gone    ban';
const DELETION = 'none  role     role    role   role yes   room      old     gone    ban';
/** About no room: whatever good token there is, or none. */
const ANY_GOOD = 'yes   yes      yes     yes    yes  yes   yes       old     gone    yes';
/** The path holds the credential: an expired token does no harm. */
const SESSION =  'yes   yes      yes     yes    yes  yes   yes       yes     gone    yes';

/** What a client learns before it offers: anybody may ask, with no token or a good one. */
const OPTIONS =  'yes   yes      yes     yes    yes  yes   yes       old     gone    ban';
/** Anybody may be a guest of a public room, whoever they are elsewhere. */
const GUESTS =   'yes   yes      yes     yes    yes  yes   yes       old     gone    ban';
const NO_GUEST = 'shut  shut     shut    shut   shut shut  shut      old     gone    ban';
const OPTIONS_WHIP = 'yes role   yes     yes    yes  yes   room      old     gone    ban';

export interface Row {
	/** In a room that is public, and where that differs in one that is private. */
	grid: string;
	privateGrid?: string;
	/** Path and query with `:room` filled in by the test; other parts are written out. Default: the pattern itself. */
	path?: string;
	body?: object;
	/** Of the body, where it is no JSON. */
	raw?: { type: string; text: string };
	/** How those who may are answered: a status, with the code of a problem where the rest of the request is made up. */
	answer: { status: number; code?: string };
	/** What it does is done to a room of its own, in this state. */
	fresh?: 'scheduled' | 'open' | 'live' | 'ended';
	/** The answer has no end: its head is enough. */
	endless?: true;
}

const ok = { status: 200 } as const;
const done = { status: 204 } as const;
const refused = (status: number, code: string) => ({ status, code });
const sdp = { type: 'application/sdp', text: 'v=0\r\n' };
const page = { grid: ANYBODY, answer: ok } satisfies Row;
const nobodyThere = refused(404, 'participant_not_found');
const noRecording = refused(404, 'recording_not_found');
const noWebhook = refused(404, 'webhook_not_found');
const badOffer = refused(400, 'invalid_offer');

/** Method and pattern → who may, and how to ask. HEAD goes with GET. */
export const ROUTES: Record<string, Row> = {
	// Pages, documents and what operations look at
	'GET /': page,
	'GET /r/:room': page,
	'GET /r/:room/stage': page,
	'GET /admin': page,
	'GET /embed/:room': page,
	'GET /embed.js': page,
	'GET /r/:room/replay': page,
	'GET /assets/*': { ...page, path: '/assets/none.js', answer: refused(404, 'not_found') },
	'GET /healthz': page,
	'GET /readyz': page,
	'GET /metrics': page,
	'GET /.well-known/jwks.json': page,
	'GET /openapi.json': page,
	'GET /docs/problems': page,

	// Rooms
	'POST /v1/rooms': { grid: OPERATOR, body: { title: 'Made by a test' }, answer: { status: 201 } },
	'GET /v1/rooms': { grid: ANY_GOOD, answer: ok },
	'GET /v1/rooms/:room': { grid: ENTRY, privateGrid: PRIVATE, answer: ok },
	'PATCH /v1/rooms/:room': { grid: HOSTS, body: { description: 'Changed by a test' }, answer: ok },
	'DELETE /v1/rooms/:room': { grid: DELETION, answer: done, fresh: 'open' },
	'POST /v1/rooms/:room/open': { grid: HOSTS, answer: ok, fresh: 'scheduled' },
	'POST /v1/rooms/:room/start': { grid: HOSTS, answer: ok, fresh: 'scheduled' },
	'POST /v1/rooms/:room/end': { grid: HOSTS, answer: ok, fresh: 'open' },
	'POST /v1/rooms/:room/cancel': { grid: HOSTS, body: { reason: 'Too much snow' }, answer: ok, fresh: 'scheduled' },
	'POST /v1/rooms/:room/extend': { grid: HOSTS, body: { minutes: 5 }, answer: refused(409, 'wrong_room_state') },
	'POST /v1/rooms/:room/tokens': { grid: HOSTS, body: { role: 'listener', name: 'Lena' }, answer: { status: 201 } },
	'GET /v1/rooms/:room/calendar.ics': { grid: ENTRY, privateGrid: PRIVATE, answer: ok },
	'GET /v1/rooms/:room/card.png': { grid: ENTRY, privateGrid: PRIVATE, answer: ok },

	// Listening and speaking
	'POST /v1/rooms/:room/listen': { grid: ENTRY, privateGrid: PRIVATE, raw: sdp, answer: badOffer },
	'OPTIONS /v1/rooms/:room/listen': { grid: OPTIONS, answer: done },
	'POST /v1/rooms/:room/publish': { grid: SPEAKERS, raw: sdp, answer: badOffer },
	'PATCH /v1/sessions/:session': { grid: SESSION, path: '/v1/sessions/none', raw: { type: 'application/trickle-ice-sdpfrag', text: 'a=ice-ufrag:aaaa\r\n' }, answer: refused(404, 'session_not_found') },
	'DELETE /v1/sessions/:session': { grid: SESSION, path: '/v1/sessions/none', answer: refused(404, 'session_not_found') },
	'GET /v1/rooms/:room/events': { grid: ENTRY, privateGrid: PRIVATE, answer: ok, endless: true },
	'GET /v1/rooms/:room/stage': { grid: SPEAKERS, answer: refused(400, 'invalid_request') },
	'OPTIONS /v1/rooms/:room/publish': { grid: OPTIONS_WHIP, answer: done },
	'GET /v1/rooms/:room/hls/index.m3u8': { grid: ENTRY, privateGrid: PRIVATE, answer: ok },
	'GET /v1/rooms/:room/hls/live.m3u8': { grid: ENTRY, privateGrid: PRIVATE, answer: ok },
	'GET /v1/rooms/:room/hls/:object': { grid: ENTRY, privateGrid: PRIVATE, path: '/v1/rooms/:room/hls/none.aac', answer: refused(404, 'not_found') },

	// People
	'POST /v1/rooms/:room/participants/:participant/mute': { grid: COHOSTS, path: '/v1/rooms/:room/participants/none/mute', answer: nobodyThere },
	'POST /v1/rooms/:room/participants/:participant/kick': { grid: COHOSTS, path: '/v1/rooms/:room/participants/none/kick', answer: nobodyThere },
	'POST /v1/rooms/:room/participants/:participant/ban': { grid: COHOSTS, path: '/v1/rooms/:room/participants/none/ban', answer: nobodyThere },

	'POST /v1/rooms/:room/participants/:participant/invite': { grid: COHOSTS, path: '/v1/rooms/:room/participants/somebody/invite', answer: done },
	'POST /v1/rooms/:room/participants/:participant/lower': { grid: COHOSTS, path: '/v1/rooms/:room/participants/none/lower', answer: nobodyThere },
	'POST /v1/rooms/:room/participants/:participant/promote': { grid: COHOSTS, path: '/v1/rooms/:room/participants/none/promote', answer: nobodyThere },
	'POST /v1/rooms/:room/participants/:participant/demote': { grid: COHOSTS, path: '/v1/rooms/:room/participants/none/demote', answer: nobodyThere },
	'POST /v1/rooms/:room/participants/:participant/unmute': { grid: COHOSTS, path: '/v1/rooms/:room/participants/none/unmute', answer: nobodyThere },
	'GET /v1/rooms/:room/stage/settings': { grid: COHOSTS, answer: ok },
	'PUT /v1/rooms/:room/stage': { grid: COHOSTS, body: { locked: false }, answer: ok },
	'GET /v1/rooms/:room/bans': { grid: COHOSTS, answer: ok },
	'POST /v1/rooms/:room/bans': { grid: COHOSTS, body: { subject: 'nobody-we-know' }, answer: done },
	'DELETE /v1/rooms/:room/bans/:subject': { grid: HOSTS, path: '/v1/rooms/:room/bans/none', answer: refused(404, 'not_found') },
	'POST /v1/rooms/:room/hand': { grid: AUDIENCE, body: { raised: false }, answer: ok },
	'GET /v1/rooms/:room/hand': { grid: AUDIENCE, answer: ok },
	'POST /v1/rooms/:room/invitation': { grid: AUDIENCE, body: { accept: false }, answer: refused(409, 'not_invited') },
	'GET /v1/rooms/:room/hands': { grid: COHOSTS, answer: ok },

	// Audience
	'POST /v1/rooms/:room/guests': { grid: GUESTS, privateGrid: NO_GUEST, body: { name: 'Gus' }, answer: { status: 201 } },
	'POST /v1/rooms/:room/reactions': { grid: AUDIENCE, body: { reaction: '👏' }, answer: { status: 202 } },
	'POST /v1/rooms/:room/captions': { grid: COHOSTS, body: { text: 'Good evening.' }, answer: { status: 202 } },
	'POST /v1/rooms/:room/reports': { grid: ENTRY, privateGrid: PRIVATE, body: { kind: 'audio' }, answer: { status: 202 } },
	'POST /v1/rooms/:room/quality': { grid: ENTRY, privateGrid: PRIVATE, body: { periodMs: 1_000, packets: 1, lost: 0, jitterMs: 0, samples: 0, concealed: 0, gapsMs: [] }, answer: done },

	// Recordings
	'POST /v1/rooms/:room/recordings': { grid: HOSTS, answer: { status: 201 }, fresh: 'live' },
	'POST /v1/rooms/:room/recordings/:recording/stop': { grid: HOSTS, path: '/v1/rooms/:room/recordings/none/stop', answer: noRecording },
	'GET /v1/rooms/:room/recordings': { grid: ENTRY, privateGrid: PRIVATE, answer: ok },
	'GET /v1/rooms/:room/recordings/:recording': { grid: ENTRY, privateGrid: PRIVATE, path: '/v1/rooms/:room/recordings/none', answer: noRecording },
	...Object.fromEntries(
		['audio.opus', 'audio.m4a', 'captions.vtt', 'chapters.json', 'chapters.vtt'].map((file): [string, Row] => [
			`GET /v1/rooms/:room/recordings/:recording/${file}`,
			{ grid: ENTRY, privateGrid: PRIVATE, path: `/v1/rooms/:room/recordings/none/${file}`, answer: noRecording },
		]),
	),
	'DELETE /v1/rooms/:room/recordings/:recording': { grid: HOSTS, path: '/v1/rooms/:room/recordings/none', answer: noRecording },

	// The operator's
	'GET /v1/admin/keys': { grid: OPERATOR, answer: ok },
	'POST /v1/admin/keys': { grid: OPERATOR, answer: { status: 201 } },
	'DELETE /v1/admin/keys/:kid': { grid: OPERATOR, path: '/v1/admin/keys/none', answer: refused(404, 'not_found') },
	'GET /v1/admin/nodes': { grid: OPERATOR, answer: ok },
	'GET /v1/admin/nodes/:node': { grid: OPERATOR, path: '/v1/admin/nodes/none', answer: refused(404, 'node_not_found') },
	'POST /v1/admin/nodes/:node/drain': { grid: OPERATOR, path: '/v1/admin/nodes/none/drain', answer: refused(404, 'node_not_found') },
	'POST /v1/admin/nodes/:node/undrain': { grid: OPERATOR, path: '/v1/admin/nodes/none/undrain', answer: refused(404, 'node_not_found') },
	'POST /v1/admin/rebalance': { grid: OPERATOR, answer: { status: 202 } },
	'GET /v1/admin/rooms/:room/placement': { grid: OF_ROOM, answer: ok },
	'GET /v1/admin/audit': { grid: OPERATOR, answer: ok },
	'GET /v1/admin/tokens/revoke': { grid: OPERATOR, answer: ok },
	'POST /v1/admin/tokens/revoke': { grid: OPERATOR, body: { tokenId: 'a-token-that-nobody-has' }, answer: { status: 201 } },
	'DELETE /v1/admin/tokens/revoke/:revocation': { grid: OPERATOR, path: '/v1/admin/tokens/revoke/none', answer: refused(404, 'not_found') },
	'GET /v1/admin/webhooks': { grid: OPERATOR, answer: ok },
	'POST /v1/admin/webhooks': { grid: OPERATOR, body: { url: 'https://hooks.example.org/rostrum' }, answer: { status: 201 } },
	'PATCH /v1/admin/webhooks/:webhook': { grid: OPERATOR, path: '/v1/admin/webhooks/none', body: { enabled: false }, answer: noWebhook },
	'DELETE /v1/admin/webhooks/:webhook': { grid: OPERATOR, path: '/v1/admin/webhooks/none', answer: noWebhook },
	'POST /v1/admin/webhooks/:webhook/secret': { grid: OPERATOR, path: '/v1/admin/webhooks/none/secret', answer: noWebhook },
	'POST /v1/admin/webhooks/:webhook/test': { grid: OPERATOR, path: '/v1/admin/webhooks/none/test', answer: noWebhook },
	'GET /v1/admin/webhooks/:webhook/deliveries': { grid: OPERATOR, path: '/v1/admin/webhooks/none/deliveries', answer: noWebhook },
	'POST /v1/admin/webhooks/:webhook/deliveries/:delivery/retry': { grid: OPERATOR, path: '/v1/admin/webhooks/none/deliveries/none/retry', answer: noWebhook },
	'GET /v1/admin/reports': { grid: OPERATOR, answer: ok },
	'GET /v1/admin/capacity': { grid: OPERATOR, answer: ok },
	'POST /v1/admin/rooms/:room/preflight': { grid: OF_ROOM, body: {}, answer: ok },
};

/** Columns of the stage's commands: those who may open its socket at all. */
export const STAGE_CALLERS = ['speaker', 'cohost', 'host', 'admin'] as const;
export type StageCaller = (typeof STAGE_CALLERS)[number];

export interface Command {
	//       speaker cohost host admin; `yes` or the code of the refusal
	grid: string;
	params: object;
	/** The code of the problem that those who may are told, where the rest of the request is made up; absent: it is done. */
	code?: string;
	/** It ends the caller's place, or changes the room: on a stage of its own. */
	fresh?: true;
}

const SELF = 'yes yes yes yes';
const MODERATORS = 'forbidden yes yes yes';
const ROOM = 'forbidden forbidden yes yes';
const nobody = { participantId: 'none' };

export const STAGE_COMMANDS: Record<StageMethod, Command> = {
	'transport.create': { grid: SELF, params: { direction: 'recv' } },
	'transport.connect': { grid: SELF, params: { transportId: 'none', dtlsParameters: { fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AA').join(':') }] } }, code: 'invalid_request' },
	'transport.restartIce': { grid: SELF, params: { transportId: 'none' }, code: 'invalid_request' },
	produce: { grid: SELF, params: { transportId: 'none', rtpParameters: { codecs: [{ mimeType: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2 }] } }, code: 'invalid_request' },
	consume: { grid: SELF, params: { ...nobody, rtpCapabilities: {} }, code: 'participant_not_found' },
	mute: { grid: SELF, params: {} },
	unmute: { grid: SELF, params: {} },
	leave: { grid: SELF, params: {}, fresh: true },
	'room.command': { grid: ROOM, params: { command: 'start' } },
	'participant.mute': { grid: MODERATORS, params: nobody, code: 'participant_not_found' },
	'participant.muteAll': { grid: MODERATORS, params: {} },
	'participant.kick': { grid: MODERATORS, params: nobody, code: 'participant_not_found' },
	'participant.ban': { grid: MODERATORS, params: nobody, code: 'participant_not_found' },
	'participant.invite': { grid: MODERATORS, params: { participantId: 'somebody' } },
	'participant.promote': { grid: MODERATORS, params: nobody, code: 'participant_not_found' },
	'participant.demote': { grid: MODERATORS, params: nobody, code: 'participant_not_found' },
	'participant.unmute': { grid: MODERATORS, params: nobody, code: 'participant_not_found' },
	'hand.lower': { grid: MODERATORS, params: nobody, code: 'participant_not_found' },
	'hands.list': { grid: MODERATORS, params: {} },
	'stage.set': { grid: MODERATORS, params: { locked: false } },
};

/** The cells of a grid, by column. */
export function cellsOf<Column extends string, Value extends string>(grid: string, columns: readonly Column[], isValue: (text: string) => text is Value): [Column, Value][] {
	const words = grid.trim().split(/\s+/);
	if (words.length !== columns.length) throw new Error(`a grid has ${columns.length} columns, not ${words.length}: ${grid}`);
	return columns.map((column, index) => {
		const word = words[index] ?? '';
		if (!isValue(word)) throw new Error(`no cell says "${word}"`);
		return [column, word];
	});
}
