import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { SocketRelay } from '../../server/cluster/peers/socket-relay.ts';

const BUFFER_BYTES = 64 * 1024;
const schedule = (ms: number, task: () => void) => {
	const timer = setTimeout(task, ms);
	return () => clearTimeout(timer);
};

let servers: WebSocketServer[];
/** The far ends, and what stands between them. */
let client: WebSocket;
let home: WebSocket;
let relay: SocketRelay;
let ended: string[];

async function server(): Promise<{ server: WebSocketServer; url: string; next: Promise<WebSocket> }> {
	const listening = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
	servers.push(listening);
	const next = once(listening, 'connection').then(([socket]) => socket as WebSocket);
	await once(listening, 'listening');
	return { server: listening, url: `ws://127.0.0.1:${(listening.address() as AddressInfo).port}`, next };
}

beforeEach(async () => {
	servers = [];
	const reasons: string[] = [];
	ended = reasons;
	const [outside, inside] = [await server(), await server()];
	client = new WebSocket(outside.url);
	const accepted = await outside.next;
	const towardsHome = new WebSocket(inside.url, { autoPong: false });
	home = await inside.next;
	await Promise.all([client, towardsHome].map((socket) => socket.readyState === socket.OPEN ? undefined : once(socket, 'open')).map(async (opened) => opened));
	relay = SocketRelay.join({ client: accepted, home: towardsHome, schedule, limits: { maxBufferedBytes: BUFFER_BYTES, pingEveryMs: 30, missedPings: 2, closeTimeoutMs: 50 } });
	relay.on('closed', (why) => reasons.push(why));
});
afterEach(() => {
	for (const listening of servers) {
		for (const socket of listening.clients) socket.terminate();
		listening.close();
	}
	client.terminate();
});

const closeOf = async (socket: WebSocket) => {
	const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
	return { code, reason: reason.toString() };
};

describe('two sockets joined', () => {
	it('pass text and binary frames as they are, in order', async () => {
		const seen: [string, boolean][] = [];
		const all = Promise.withResolvers<void>();
		home.on('message', (data: Buffer, binary) => {
			seen.push([data.toString(), binary]);
			if (seen.length === 3) all.resolve();
		});
		client.send('ä');
		client.send(Buffer.from('b'));
		client.send('');
		await all.promise;
		expect(seen).toEqual([['ä', false], ['b', true], ['', false]]);
	});

	it.each<['home' | 'client', number | undefined, string, { code: number; reason: string }]>([
		['home', 4430, 'kicked', { code: 4430, reason: 'kicked' }],
		['home', 1000, 'left', { code: 1000, reason: 'left' }],
		['home', undefined, '', { code: 1005, reason: '' }],
		['client', 1000, 'bye', { code: 1000, reason: 'bye' }],
		['client', 1001, '', { code: 1001, reason: '' }],
		['client', undefined, '', { code: 1005, reason: '' }],
	])('the %s closing with %s closes the other with the same', async (who, code, reason, expected) => {
		const [closing, other] = who === 'home' ? [home, client] : [client, home];
		const closed = closeOf(other);
		if (code === undefined) closing.close();
		else closing.close(code, reason);
		expect(await closed).toEqual(expected);
		expect(ended).toEqual(['closed']);
	});

	it('a home that breaks off is a restart for the client', async () => {
		const closed = closeOf(client);
		home.terminate();
		expect(await closed).toEqual({ code: 1012, reason: 'home_lost' });
		expect(ended).toEqual(['home lost']);
	});

	it('a client that breaks off breaks off at home', async () => {
		const closed = closeOf(home);
		client.terminate();
		expect((await closed).code).toBe(1006);
	});

	it('a home that hangs is noticed, although its connection stands', async () => {
		const closed = closeOf(client);
		// What a node that is cut off or stopped does: nothing.
		home.pause();
		expect(await closed).toEqual({ code: 1012, reason: 'home_lost' });
	});

	it.each<['client' | 'home', () => [reader: WebSocket, writer: WebSocket]]>([
		['client', () => [client, home]],
		['home', () => [home, client]],
	])('a %s that reads nothing costs no more than the bound', async (_, ends) => {
		const [reader, writer] = ends();
		// Its pongs would stop too, which is another test.
		reader.pause();
		const closed = closeOf(writer);
		const frame = 'x'.repeat(60_000);
		const flood = setInterval(() => {
			for (let count = 0; count < 100; count++) if (writer.readyState === writer.OPEN) writer.send(frame);
		}, 1);
		await closed;
		clearInterval(flood);
		expect(['too slow', 'home lost']).toContain(ended[0]);
		expect(ended).toHaveLength(1);
	});

	it('end with a last word when the node between goes, while the home sees a loss', async () => {
		const [message, closed, lost] = [once(client, 'message'), closeOf(client), closeOf(home)];
		relay.end('bye bye');
		expect(String((await message)[0])).toBe('bye bye');
		expect(await closed).toEqual({ code: 1001, reason: 'shutting_down' });
		expect((await lost).code).toBe(1006);
	});
});
