// The handshake, and what is asked over a stage socket.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STAGE_SUBPROTOCOL } from '../../server/stage/protocol.ts';
import { StageClient } from '../support/stage-client.ts';
import { FAKE_CAPABILITIES } from '../support/stage-fakes.ts';
import { clients, clock, connect, enter, FINGERPRINT, GRACE_MS, ICE_SERVERS, log, media, origin, ROOM, rooms, RTP_PARAMETERS, setUp, stages, store, subjects, tearDown } from '../support/stage-socket-rig.ts';

beforeEach(() => setUp());

afterEach(() => tearDown());

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
