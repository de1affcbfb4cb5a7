import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FakeStream } from '../support/fakes/fake-event-hub.ts';
import { ADMIN_TOKEN, createTestApp, type TestApp } from '../support/fakes/test-app.ts';

let test: TestApp;
let base: string;
const open: IncomingMessage[] = [];

beforeAll(async () => {
	test = await createTestApp();
	await test.rooms.create({ id: 'live', title: 'Live' });
	await test.rooms.create({ id: 'hidden', title: 'Hidden', visibility: 'private' });
	await test.app.listen({ host: '127.0.0.1', port: 0 });
	base = `http://127.0.0.1:${(test.app.server.address() as AddressInfo).port}`;
});
afterEach(async () => {
	for (const response of open.splice(0)) response.destroy();
	await until(() => test.events.streamCount === 0);
});
afterAll(() => test.close());

function until(condition: () => boolean): Promise<void> {
	return new Promise((resolve) => {
		const look = () => condition() && resolve();
		test.events.onChange = look;
		look();
	});
}

function follow(path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
	return new Promise((resolve, reject) => {
		get(`${base}${path}`, { headers, agent: false }, (response) => {
			response.on('error', () => undefined);
			open.push(response);
			resolve(response);
		}).on('error', reject);
	});
}

const heard = (response: IncomingMessage): Promise<string> => new Promise((resolve) => response.once('data', (chunk: Buffer) => resolve(chunk.toString())));
const ended = (response: IncomingMessage): Promise<void> => new Promise((resolve) => response.resume().once('close', () => resolve()));
const onlyStream = (): FakeStream => {
	const [stream] = test.events.streams;
	if (!stream) throw new Error('no stream');
	return stream;
};

describe('GET /v1/rooms/:room/events', () => {
	it('streams what the hub writes, at once and past proxies', async () => {
		const response = await follow('/v1/rooms/live/events', { 'last-event-id': 'e7', origin: 'https://player.example' });
		expect(response.statusCode).toBe(200);
		expect(response.headers).toMatchObject({
			'content-type': 'text/event-stream',
			'cache-control': 'no-store',
			'x-accel-buffering': 'no',
			'access-control-allow-origin': '*',
			'x-content-type-options': 'nosniff',
		});
		expect(await heard(response)).toBe('event: room\nid: 1\ndata: {}\n\n');
		expect(onlyStream()).toMatchObject({ roomId: 'live', lastEventId: 'e7' });
		onlyStream().write('event: listeners\ndata: {"count":2}\n\n');
		expect(await heard(response)).toContain('{"count":2}');
	});

	it('resumes by query where a header cannot be set', async () => {
		await follow('/v1/rooms/live/events?lastEventId=e8');
		expect(onlyStream().lastEventId).toBe('e8');
	});

	it('takes a token from the query, for EventSource sends no header', async () => {
		expect((await follow(`/v1/rooms/hidden/events?access_token=${ADMIN_TOKEN}`)).statusCode).toBe(200);
		expect((await follow('/v1/rooms/hidden/events?access_token=nonsense')).statusCode).toBe(401);
		expect((await follow('/v1/rooms/hidden/events')).statusCode).toBe(401);
	});

	it('leaves the hub when the reader goes', async () => {
		const response = await follow('/v1/rooms/live/events');
		expect(test.events.streamCount).toBe(1);
		response.destroy();
		await until(() => test.events.streamCount === 0);
	});

	it('tells the hub when a slow reader takes data again', async () => {
		const response = await follow('/v1/rooms/live/events');
		response.pause();
		const stream = onlyStream();
		const chunk = `data: ${'x'.repeat(1_000_000)}\n\n`;
		let flowing = true;
		for (let count = 0; count < 50 && flowing; count++) flowing = stream.write(chunk);
		expect(flowing).toBe(false);
		expect(stream.drains).toBe(0);
		response.resume();
		await until(() => stream.drains > 0);
	});

	it('answers with a problem when the hub is full, and has room again when somebody leaves', async () => {
		const first = await follow('/v1/rooms/live/events');
		await follow('/v1/rooms/live/events');
		await follow('/v1/rooms/live/events');
		const refused = await follow('/v1/rooms/live/events');
		expect(refused.statusCode).toBe(503);
		expect(refused.headers).toMatchObject({ 'content-type': expect.stringContaining('application/problem+json'), 'retry-after': '10' });
		first.destroy();
		await until(() => test.events.streamCount === 2);
		expect((await follow('/v1/rooms/live/events')).statusCode).toBe(200);
	});

	it('ends the response when the hub is done with it', async () => {
		const response = await follow('/v1/rooms/live/events');
		const over = ended(response);
		onlyStream().end('room_removed');
		await over;
		expect(response.complete).toBe(true);
	});

	it('cuts off a reader who takes nothing', async () => {
		const response = await follow('/v1/rooms/live/events');
		const over = ended(response);
		onlyStream().end('slow');
		await over;
		expect(response.complete).toBe(false);
	});

	it('is closed with the server', async () => {
		const other = await createTestApp();
		await other.rooms.create({ id: 'live', title: 'Live' });
		await other.app.listen({ host: '127.0.0.1', port: 0 });
		const { port } = other.app.server.address() as AddressInfo;
		const response = await new Promise<IncomingMessage>((resolve) => get(`http://127.0.0.1:${port}/v1/rooms/live/events`, { agent: false }, resolve));
		const over = ended(response);
		await other.close();
		await over;
		expect(other.events.streamCount).toBe(0);
	});
});
