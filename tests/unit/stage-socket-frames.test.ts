// What hostile clients send.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_FRAME_BYTES } from '../../server/stage/protocol.ts';
import { app, clock, enter, log, media, RTP_PARAMETERS, setUp, tearDown } from '../support/stage-socket-rig.ts';

beforeEach(() => setUp());

afterEach(() => tearDown());

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
