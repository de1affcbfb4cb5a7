import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Entrance, type Refusal, TurnedAway } from '../load/surge/entrance.ts';
import { HttpConnection } from '../load/surge/http-connection.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const servers: Server[] = [];
const connections: HttpConnection[] = [];

async function serve(...answers: Handler[]): Promise<{ url: URL; asked: IncomingMessage[] }> {
	const asked: IncomingMessage[] = [];
	const server = createServer((request, response) => {
		const answer = answers[Math.min(asked.length, answers.length - 1)];
		asked.push(request);
		request.resume().on('end', () => answer?.(request, response));
	});
	servers.push(server);
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/rooms/demo/listen`), asked };
}

afterEach(() => {
	for (const connection of connections.splice(0)) connection.close();
	for (const server of servers.splice(0)) {
		server.closeAllConnections();
		server.close();
	}
});

const seat: Handler = (_request, response) => void response.writeHead(201, { location: '/v1/sessions/n1.1.abc' }).end('the answer');
const refuse = (status: number, problem: object, headers = {}): Handler => (_request, response) =>
	void response.writeHead(status, { 'content-type': 'application/problem+json', ...headers }).end(JSON.stringify(problem));

/** A door with a clock that goes on as somebody sleeps. */
function stand(url: URL, { patienceMs = 30_000, token }: { patienceMs?: number; token?: string } = {}) {
	let nowMs = 0;
	const slept: number[] = [];
	const refusals: Refusal[] = [];
	const connection = new HttpConnection();
	connections.push(connection);
	const entrance = new Entrance({
		url, token, connection, nowMs: () => nowMs, random: () => 0.5, deadlineMs: () => patienceMs,
		sleep: (ms) => {
			slept.push(ms);
			nowMs += ms;
			return Promise.resolve();
		},
		onRefusal: (refusal) => refusals.push(refusal),
	});
	return { entrance, slept, refusals, connection };
}

describe('a listener at the door', () => {
	it('waits as long as it is told, and asks again with its place, over the same connection', async () => {
		const { url, asked } = await serve(
			refuse(503, { code: 'no_capacity', reason: 'paced', retryAfterMs: 1_700, queue: { ahead: 40, place: 'stamp+1' }, overflow: { hls: '/v1/rooms/demo/hls/index.m3u8' } }, { 'retry-after': '2' }),
			refuse(429, { code: 'too_many_requests' }, { 'retry-after': '3' }),
			seat,
		);
		const { entrance, slept, refusals, connection } = stand(url, { token: 'T' });
		expect(await entrance.enter('offer')).toEqual({ sdp: 'the answer', sessionUrl: new URL('/v1/sessions/n1.1.abc', url).href, handedOn: false });
		expect(slept).toEqual([1_700, 3_000]);
		expect(refusals.map(({ cause }) => cause)).toEqual(['503 no_capacity (paced)', '429 too_many_requests']);
		expect(refusals[0]).toMatchObject({ ahead: 40, retryAfterSeconds: 2, hlsUrl: new URL('/v1/rooms/demo/hls/index.m3u8', url).href });
		expect(asked.map((request) => new URL(request.url ?? '', url).searchParams.get('place'))).toEqual([null, 'stamp+1', 'stamp+1']);
		expect(asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer T', 'Bearer T', 'Bearer T']);
		expect(connection.opened).toBe(1);
	});

	it('follows a hand-off with its ticket and without its token, and turns back when that node refuses', async () => {
		const other = await serve(refuse(503, { code: 'no_capacity', reason: 'full' }, { 'retry-after': '1' }), seat);
		const here = await serve((_request, response) => void response.writeHead(307, { location: `${other.url.origin}/v1/rooms/demo/listen?handoff=ticket` }).end());
		const { entrance } = stand(here.url, { token: 'T' });
		expect(await entrance.enter('offer')).toEqual({ sdp: 'the answer', sessionUrl: `${other.url.origin}/v1/sessions/n1.1.abc`, handedOn: true });
		expect(here.asked).toHaveLength(2);
		expect(other.asked.map(({ url }) => url)).toEqual(['/v1/rooms/demo/listen?handoff=ticket', '/v1/rooms/demo/listen?handoff=ticket']);
		expect(other.asked[0]?.headers.authorization).toBeUndefined();
	});

	it('gives up when patience ends, with the word it had last', async () => {
		const { url, asked } = await serve(refuse(503, { code: 'no_capacity', reason: 'full' }, { 'retry-after': '4' }));
		const { entrance, slept } = stand(url, { patienceMs: 10_000 });
		await expect(entrance.enter('offer')).rejects.toThrow(new TurnedAway('503 no_capacity (full)'));
		expect(slept).toEqual([4_000, 4_000, 2_000]);
		expect(asked).toHaveLength(3);
	});

	it('does not ask twice where asking cannot help', async () => {
		const { url, asked } = await serve(refuse(403, { code: 'banned' }));
		await expect(stand(url).entrance.enter('offer')).rejects.toThrow('403 banned');
		expect(asked).toHaveLength(1);
	});

	it('tries again, ever more slowly, where nobody answers', async () => {
		const { url } = await serve(seat);
		servers.splice(0).forEach((server) => server.close());
		const { entrance, slept, refusals } = stand(url, { patienceMs: 2_000 });
		await expect(entrance.enter('offer')).rejects.toThrow('network ECONNREFUSED');
		expect(slept.slice(0, 3)).toEqual([150, 300, 600]);
		expect(refusals.every(({ status }) => status === 0)).toBe(true);
	});

	it('lives through a server that closes the kept connection', async () => {
		const { url, asked } = await serve(
			refuse(503, { code: 'no_capacity' }, { 'retry-after': '1' }),
			(request) => request.socket.resetAndDestroy(),
			seat,
		);
		const { entrance, connection, refusals } = stand(url);
		expect(await entrance.enter('offer')).toMatchObject({ sdp: 'the answer' });
		expect([asked.length, connection.opened, refusals.length]).toEqual([3, 2, 1]);
	});
});
