// What the log of a real node never says, at any level: secrets, descriptions of media, where listeners are.
import { createHmac, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';

/** Another end of loopback than any server here has: wherever it turns up, it is the listener's. */
const ADDRESS = '127.0.0.77';
const TURN_SECRET = randomBytes(24).toString('hex');

let server: RostrumProcess;
let said: string;
const secrets = new Map<string, string>();
const descriptions: string[] = [];
const sessions: string[] = [];

interface Answer {
	status: number;
	text: string;
	headers: Record<string, string | string[] | undefined>;
}

function call(method: string, target: string, { body, headers = {} }: { body?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
	const { promise, resolve, reject } = Promise.withResolvers<Answer>();
	const { hostname, port } = new URL(server.url);
	const sending = request({ host: hostname, port, path: target, method, headers, localAddress: ADDRESS }, (answer) => {
		let text = '';
		answer.on('data', (chunk: Buffer) => {
			text += chunk.toString();
			// An event stream does not end by itself.
			if (String(answer.headers['content-type']).startsWith('text/event-stream')) answer.destroy();
		});
		answer.on('error', () => undefined);
		answer.on('close', () => resolve({ status: answer.statusCode ?? 0, text, headers: answer.headers }));
	});
	sending.on('error', reject);
	sending.end(body);
	return promise;
}

/** An offer and its answer, both remembered. */
const exchange = (target: string, token?: string) => async (offer: string): Promise<string> => {
	const { status, text, headers } = await call('POST', target, { body: offer, headers: { 'content-type': 'application/sdp', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) } });
	if (status !== 201) throw new Error(`${status} ${text}`);
	descriptions.push(offer, text);
	sessions.push(String(headers['location']));
	secrets.set(`session of ${target}`, String(headers['location']).slice(-24));
	secrets.set(`TURN credential of ${target}`, /credential="([^"]+)"/.exec(String(headers['link']))?.[1] ?? '');
	return text;
};

beforeAll(async () => {
	server = await RostrumProcess.start({
		mediaPort: 28_600,
		env: { LOG_LEVEL: 'trace', ROSTRUM_TURN_URLS: 'turn:127.0.0.1:3478', ROSTRUM_TURN_SECRET: TURN_SECRET, ROSTRUM_TRACING_HEADERS: 'Authorization=Bearer collectors-own-secret' },
	});
	await server.room({ id: 'hall', title: 'Hall' });
	await server.room({ id: 'board', title: 'Behind doors', visibility: 'private' });
	for (const [name, role] of [['speaker’s token', 'speaker'], ['host’s token', 'host'], ['listener’s token', 'listener']] as const) {
		secrets.set(name, (await server.token('board', role, 'Ann')).token);
	}
	const hall = (await server.token('hall', 'speaker', 'Bo')).token;
	secrets.set('hall’s token', hall);

	const speaker = await RtcSpeaker.publish(exchange('/v1/rooms/hall/publish', hall));
	const listener = await RtcListener.join(exchange('/v1/rooms/hall/listen'));
	const inside = await RtcListener.join(exchange('/v1/rooms/board/listen', secrets.get('listener’s token')));

	// What is refused is logged too, and what is broken most of all.
	const json = { 'content-type': 'application/json' };
	const host = secrets.get('host’s token') ?? '';
	await call('POST', '/v1/rooms/hall/listen', { body: `${descriptions[0]}a=ice-pwd:notgood\r\n`.slice(0, 300), headers: { 'content-type': 'application/sdp' } });
	await call('POST', '/v1/rooms', { body: '{"title": "x", "token": "a-token-in-a-body"}', headers: { ...json, authorization: `Bearer ${host}` } });
	await call('POST', '/v1/rooms/hall/tokens', { body: '{', headers: { ...json, authorization: `Bearer ${ADMIN_TOKEN}x` } });
	await call('GET', `/v1/rooms/board/events?access_token=${host}`);
	await call('GET', `/v1/rooms/board/events?access_token=${host}&access_token=x`);
	await call('GET', `/${host}`);
	await call('POST', `/v1/sessions/${secrets.get('session of /v1/rooms/hall/listen')}`, {});
	await call('PATCH', `/v1/sessions/1-${'0'.repeat(32)}`, { body: 'a=ice-ufrag:abcd\r\na=ice-pwd:a-password-of-a-fragment\r\n', headers: { 'content-type': 'application/trickle-ice-sdpfrag' } });
	await server.call('POST', '/v1/admin/keys');
	await stageSocket(host);

	for (const session of sessions) await call('DELETE', new URL(session, server.url).pathname);
	listener.close();
	inside.close();
	speaker.close();
	await server.waitForLog((line) => line.msg === 'listener left');
	await server.stop();
	said = server.logLines.map((line) => JSON.stringify(line)).join('\n');

	secrets.set('admin token', ADMIN_TOKEN).set('TURN secret', TURN_SECRET).set('token in a body', 'a-token-in-a-body').set('collector’s header', 'collectors-own-secret');
	secrets.set('password of a fragment', 'a-password-of-a-fragment');
	for (const sdp of descriptions) {
		for (const [, what = '', value = ''] of sdp.matchAll(/^a=(ice-pwd|ice-ufrag|fingerprint):(.*)$/gm)) secrets.set(`${what} ${value.slice(0, 8)}`, value.trim());
	}
}, 90_000);
afterAll(() => server?.stop('SIGKILL'));

/** Joins the stage by WebSocket, says something that is not allowed, and leaves. */
async function stageSocket(token: string): Promise<void> {
	const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/rooms/board/stage?access_token=${token}`, { localAddress: ADDRESS });
	await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
	const closed = new Promise((resolve) => socket.once('close', resolve));
	socket.send(JSON.stringify({ id: 1, method: 'nonsense', params: { iceParameters: { password: 'a-password-of-a-frame' }, token } }));
	await new Promise((resolve) => socket.once('message', resolve));
	socket.close();
	await closed;
}

describe('the log of a node, at its most talkative', () => {
	it('is that of a node that did all this', () => {
		expect(server.logLines.some(({ level }) => level <= 20)).toBe(true);
		const done = server.logLines.filter(({ msg }) => msg === 'request done');
		expect(done.length).toBeGreaterThan(12);
		expect(done.every((line) => typeof line['reqId'] === 'string')).toBe(true);
		expect(descriptions).toHaveLength(6);
		expect([...secrets.values()].every((secret) => secret.length >= 4)).toBe(true);
		expect(secrets.size).toBeGreaterThan(20);
	});

	it('says none of the secrets that were used', () => {
		const leaked = [...secrets].filter(([, secret]) => said.includes(secret)).map(([name]) => name);
		expect(leaked).toEqual([]);
	});

	it('says no part of a token that would do: not its signature, not its payload', () => {
		const parts = [...secrets].filter(([name]) => name.endsWith('token')).flatMap(([name, token]) => token.split('.').slice(1).map((part) => [name, part] as const));
		expect(parts.length).toBeGreaterThanOrEqual(8);
		expect(parts.filter(([, part]) => said.includes(part)).map(([name]) => name)).toEqual([]);
	});

	it('says nothing of the node’s own keys', () => {
		const folder = path.join(server.dataDir, 'keys');
		// The folder is gone with the process; what must not be said is the form of a private key.
		expect(() => readdirSync(folder).map((file) => readFileSync(path.join(folder, file), 'utf8'))).toThrow();
		expect(said).not.toMatch(/PRIVATE KEY|"d":"|"kty"/);
		expect(said).not.toContain(createHmac('sha1', TURN_SECRET).update('x').digest('base64'));
	});

	it('has no description of media, and no listener’s address', () => {
		expect(said).not.toMatch(/v=0\\r|m=audio|a=candidate|a=ice-/);
		expect(said).not.toContain(ADDRESS);
		expect(said).not.toContain('a-password-of-a-frame');
	});

	it('names sessions by what tells them apart, and no more', () => {
		const joins = server.logLines.filter((line) => line['route'] === '/v1/rooms/:room/listen' && line['status'] === 201);
		expect(joins).toHaveLength(2);
		for (const line of joins) expect(line['session']).toMatch(/^\d-[0-9a-f]{8}$/);
	});
});
