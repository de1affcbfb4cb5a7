import Fastify, { type FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AuthError } from '../../auth/auth-error.ts';
import type { Principal } from '../../auth/claims.ts';
import type { Role } from '../../auth/roles.ts';
import { registerProblems } from '../../server/http/plugins/problems.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import { MAX_FRAME_BYTES, STAGE_SUBPROTOCOL } from '../../server/stage/protocol.ts';
import { StageService } from '../../server/stage/stage-service.ts';
import type { StageSocketLimits } from '../../server/stage/stage-session.ts';
import { registerStageSocket } from '../../server/stage/stage-socket.ts';
import { StageClient, type StageClientOptions } from '../support/stage-client.ts';
import { FAKE_CAPABILITIES, FakeHomes, FakeMedia, FakeStore, recordingLog, VirtualClock } from '../support/stage-fakes.ts';

const ROOM = 'launch';
const GRACE_MS = 10_000;
const ICE_SERVERS = [{ urls: ['turn:turn.example.org'], username: 'u', credential: 'c' }];

let clock: VirtualClock;
let media: FakeMedia;
let homes: FakeHomes;
let store: FakeStore;
let rooms: RoomDirectory;
let stages: StageService;
let log: ReturnType<typeof recordingLog>;
let app: FastifyInstance;
let origin: string;
let clients: StageClient[];

/** Tokens in these tests read `role.subject` or `role.subject.room`. */
const verifier = {
	async verify(bearer: string): Promise<Principal> {
		const [role, subject, roomId = ROOM] = bearer.split('.');
		if (!role || !subject) throw new AuthError('token_bad_signature', 'The signature is not good.');
		// A test that writes another role than these tests itself.
		return { subject, name: `Name of ${subject}`, role: role as Role, ...(role !== 'admin' && { roomId }), tokenId: 't', issuer: 'rostrum', expiresAt: 4e9 };
	},
};

async function setUp(limits: Partial<StageSocketLimits> = {}): Promise<void> {
	clock = new VirtualClock();
	media = new FakeMedia();
	homes = new FakeHomes();
	store = new FakeStore();
	log = recordingLog();
	clients = [];
	let mediaIds = 0;
	const shared = { store, media, now: clock.now, schedule: clock.schedule, randomId: () => `media-${++mediaIds}`, log };
	rooms = await RoomDirectory.create({ store, now: clock.now, randomId: () => 'some-room', defaults: { voices: 3 } });
	await rooms.create({ id: ROOM, title: 'The announcement' });
	stages = StageService.create({ ...shared, rooms, homes, reconnectGraceMs: GRACE_MS, maxStageSize: 20 });
	homes.gain(ROOM, 1);
	app = Fastify({ forceCloseConnections: true });
	registerProblems(app);
	await registerStageSocket(app, { ...shared, stages, verifier, iceServers: () => ICE_SERVERS, maxStageSize: 20, limits });
	app.get('/healthz', async () => 'ok');
	await app.listen({ host: '127.0.0.1', port: 0 });
	// A listening TCP server has an address with a port.
	origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

beforeEach(() => setUp());

afterEach(async () => {
	for (const { socket } of clients) socket.terminate();
	await app.close();
});

async function connect(token: string, options: StageClientOptions = {}): Promise<StageClient> {
	const client = await StageClient.connect(origin, ROOM, { token, ...options });
	clients.push(client);
	return client;
}

/** On stage, with the welcome taken. */
async function enter(token: string): Promise<StageClient & { me: string }> {
	const client = await connect(token);
	const { participantId } = await client.welcome();
	return Object.assign(client, { me: participantId });
}

const subjects = (): string[] => stages.roster(ROOM).map(({ subject }) => subject);
const RTP_PARAMETERS = {
	codecs: [{ mimeType: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2, parameters: { useinbandfec: 1 } }],
	encodings: [{ ssrc: 1234 }],
	rtcp: { cname: 'c', reducedSize: true },
};
const FINGERPRINT = { algorithm: 'sha-256' as const, value: Array.from({ length: 32 }, () => 'AB').join(':') };

describe('the handshake', () => {
	it('welcomes who may come, with a token in the query or in the header', async () => {
		const welcome = await (await connect('speaker.ann', { protocols: [STAGE_SUBPROTOCOL] })).welcome();
		expect(welcome).toMatchObject({
			number: 1,
			name: 'Name of ann',
			role: 'speaker',
			resumed: false,
			mediaReady: true,
			rtpCapabilities: FAKE_CAPABILITIES,
			iceServers: ICE_SERVERS,
			reconnectGraceMs: GRACE_MS,
			room: { id: ROOM, title: 'The announcement', state: 'scheduled' },
			listenerCount: 0,
		});
		expect(clients[0]?.socket.protocol).toBe(STAGE_SUBPROTOCOL);
		const bob = await StageClient.connect(origin, ROOM, { headers: { authorization: 'Bearer host.bob' } });
		clients.push(bob);
		expect(await bob.welcome()).toMatchObject({ number: 2, role: 'host' });
		expect(bob.socket.protocol).toBe('');
	});

	it.each<[string, string | undefined, string, number, string]>([
		['no token', undefined, ROOM, 401, 'token_required'],
		['a bad token', 'nonsense', ROOM, 401, 'token_invalid'],
		['an empty token', '', ROOM, 401, 'token_invalid'],
		['a listener', 'listener.ann', ROOM, 403, 'forbidden'],
		['a token of another room', 'host.ann.finale', ROOM, 403, 'forbidden'],
		['an unknown room', 'admin.ann', 'nowhere', 404, 'room_not_found'],
		['a room that has ended', 'speaker.ann', ROOM, 410, 'room_ended'],
		['somebody banned', 'speaker.eve', ROOM, 403, 'banned'],
		['a server that stops', 'speaker.ann', ROOM, 503, 'shutting_down'],
	])('refuses %s by HTTP, and says the same to a plain GET', async (what, token, roomId, status, code) => {
		if (status === 410) {
			await rooms.transition(ROOM, 'open');
			await rooms.transition(ROOM, 'end');
		}
		await store.ban({ roomId: ROOM, subject: 'eve', name: 'Eve', bannedBy: 'x', bannedAt: clock.now().toISOString() });
		if (what === 'a server that stops') stages.closeAll('maintenance');
		const refused = StageClient.connect(origin, roomId, token === undefined ? {} : { token });
		await expect(refused).rejects.toMatchObject({ status, code, contentType: expect.stringContaining('application/problem+json') });
		const query = token === undefined ? '' : `?access_token=${token}`;
		const plain = await fetch(`${origin}/v1/rooms/${roomId}/stage${query}`);
		expect(plain.status).toBe(status);
		expect(await plain.json()).toMatchObject({ code });
		expect(subjects()).toEqual([]);
	});

	it('tells a plain GET that could enter that this is a WebSocket', async () => {
		const answer = await fetch(`${origin}/v1/rooms/${ROOM}/stage?access_token=speaker.ann`);
		expect(answer.status).toBe(400);
		expect(await answer.json()).toMatchObject({ code: 'invalid_request' });
	});

	it('leaves no socket hanging that asks for an upgrade elsewhere', async () => {
		const { WebSocket } = await import('ws');
		const elsewhere = new WebSocket(`${origin.replace('http', 'ws')}/nowhere`);
		const response = await new Promise<{ statusCode?: number; socket: { destroyed: boolean; once(event: 'close', then: () => void): void } }>((resolve) => {
			elsewhere.on('error', () => {});
			elsewhere.on('unexpected-response', (_request, incoming) => resolve(incoming));
		});
		expect(response.statusCode).toBe(404);
		if (!response.socket.destroyed) await new Promise<void>((resolve) => response.socket.once('close', resolve));
	});

	it('that goes wrong inside tells nothing of it', async () => {
		const door = media.gates.hold('addSpeaker');
		const ann = await connect('speaker.ann');
		await door.reached;
		door.fail(new Error('secret of the house'));
		expect(await ann.closed).toEqual({ code: 1011, reason: 'internal_error' });
		expect(ann.events).toEqual([{ event: 'bye', data: { code: 'internal_error', detail: 'The server could not do this.', reconnect: true } }]);
		expect(log.errors).toHaveLength(1);
	});
});

describe('requests', () => {
	it('bring a microphone on stage and let others hear it', async () => {
		const ann = await enter('speaker.ann');
		const bob = await enter('speaker.bob');
		const send = await ann.request('transport.create', { direction: 'send' });
		expect(send).toMatchObject({ iceParameters: { usernameFragment: 'u' }, iceCandidates: [] });
		expect(await ann.request('transport.connect', { transportId: send.id, dtlsParameters: { role: 'client', fingerprints: [FINGERPRINT] } })).toEqual({});
		expect(await ann.request('transport.restartIce', { transportId: send.id })).toMatchObject({ iceParameters: { usernameFragment: 'u2' } });
		expect(await ann.request('produce', { transportId: send.id, rtpParameters: RTP_PARAMETERS })).toMatchObject({ producerId: expect.any(String) });
		const { roster } = await bob.next('stage', ({ roster }) => roster.some(({ mediaId }) => mediaId !== null));
		expect(roster.find(({ id }) => id === ann.me)?.mediaId).toBe('media-1');
		await bob.request('transport.create', { direction: 'recv' });
		expect(await bob.request('consume', { participantId: ann.me, rtpCapabilities: {} })).toMatchObject({ consumerId: expect.any(String) });
	});

	it('mute and unmute', async () => {
		const ann = await enter('speaker.ann');
		const bob = await enter('speaker.bob');
		await ann.request('mute', {});
		await bob.next('stage', ({ roster }) => roster[0]?.muted === true);
		await ann.request('unmute', {});
		await bob.next('stage', ({ roster }) => roster[0]?.muted === false);
	});

	it('may leave out empty params', async () => {
		const ann = await enter('speaker.ann');
		await expect(ann.requestAnything('mute', undefined)).resolves.toEqual({});
	});

	it('are carried out in the order they came, also those sent before the welcome', async () => {
		const door = media.gates.hold('addSpeaker');
		const ann = await connect('speaker.ann');
		const order: string[] = [];
		const done = [
			ann.request('transport.create', { direction: 'send' }).then(() => order.push('create')),
			ann.request('mute', {}).then(() => order.push('mute')),
			ann.request('unmute', {}).then(() => order.push('unmute')),
		];
		await door.reached;
		door.release();
		await ann.welcome();
		await Promise.all(done);
		expect(order).toEqual(['create', 'mute', 'unmute']);
		expect(media.calls.filter((call) => !call.startsWith('addSpeaker')).map((call) => call.split(' ')[0])).toEqual(['createTransport', 'setMuted', 'setMuted']);
	});

	it('to leave are answered before the socket closes', async () => {
		const ann = await enter('speaker.ann');
		await expect(ann.request('leave', {})).resolves.toEqual({});
		expect(await ann.closed).toEqual({ code: 1000, reason: 'left' });
		expect(ann.events.some(({ event }) => event === 'bye')).toBe(false);
		expect(subjects()).toEqual([]);
		expect(media.speakers(ROOM)).toEqual([]);
	});

	it('of hosts open the room, start it and end it', async () => {
		const host = await enter('host.host');
		const ann = await enter('speaker.ann');
		await expect(host.request('room.command', { command: 'open' })).resolves.toMatchObject({ room: { state: 'open' } });
		await expect(host.request('room.command', { command: 'start' })).resolves.toMatchObject({ room: { state: 'live' } });
		await ann.next('room', ({ room }) => room.state === 'live');
		await expect(ann.request('room.command', { command: 'end' })).rejects.toMatchObject({ code: 'forbidden', retryable: false });
		await expect(host.request('room.command', { command: 'open' })).rejects.toMatchObject({ code: 'wrong_room_state' });
		void host.request('room.command', { command: 'end' }).catch(() => {});
		expect(await ann.closed).toEqual({ code: 4410, reason: 'room_ended' });
		expect(await host.closed).toEqual({ code: 4410, reason: 'room_ended' });
		expect(ann.events.at(-1)).toMatchObject({ event: 'bye', data: { code: 'room_ended', reconnect: false } });
	});

	it('of moderators mute and kick', async () => {
		const host = await enter('host.host');
		const ann = await enter('speaker.ann');
		await host.request('participant.mute', { participantId: ann.me });
		expect(await ann.next('muted')).toEqual({ by: 'Name of host' });
		await ann.request('unmute', {});
		await host.request('participant.muteAll', {});
		await ann.next('muted');
		await host.request('participant.kick', { participantId: ann.me });
		expect(await ann.closed).toEqual({ code: 4430, reason: 'kicked' });
		expect(ann.events.at(-1)).toMatchObject({ event: 'bye', data: { code: 'kicked', reconnect: false } });
		await expect(host.request('participant.kick', { participantId: ann.me })).rejects.toMatchObject({ code: 'participant_not_found' });
	});

	it('that fail inside tell nothing of it, and the next one works', async () => {
		const ann = await enter('speaker.ann');
		const door = media.gates.hold('createTransport');
		const failing = ann.request('transport.create', { direction: 'send' });
		await door.reached;
		door.fail(new Error('secret of the house'));
		await expect(failing).rejects.toMatchObject({ code: 'internal_error', message: 'The server could not do this.', retryable: true });
		expect(log.errors).toMatchObject([{ fields: { room: ROOM, participant: ann.me, method: 'transport.create' } }]);
		await expect(ann.request('mute', {})).resolves.toEqual({});
	});

	it('during the loss of the origin are refused as worth another try', async () => {
		const ann = await enter('speaker.ann');
		media.loseOrigin(ROOM);
		expect(await ann.next('media')).toEqual({ ready: false, rtpCapabilities: null });
		await expect(ann.request('transport.create', { direction: 'send' })).rejects.toMatchObject({ code: 'media_unavailable', retryable: true });
		media.regainOrigin(ROOM);
		expect(await ann.next('media')).toEqual({ ready: true, rtpCapabilities: FAKE_CAPABILITIES });
		await ann.request('transport.create', { direction: 'send' });
	});
});

describe('a socket', () => {
	it('that is lost can be taken up again within the grace period', async () => {
		const bob = await enter('speaker.bob');
		const ann = await enter('speaker.ann');
		await ann.request('mute', {});
		await ann.vanish();
		await bob.next('stage', ({ roster }) => roster[1]?.connection === 'reconnecting');
		clock.advance(GRACE_MS - 1);
		const again = await connect('speaker.ann');
		expect(await again.welcome()).toMatchObject({ participantId: ann.me, number: 2, resumed: true, roster: [{}, { muted: true, connection: 'connected' }] });
	});

	it('that stays lost gives up its place', async () => {
		const bob = await enter('speaker.bob');
		const ann = await enter('speaker.ann');
		await ann.vanish();
		await bob.next('stage', ({ roster }) => roster[1]?.connection === 'reconnecting');
		clock.advance(GRACE_MS);
		await bob.next('stage', ({ roster }) => roster.length === 1);
	});

	it('that goes while it is still being let in is only a lost one', async () => {
		const bob = await enter('speaker.bob');
		const door = media.gates.hold('addSpeaker');
		const ann = await connect('speaker.ann');
		await door.reached;
		await ann.vanish();
		// The server has seen the loss once it has answered somebody who came later.
		await bob.request('mute', {});
		door.release();
		await bob.next('stage', ({ roster }) => roster[1]?.connection === 'reconnecting');
		clock.advance(GRACE_MS);
		await bob.next('stage', ({ roster }) => roster.length === 1);
	});

	it('is replaced by a newer one of the same person', async () => {
		const old = await enter('speaker.ann');
		const fresh = await connect('speaker.ann');
		expect(await old.closed).toEqual({ code: 4408, reason: 'replaced' });
		expect(old.events.at(-1)).toMatchObject({ event: 'bye', data: { code: 'replaced', reconnect: false } });
		expect(await fresh.welcome()).toMatchObject({ participantId: old.me, resumed: true });
		expect(stages.roster(ROOM)).toMatchObject([{ connection: 'connected' }]);
	});

	it('that does not answer two pings is lost, one that does is not', async () => {
		const ann = await enter('speaker.ann');
		const mute = await connect('speaker.mute', { autoPong: false });
		await mute.welcome();
		for (let ping = 0; ping < 2; ping += 1) {
			const arrived = [ann, mute].map(({ socket }) => new Promise((resolve) => socket.once('ping', resolve)));
			clock.advance(10_000);
			await Promise.all(arrived);
			// Answers a frame later than the pong, so that the server has seen the pong.
			await ann.request('mute', {});
		}
		clock.advance(10_000);
		expect(await mute.closed).toMatchObject({ code: 1006 });
		await ann.next('stage', ({ roster }) => roster.some(({ connection }) => connection === 'reconnecting'));
		await expect(ann.request('unmute', {})).resolves.toEqual({});
	});

	it('is never silent for more than a second, and says nothing needless', async () => {
		const ann = await enter('speaker.ann');
		expect(ann.events[0]).toMatchObject({ event: 'welcome', data: { pulseEveryMs: 1_000, alternates: [] } });
		clock.advance(999);
		// Whatever is said counts.
		media.emit('talkers', { roomId: ROOM, talkers: [], dominant: null });
		await ann.next('talkers');
		clock.advance(999);
		await ann.request('mute', {});
		expect(ann.events.filter(({ event }) => event === 'pulse')).toEqual([]);
		clock.advance(1_000);
		await ann.next('pulse');
		clock.advance(1_000);
		await ann.next('pulse');
		await ann.vanish();
		await vi.waitFor(() => expect(stages.roster(ROOM)).toMatchObject([{ connection: 'reconnecting' }]));
		clock.advance(GRACE_MS);
		expect(clock.pending).toBe(0);
	});

	it('that belongs to a home that is lost is closed with 4307, to come back', async () => {
		const ann = await enter('speaker.ann');
		homes.emit('lost', ROOM, 1, 'fenced');
		expect(await ann.next('bye')).toMatchObject({ code: 'moved', reconnect: true });
		expect(await ann.closed).toEqual({ code: 4307, reason: 'moved' });
	});

	it('that reads too slowly is cut off, and nobody else', async () => {
		const slow = await enter('speaker.slow');
		const ann = await enter('speaker.ann');
		slow.socket.pause();
		const talkers = Array.from({ length: 3_000 }, (_, voice) => ({ number: 1_000_000 + voice, voice }));
		const lost = (): boolean => stages.roster(ROOM)[0]?.connection === 'reconnecting';
		// The kernel buffers some megabytes first; ann, who reads, sets the pace.
		for (let said = 0; said < 2_000 && !lost(); said += 1) {
			media.emit('talkers', { roomId: ROOM, talkers, dominant: said });
			await ann.next('talkers', ({ dominant }) => dominant === said);
		}
		expect(lost()).toBe(true);
		slow.socket.resume();
		expect(await slow.closed).toMatchObject({ code: 1006 });
		expect(ann.socket.readyState).toBe(ann.socket.OPEN);
	});
});

describe('hostile frames', () => {
	const broken: [string, string | Buffer][] = [
		['no JSON', '{"id":1,'],
		['nothing', ''],
		['a number', '7'],
		['null', 'null'],
		['an array', '[{"id":1,"method":"mute"}]'],
		['no id', '{"method":"mute"}'],
		['an id that is text', '{"id":"1","method":"mute"}'],
		['an id below zero', '{"id":-1,"method":"mute"}'],
		['an id out of range', '{"id":4294967296,"method":"mute"}'],
		['an id with a fraction', '{"id":1.5,"method":"mute"}'],
		['very deep nesting', `${'['.repeat(30_000)}${']'.repeat(30_000)}`],
	];
	const closing: [string, string | Buffer, number][] = [
		...broken.map(([what, frame]): [string, string | Buffer, number] => [what, frame, 4400]),
		['binary', Buffer.from('{"id":1,"method":"mute"}'), 1003],
		['too large', JSON.stringify({ id: 1, method: 'mute', params: { x: 'y'.repeat(MAX_FRAME_BYTES) } }), 1009],
	];

	it.each(closing)('%s: the offender is closed, others are unharmed', async (_what, frame, code) => {
		const bob = await enter('speaker.bob');
		const eve = await enter('speaker.eve');
		eve.sendRaw(frame);
		expect((await eve.closed).code).toBe(code);
		await bob.next('stage', ({ roster }) => roster[1]?.connection === 'reconnecting');
		await expect(bob.request('mute', {})).resolves.toEqual({});
		expect(log.errors).toEqual([]);
	});

	const answered: [string, unknown, unknown][] = [
		['an unknown method', 'explode', {}],
		['a method that every object has', 'constructor', {}],
		['a method that is no text', 7, {}],
		['a very long method', 'm'.repeat(1_000), {}],
		['params of the wrong type', 'mute', []],
		['params that are text', 'mute', 'please'],
		['too many params', 'mute', { participantId: 'p_1' }],
		['missing params', 'transport.create', {}],
		['a wrong direction', 'transport.create', { direction: 'both' }],
		['a prototype', 'mute', JSON.parse('{"__proto__":{"x":1}}')],
		['an empty id', 'participant.kick', { participantId: '' }],
		['a long id', 'participant.kick', { participantId: 'p'.repeat(65) }],
		['no fingerprint', 'transport.connect', { transportId: 't', dtlsParameters: { fingerprints: [] } }],
		['an absurd fingerprint', 'transport.connect', { transportId: 't', dtlsParameters: { fingerprints: [{ algorithm: 'sha-256', value: 'xyz' }] } }],
		['a payload type out of range', 'produce', { transportId: 't', rtpParameters: { ...RTP_PARAMETERS, codecs: [{ ...RTP_PARAMETERS.codecs[0], payloadType: 200 }] } }],
		['video', 'produce', { transportId: 't', rtpParameters: { codecs: [{ mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 }] } }],
		['a thousand codecs', 'consume', { participantId: 'p', rtpCapabilities: { codecs: Array.from({ length: 1_000 }, () => ({})) } }],
	];

	it.each(answered)('%s: the offender is told and nothing happens', async (_what, method, params) => {
		const bob = await enter('speaker.bob');
		const eve = await enter('speaker.eve');
		const before = media.calls.length;
		await expect(eve.requestAnything(method, params)).rejects.toMatchObject({ code: 'invalid_request', retryable: false, title: expect.any(String) });
		expect(media.calls).toHaveLength(before);
		await expect(eve.request('mute', {})).resolves.toEqual({});
		await expect(bob.request('mute', {})).resolves.toEqual({});
	});

	it('with members that no frame has are refused', async () => {
		const eve = await enter('speaker.eve');
		eve.sendRaw('{"id":5,"method":"mute","params":{},"admin":true}');
		await expect(eve.request('mute', {})).resolves.toEqual({});
		expect(media.calls.filter((call) => call.startsWith('setMuted'))).toHaveLength(1);
	});

	it.each<[string, string, number]>([
		['good', '{"id":1,"method":"mute"}', 201],
		['bad', '{"id":1,"method":"explode"}', 51],
	])('too many in one second, all %s', async (_what, frame, tooMany) => {
		const bob = await enter('speaker.bob');
		const eve = await enter('speaker.eve');
		for (let sent = 0; sent < tooMany; sent += 1) eve.sendRaw(frame);
		expect(await eve.closed).toEqual({ code: 4429, reason: 'too_many_requests' });
		await expect(bob.request('mute', {})).resolves.toEqual({});
	});

	it('as many as are allowed in each second', async () => {
		const ann = await enter('speaker.ann');
		for (let second = 0; second < 3; second += 1) {
			const answers = Array.from({ length: 50 }, () => ann.requestAnything('explode', {}).catch((error: { code: string }) => error.code));
			expect(new Set(await Promise.all(answers))).toEqual(new Set(['invalid_request']));
			clock.advance(1_000);
		}
		await expect(ann.request('mute', {})).resolves.toEqual({});
	});

	it('that pile up behind a slow one', async () => {
		await app.close();
		await setUp({ maxQueuedRequests: 3 });
		const eve = await enter('speaker.eve');
		const door = media.gates.hold('createTransport');
		const first = eve.request('transport.create', { direction: 'send' }).catch(() => {});
		await door.reached;
		for (let sent = 0; sent < 4; sent += 1) eve.sendRaw('{"id":99,"method":"mute"}');
		expect(await eve.closed).toMatchObject({ code: 4429 });
		door.release();
		await first;
		expect(media.calls.filter((call) => call.startsWith('setMuted'))).toEqual([]);
	});
});

describe('the end of the server', () => {
	it('tells everybody to come back later', async () => {
		const ann = await enter('speaker.ann');
		stages.closeAll('maintenance');
		expect(await ann.closed).toEqual({ code: 1001, reason: 'shutting_down' });
		expect(ann.events.at(-1)).toEqual({ event: 'bye', data: { code: 'shutting_down', detail: 'maintenance', reconnect: true } });
	});

	it('is not held up by a client that does not answer the close', async () => {
		const ann = await enter('speaker.ann');
		ann.socket.pause();
		const timers = clock.pending;
		const closing = app.close();
		// The client's side is paused, so only the server's time-out can end it.
		await expect.poll(() => clock.pending).toBeGreaterThan(timers);
		const closed = closing.then(() => 'closed');
		expect(await Promise.race([closed, new Promise((resolve) => setImmediate(() => resolve('open')))])).toBe('open');
		clock.advance(2_000);
		expect(await closed).toBe('closed');
	});

	it('comes with a word even when nobody told the stages before', async () => {
		const ann = await enter('speaker.ann');
		await app.close();
		expect(await ann.closed).toEqual({ code: 1001, reason: 'shutting_down' });
		expect(ann.events.at(-1)).toMatchObject({ event: 'bye', data: { reconnect: true } });
	});
});
