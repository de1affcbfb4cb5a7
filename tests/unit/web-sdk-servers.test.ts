// Where the SDK goes when its server is gone, and when it is asked to move. Real sockets; only what a browser adds is missing.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket as ServerSocket, WebSocketServer } from 'ws';
import { makeSessionId } from '../../sfu/contract/session-id.ts';
import { EventFeed } from '../../server/web/browser/sdk/event-feed.ts';
import { parseAlternates } from '../../server/web/browser/sdk/ice-links.ts';
import { MovePlan, placeOf } from '../../server/web/browser/sdk/move-plan.ts';
import { ProblemError } from '../../server/web/browser/sdk/problem.ts';
import { elsewhereMayHelp, Servers } from '../../server/web/browser/sdk/servers.ts';
import { StageSocket } from '../../server/web/browser/sdk/stage-socket.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
	for (const step of undo.splice(0).toReversed()) await step();
});

async function serve(onRequest: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.writeHead(404).end()): Promise<Server & { url: string }> {
	const server = createServer(onRequest);
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	undo.push(() => {
		server.closeAllConnections();
		server.close();
	});
	// A listening TCP server has an address with a port.
	return Object.assign(server, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** A port that nobody listens on. */
async function nowhere(): Promise<string> {
	const server = await serve();
	server.close();
	await once(server, 'close');
	return server.url;
}

interface StageServer {
	url: string;
	/** The next client that comes. */
	client(): Promise<ServerSocket>;
}

/** A stage that says nothing but welcome. */
async function stageServer(welcome: { pulseEveryMs?: number; alternates?: string[] } = {}): Promise<StageServer> {
	const server = await serve();
	const sockets = new WebSocketServer({ server });
	const came: ServerSocket[] = [];
	const waiting: ((socket: ServerSocket) => void)[] = [];
	sockets.on('connection', (socket) => {
		socket.send(JSON.stringify({ event: 'welcome', data: { reconnectGraceMs: 10_000, ...welcome } }));
		const next = waiting.shift();
		if (next) next(socket);
		else came.push(socket);
	});
	undo.push(() => {
		for (const socket of sockets.clients) socket.terminate();
	});
	return {
		url: server.url,
		client: async () => came.shift() ?? new Promise<ServerSocket>((resolve) => void waiting.push(resolve)),
	};
}

function stageSocket(baseUrl: string): StageSocket & { welcomed(): Promise<void> } {
	const socket = new StageSocket({ room: 'launch', token: 't', baseUrl, random: () => 0 });
	undo.push(() => socket.close());
	const welcomed = () =>
		new Promise<void>((resolve) => {
			const off = socket.on('welcome', () => {
				off();
				resolve();
			});
		});
	return Object.assign(socket, { welcomed });
}

describe('the servers that lead to a room', () => {
	const others = ['https://b.example.org/radio', 'https://c.example.org', 'https://b.example.org'];

	it('are the first one and whatever others it told of, each once', () => {
		const servers = new Servers('https://a.example.org/radio', () => 0.5);
		expect(servers.all).toEqual(['https://a.example.org']);
		servers.learn([...others, 'https://a.example.org', 'nonsense', 'ftp://d.example.org'], 'https://a.example.org');
		expect([...servers.all].toSorted()).toEqual(['https://a.example.org', 'https://b.example.org', 'https://c.example.org']);
	});

	it('hold no insecure ones for a secure page, which could not connect to them', () => {
		const servers = new Servers('https://a.example.org');
		servers.learn(['http://b.example.org'], 'https://a.example.org');
		expect(servers.all).toEqual(['https://a.example.org']);
	});

	it('are tried in turn, the first again after the last, and whichever works is kept', () => {
		const servers = new Servers('https://a.example.org', () => 0.5);
		servers.learn(others, 'https://a.example.org');
		const cursor = servers.cursor();
		const visited = [1, 2, 3, 4].map(() => [cursor.unreachable(), cursor.url]);
		expect(visited).toEqual([
			[false, 'https://b.example.org'],
			[false, 'https://c.example.org'],
			[true, 'https://a.example.org'],
			[false, 'https://b.example.org'],
		]);
		cursor.reached();
		// What the second says of the others leaves itself out.
		servers.learn(['https://a.example.org', 'https://c.example.org'], cursor.url);
		expect(cursor.url).toBe('https://b.example.org');
		expect(servers.all).toContain('https://b.example.org');
		expect([cursor.unreachable(), cursor.unreachable(), cursor.unreachable()]).toEqual([false, false, true]);
	});

	it('have no next one when there is but one: every failure counts', () => {
		const cursor = new Servers('https://a.example.org').cursor();
		expect(cursor.alone).toBe(true);
		expect([cursor.unreachable(), cursor.unreachable(), cursor.url]).toEqual([true, true, 'https://a.example.org']);
	});

	it('are taken in an order of each page’s own', () => {
		const orders = new Set<string>();
		for (let page = 0; page < 50; page++) {
			const servers = new Servers('https://a.example.org');
			servers.learn(others, 'https://a.example.org');
			orders.add(servers.all.join());
		}
		expect(orders.size).toBe(2);
	});

	it.each<[number, string, boolean]>([
		[0, 'network', true],
		[502, 'http_502', true],
		[503, 'http_503', true],
		[503, 'shutting_down', true],
		[503, 'home_unavailable', true],
		[504, 'http_504', true],
		[503, 'no_capacity', false],
		[503, 'stage_full', false],
		[409, 'room_not_open', false],
		[404, 'room_not_found', false],
		[500, 'internal_error', false],
	])('are asked instead after %i %s: %s', (status, code, helps) => {
		expect(elsewhereMayHelp(new ProblemError({ status, code, title: '' }))).toBe(helps);
	});

	it('stand in the Link header of the listen answer', () => {
		expect(parseAlternates('<https://b.example.org>; rel="alternate", <stun:s>; rel="ice-server", <https://c.example.org>; rel=alternate')).toEqual(['https://b.example.org', 'https://c.example.org']);
	});
});

describe('the stage socket', () => {
	it('stays while anything comes, and drops a server that fell silent for another one', async () => {
		const b = await stageServer();
		const a = await stageServer({ pulseEveryMs: 200, alternates: [b.url] });
		const socket = stageSocket(a.url);
		let lost = 0;
		socket.on('lost', () => lost++);
		const welcomed = socket.welcomed();
		socket.open();
		const [client] = await Promise.all([a.client(), welcomed]);
		const pulses = setInterval(() => client.send(JSON.stringify({ event: 'pulse', data: {} })), 50);
		// Several times what would be too long without them.
		await new Promise((resolve) => setTimeout(resolve, 1_500));
		clearInterval(pulses);
		expect(lost).toBe(0);
		const next = socket.welcomed();
		await Promise.all([b.client(), next]);
		expect(lost).toBe(1);
		expect(socket.ready).toBe(true);
	});

	it('does not mind the silence of a server that promised nothing', async () => {
		const a = await stageServer();
		const socket = stageSocket(a.url);
		socket.open();
		const client = await a.client();
		let lost = 0;
		socket.on('lost', () => lost++);
		await new Promise((resolve) => setTimeout(resolve, 300));
		client.send(JSON.stringify({ event: 'listeners', data: { count: 1 } }));
		expect(lost).toBe(0);
	});

	it('goes to another server when its own shuts down, and to the first again when that one does', async () => {
		const b = await stageServer();
		const a = await stageServer({ alternates: [b.url] });
		const socket = stageSocket(a.url);
		const shutDown = (client: ServerSocket): void => {
			client.send(JSON.stringify({ event: 'bye', data: { code: 'shutting_down', detail: '', reconnect: true } }));
			client.close(1001);
		};
		socket.open();
		// A socket that only breaks says nothing of the server.
		(await a.client()).terminate();
		shutDown(await a.client());
		shutDown(await b.client());
		await a.client();
	});

	it('goes to another server when its own does not answer any more', async () => {
		const b = await stageServer();
		const gone = await nowhere();
		const a = await stageServer({ alternates: [gone, b.url] });
		const socket = stageSocket(a.url);
		socket.open();
		const client = await a.client();
		client.send(JSON.stringify({ event: 'bye', data: { code: 'shutting_down', detail: '', reconnect: true } }));
		client.close(1001);
		await b.client();
	});

	it('comes back to the same server when the room moved, which leads to the new home', async () => {
		const b = await stageServer();
		const a = await stageServer({ alternates: [b.url] });
		const socket = stageSocket(a.url);
		socket.open();
		const client = await a.client();
		const lost = new Promise((resolve) => socket.on('lost', resolve));
		client.send(JSON.stringify({ event: 'bye', data: { code: 'moved', detail: '', reconnect: true } }));
		client.close(4307);
		expect(await lost).toEqual({ retryInMs: 0, code: 'moved' });
		await a.client();
	});
});

describe('the event feed', () => {
	const stream = (request: IncomingMessage, response: ServerResponse, text: string): void => {
		expect(request.url).toBe('/v1/rooms/launch/events');
		response.writeHead(200, { 'content-type': 'text/event-stream' }).write(text);
	};
	const event = (name: string, data: unknown): string => `id: 1\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

	function feedOf(servers: Servers): { feed: EventFeed; told: unknown[]; next: (count: number) => Promise<void> } {
		const feed = new EventFeed({ room: 'launch', servers, random: () => 0 });
		undo.push(() => feed.close());
		const told: unknown[] = [];
		let wake = (): void => {};
		for (const kind of ['room', 'move'] as const) {
			feed.on(kind, (data) => {
				told.push([kind, data]);
				wake();
			});
		}
		feed.start();
		return {
			feed,
			told,
			async next(count) {
				while (told.length < count) await new Promise<void>((resolve) => (wake = resolve));
			},
		};
	}

	it('goes to another server when its own cannot be reached or cannot serve', async () => {
		const b = await serve((request, response) => stream(request, response, event('room', { id: 'launch' })));
		const broken = await serve((_request, response) => response.writeHead(502).end());
		const servers = new Servers(await nowhere(), () => 0.5);
		servers.learn([broken.url, b.url], broken.url);
		const { told, next } = feedOf(servers);
		await next(1);
		expect(told).toEqual([['room', { id: 'launch' }]]);
	});

	it('tells who is to move, and takes it back when the stream that said so is gone', async () => {
		let streams = 0;
		const a = await serve((request, response) => {
			streams += 1;
			// What is not told again because it was seen would be lost.
			expect(request.headers['last-event-id']).toBeUndefined();
			stream(request, response, streams === 1 ? event('move', { 'n1.2': 0.5 }) : event('room', { id: 'launch' }));
			if (streams === 1) response.end();
		});
		const { told, next } = feedOf(new Servers(a.url));
		await next(3);
		expect(told).toEqual([['move', { 'n1.2': 0.5 }], ['move', {}], ['room', { id: 'launch' }]]);
	});

	it('goes on as a guest once there is a pass, from where it was, and without one when the server does not take it', async () => {
		const asked: { authorization: string | undefined; from: string | undefined }[] = [];
		const a = await serve((request, response) => {
			const { authorization, 'last-event-id': from } = request.headers;
			asked.push({ authorization, from: from as string | undefined });
			if (authorization === 'Bearer over') response.writeHead(401, { 'content-type': 'application/problem+json' }).end('{"code":"token_invalid","status":401,"title":"no"}');
			else stream(request, response, event('room', { asked: asked.length }));
		});
		const { feed, told, next } = feedOf(new Servers(a.url));
		const refused: unknown[] = [];
		feed.on('refused', (problem) => refused.push(problem));
		await next(1);
		feed.identify('pass');
		// The same pass again is no reason for another stream.
		feed.identify('pass');
		await next(2);
		feed.identify('over');
		await next(3);
		expect(asked).toEqual([
			{ authorization: undefined, from: undefined },
			{ authorization: 'Bearer pass', from: '1' },
			{ authorization: 'Bearer over', from: '1' },
			{ authorization: undefined, from: '1' },
		]);
		expect([told.length, refused]).toEqual([3, []]);
	});

	it('leaves a server that says goodbye', async () => {
		const b = await serve((request, response) => stream(request, response, event('room', { id: 'launch' })));
		const a = await serve((request, response) => {
			stream(request, response, event('bye', { reason: 'shutting_down', reconnect: true, retryMs: 0 }));
			response.end();
		});
		const servers = new Servers(a.url);
		servers.learn([b.url], a.url);
		await feedOf(servers).next(1);
	});
});

describe('a session that is asked to move', () => {
	const url = (id: string) => `https://a.example.org/radio/v1/sessions/${id}`;

	it('finds node, shard and hash in its address, as the server made them', () => {
		fc.assert(
			fc.property(fc.stringMatching(/^[a-z0-9-]{1,32}$/), fc.nat(9_999), fc.stringMatching(/^[0-9a-f]{32}$/), (node, shard, hex) => {
				const hash = Number.parseInt(hex.slice(0, 8), 16) / 2 ** 32;
				expect(placeOf(url(makeSessionId(shard, hex, node)))).toEqual({ shard: `${node}.${shard}`, hash });
				expect(placeOf(url(makeSessionId(shard, hex)))).toEqual({ shard: String(shard), hash });
				return hash >= 0 && hash < 1;
			}),
		);
		expect(placeOf(null)).toBeUndefined();
		expect(placeOf('https://other.example.org/whep/1234')).toBeUndefined();
	});

	it.each<[string, Record<string, number>, boolean]>([
		['its shard and a portion above its hash', { 'n1.2': 0.6 }, true],
		['a portion that is just its hash', { 'n1.2': 0.5 }, false],
		['everybody on its shard', { 'n1.2': 1 }, true],
		['another shard', { 'n1.3': 1 }, false],
		['nobody', {}, false],
	])('moves or not when told of %s', (_what, portions, moves) => {
		const plan = new MovePlan(() => 0);
		plan.told(portions);
		expect(plan.wants({ shard: 'n1.2', hash: 0.5 })).toBe(moves);
		expect(plan.wants({ shard: 'constructor', hash: 0 })).toBe(false);
		expect(plan.wants(undefined)).toBe(false);
	});

	it('goes within half a second of being asked, and not again within five', () => {
		let random = 0;
		const plan = new MovePlan(() => random);
		expect(plan.delayMs(1_000)).toBe(0);
		random = 0.999;
		expect(plan.delayMs(1_000)).toBeLessThan(500);
		random = 0;
		plan.begun(1_000);
		expect(plan.delayMs(1_200)).toBe(4_800);
		expect(plan.delayMs(1_200, 30_000)).toBe(29_800);
		expect(plan.delayMs(9_000)).toBe(0);
	});
});
