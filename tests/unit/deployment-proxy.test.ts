import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import path from 'node:path';
import { fastify } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

const CADDY = ['/usr/bin/caddy', '/usr/local/bin/caddy'].find((file) => existsSync(file));
const CADDYFILE = path.resolve(import.meta.dirname, '../../docker/Caddyfile.cluster');
const PROXY_PORT = 28_140;
const UPSTREAM_PORTS = [28_141, 28_142, 28_143];
/** Of a proxy that does not learn from its checks that a node is gone. */
const UNAWARE_PORT = 28_144;
const UNAWARE_UPSTREAM_PORTS = [28_145, 28_146, 28_147];
/** As a node's. */
const KEEP_ALIVE_MS = 72_000;
const LISTEN = '/v1/rooms/town-hall/listen';

/** Handlers of the Caddyfile that ask for each; every one has checks of its own. */
const HANDLERS: Checks = { healthz: countOf('health_uri /healthz'), readyz: countOf('health_uri /readyz') };

function countOf(text: string): number {
	return readFileSync(CADDYFILE, 'utf8').split(text).length - 1;
}

interface Checks {
	healthz: number;
	readyz: number;
}

/** What the proxy sees of a node: health, answers, one event stream, one socket. */
class Upstream {
	readonly #server: Server;
	readonly #checks = new Map<() => boolean, () => void>();
	readonly port: number;
	healthy = true;
	ready = true;
	/** It takes connections and says nothing, as a process that was stopped. */
	hangs = false;
	/** Health checks answered since the state was last set. */
	checks: Checks = { healthz: 0, readyz: 0 };
	requests: string[] = [];
	onPost: (request: IncomingMessage, response: ServerResponse, body: string) => void = (_request, response) => void response.writeHead(201).end(String(this.port));
	onEvents: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => void response.end();

	constructor(port: number) {
		this.port = port;
		this.#server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (message, response) => this.#answer(message, response));
		const sockets = new WebSocketServer({ server: this.#server });
		sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
	}

	async listen(): Promise<void> {
		this.#server.listen(this.port, '127.0.0.1');
		await once(this.#server, 'listening');
	}

	async stop(): Promise<void> {
		if (!this.#server.listening) return;
		const closed = once(this.#server, 'close');
		this.#server.close();
		this.#server.closeAllConnections();
		await closed;
	}

	/**
	 * Sets what it says of itself, and waits until the proxy must have taken that in: each of its handlers asks again once
	 * it has the last answer. The next checks are a whole interval away then.
	 */
	async become(state: { healthy: boolean; ready: boolean; hangs?: boolean }): Promise<void> {
		Object.assign(this, { hangs: false, ...state });
		this.checks = { healthz: 0, readyz: 0 };
		await new Promise<void>((resolve) => this.#checks.set(() => this.checks.healthz >= 2 * HANDLERS.healthz && this.checks.readyz >= 2 * HANDLERS.readyz, resolve));
	}

	#answer(message: IncomingMessage, response: ServerResponse): void {
		const { method, url = '' } = message;
		if (url === '/healthz' || url === '/readyz') {
			const well = url === '/healthz' ? this.healthy : this.healthy && this.ready;
			this.checks[url === '/healthz' ? 'healthz' : 'readyz']++;
			if (!this.hangs) response.writeHead(well ? 200 : 503).end();
			for (const [isEnough, resolve] of this.#checks) {
				if (isEnough()) {
					this.#checks.delete(isEnough);
					resolve();
				}
			}
			return;
		}
		this.requests.push(`${method} ${url}`);
		if (this.hangs) return;
		if (method === 'POST') {
			let body = '';
			message.setEncoding('utf8').on('data', (chunk: string) => (body += chunk)).on('end', () => this.onPost(message, response, body));
		} else if (url.endsWith('/events')) this.onEvents(message, response);
		else response.end(String(this.port));
	}
}

interface Answer {
	status: number;
	headers: IncomingMessage['headers'];
	body: string;
}

/** One request on a connection of its own. */
function ask(method: string, target: string, body?: string, port = PROXY_PORT): Promise<Answer> {
	return new Promise((resolve, reject) => {
		const call = request({ host: '127.0.0.1', port, method, path: target, agent: false, headers: { 'content-type': 'application/sdp' } }, (response) => {
			let text = '';
			response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk)).on('error', reject)
				.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
		});
		call.on('error', reject).end(body);
	});
}

const portsOf = (answers: Answer[]) => [...new Set(answers.map(({ body }) => Number(body)))].toSorted((a, b) => a - b);
const askMany = (method: string, target: string, body?: string, port?: number) => Promise.all(Array.from({ length: 30 }, () => ask(method, target, body, port)));

/** Resolves with Caddy once it says in its log that it has opened its port. */
async function serve(port: number, healthPort: number, healthInterval: string, upstreamPorts: readonly number[]): Promise<ChildProcess> {
	const env = { ...process.env, SITE_ADDRESS: `http://127.0.0.1:${port}`, HEALTH_PORT: String(healthPort), HEALTH_INTERVAL: healthInterval, UPSTREAMS: upstreamPorts.map((upstream) => `127.0.0.1:${upstream}`).join(' ') };
	const caddy = spawn(CADDY ?? '', ['run', '--config', CADDYFILE, '--adapter', 'caddyfile'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
	await new Promise<void>((resolve, reject) => {
		let log = '';
		caddy.once('exit', () => reject(new Error(`the proxy did not start: ${log}`)));
		caddy.stderr.on('data', (chunk: Buffer) => {
			log += chunk.toString();
			if (log.includes('serving initial configuration')) resolve();
		});
	});
	return caddy;
}

async function end(caddy: ChildProcess): Promise<void> {
	const exited = once(caddy, 'exit');
	caddy.kill('SIGKILL');
	await exited;
}

const WHY_NOT = CADDY === undefined ? ' (skipped: needs caddy, which the test command installs where it is root)' : '';
describe.skipIf(CADDY === undefined)(`the proxy of a cluster${WHY_NOT}`, () => {
	let caddy: ChildProcess;
	let nodes: Upstream[];

	beforeAll(async () => {
		nodes = UPSTREAM_PORTS.map((port) => new Upstream(port));
		await Promise.all(nodes.map((node) => node.listen()));
		caddy = await serve(PROXY_PORT, 28_139, '500ms', UPSTREAM_PORTS);
		await Promise.all(nodes.map((node) => node.become({ healthy: true, ready: true })));
	});
	beforeEach(async () => {
		for (const node of nodes) {
			node.requests = [];
			node.onPost = (_request, response) => void response.writeHead(201).end(String(node.port));
		}
		const odd = nodes.filter(({ healthy, ready, hangs }) => !healthy || !ready || hangs);
		await Promise.all(odd.map((node) => node.become({ healthy: true, ready: true })));
	});
	afterAll(async () => {
		await end(caddy);
		await Promise.all(nodes.map((node) => node.stop()));
	});

	it('is a configuration that Caddy takes, in the form Caddy writes', () => {
		expect(execFileSync(CADDY ?? '', ['fmt', CADDYFILE], { encoding: 'utf8' }).trim()).toBe(readFileSync(CADDYFILE, 'utf8').trim());
		const adapted = JSON.parse(execFileSync(CADDY ?? '', ['adapt', '--config', CADDYFILE, '--adapter', 'caddyfile'], { env: { PATH: '/usr/bin' }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as object;
		expect(JSON.stringify(adapted)).toContain('"dial":"127.0.0.1:3001"');
	});

	it('keeps connections for less long than a node does', () => {
		const [, keepAliveSeconds] = /^\s*keepalive (\d+)s$/m.exec(readFileSync(CADDYFILE, 'utf8')) ?? [];
		expect(Number(keepAliveSeconds) * 1_000).toBeLessThan(fastify().initialConfig.keepAliveTimeout ?? 0);
	});

	it('spreads joins over all nodes and passes body, status and forwarded addresses on', async () => {
		expect(portsOf(await askMany('POST', LISTEN, 'v=0'))).toEqual(UPSTREAM_PORTS);
		for (const node of nodes) {
			node.onPost = (message, response, body) =>
				void response.writeHead(307, { location: 'https://b.example.org/v1/rooms/town-hall/listen?handoff=x' })
					.end(`${body} ${String(message.headers['x-forwarded-for'])} ${String(message.headers['x-forwarded-proto'])}`);
		}
		const answer = await ask('POST', LISTEN, 'v=0');
		expect(answer).toMatchObject({ status: 307, body: 'v=0 127.0.0.1 http' });
		expect(answer.headers.location).toBe('https://b.example.org/v1/rooms/town-hall/listen?handoff=x');
	});

	it('sends joins past a node that is not ready, and everything else still to it', async () => {
		await nodes[0]?.become({ healthy: true, ready: false });
		expect(portsOf(await askMany('POST', LISTEN, 'v=0'))).toEqual(UPSTREAM_PORTS.slice(1));
		expect(portsOf(await askMany('GET', '/r/town-hall'))).toEqual(UPSTREAM_PORTS);
	});

	it('sends nobody to a node that takes connections and does not answer', async () => {
		await nodes[0]?.become({ healthy: true, ready: true, hangs: true });
		expect(portsOf(await askMany('POST', LISTEN, 'v=0'))).toEqual(UPSTREAM_PORTS.slice(1));
		expect(portsOf(await askMany('GET', '/r/town-hall'))).toEqual(UPSTREAM_PORTS.slice(1));
	});

	it('takes a node that lives when none is ready', async () => {
		await Promise.all(nodes.map((node) => node.become({ healthy: true, ready: false })));
		expect(await ask('POST', LISTEN, 'v=0')).toMatchObject({ status: 201 });
	});

	it('never repeats what was sent: a node may have carried it out', async () => {
		for (const node of nodes) node.onPost = (message) => message.socket.destroy();
		expect(await ask('POST', '/v1/rooms/town-hall/publish', 'v=0')).toMatchObject({ status: 502 });
		expect(await ask('POST', '/v1/rooms/town-hall/end', '')).toMatchObject({ status: 502 });
		expect(nodes.flatMap(({ requests }) => requests).toSorted()).toEqual(['POST /v1/rooms/town-hall/end', 'POST /v1/rooms/town-hall/publish']);
	});

	it('asks another node when one takes a GET and does not answer', async () => {
		for (const node of nodes.slice(1)) node.onEvents = (_request, response) => void response.end('here');
		if (nodes[0]) nodes[0].onEvents = (message) => message.socket.destroy();
		// A node that failed before is left alone for a second.
		while (nodes[0]?.requests.length === 0) {
			const answers = await askMany('GET', '/v1/rooms/town-hall/events');
			expect(answers.map(({ body }) => body)).toEqual(answers.map(() => 'here'));
		}
	});

	it('passes events on as they come, and lets go upstream when the listener leaves', async () => {
		const left = new Promise<void>((resolve) => {
			for (const node of nodes) {
				node.onEvents = (message, response) => {
					message.socket.once('close', resolve);
					response.once('close', resolve);
					response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: room\ndata: {}\n\n');
				};
			}
		});
		const leave = new AbortController();
		const stream = await fetch(`http://127.0.0.1:${PROXY_PORT}/v1/rooms/town-hall/events`, { signal: leave.signal });
		const first = await stream.body?.getReader().read();
		// The stream has not ended upstream: an event that came was not held back.
		expect(new TextDecoder().decode(first?.value)).toBe('event: room\ndata: {}\n\n');
		leave.abort();
		await left;
	});

	it('passes WebSockets', async () => {
		const socket = new WebSocket(`ws://127.0.0.1:${PROXY_PORT}/v1/rooms/town-hall/stage?access_token=x`);
		await once(socket, 'open');
		socket.send('hello');
		const [data] = (await once(socket, 'message')) as [Buffer];
		expect(data.toString()).toBe('hello');
		socket.close();
	});

	it('keeps metrics to itself', async () => {
		expect(await ask('GET', '/metrics')).toMatchObject({ status: 404 });
		expect(nodes.flatMap(({ requests }) => requests)).toEqual([]);
	});
});

describe.skipIf(CADDY === undefined)(`the proxy of a cluster, in the moment before it learns that a node is gone${WHY_NOT}`, () => {
	let caddy: ChildProcess;
	let nodes: Upstream[];

	beforeAll(async () => {
		nodes = UNAWARE_UPSTREAM_PORTS.map((port) => new Upstream(port));
		await Promise.all(nodes.map((node) => node.listen()));
		// It asks once, at its start.
		caddy = await serve(UNAWARE_PORT, 28_148, '1h', UNAWARE_UPSTREAM_PORTS);
	});
	beforeEach(async () => {
		// A node that failed before is left alone for a second.
		for (const node of nodes) node.requests = [];
		while (nodes[0]?.requests.length === 0) await askMany('GET', '/r/town-hall', undefined, UNAWARE_PORT);
		await nodes[0]?.stop();
	});
	afterEach(() => nodes[0]?.listen());
	afterAll(async () => {
		await end(caddy);
		await Promise.all(nodes.map((node) => node.stop()));
	});

	it('brings a listener elsewhere, offer and all, when a node takes no connection', async () => {
		const bodies: string[] = [];
		for (const node of nodes.slice(1)) {
			node.onPost = (_request, response, body) => {
				bodies.push(body);
				response.writeHead(201).end();
			};
		}
		// As browsers do: a 307 is followed with method and body.
		const join = () => fetch(`http://127.0.0.1:${UNAWARE_PORT}${LISTEN}`, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: 'v=0 the whole offer' });
		const answers = await Promise.all(Array.from({ length: 30 }, join));
		expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
		expect(answers.some(({ redirected }) => redirected)).toBe(true);
		expect(bodies).toEqual(answers.map(() => 'v=0 the whole offer'));
	});

	it('lets pages of other origins follow there too', async () => {
		const answers = await askMany('POST', `${LISTEN}?packing=20`, 'v=0', UNAWARE_PORT);
		const redirected = answers.filter(({ status }) => status === 307);
		expect(redirected.length).toBeGreaterThan(0);
		expect(redirected[0]?.headers).toMatchObject({ location: `${LISTEN}?packing=20`, 'access-control-allow-origin': '*' });
	});
});
