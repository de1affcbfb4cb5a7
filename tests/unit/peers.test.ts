import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deriveClusterKeys } from '../../auth/cluster-keys.ts';
import { ClusterTokens } from '../../auth/cluster-token.ts';
import type { NodeReport } from '../../server/cluster/node-report.ts';
import type { PeerHandlers } from '../../server/cluster/peer-protocol.ts';
import { PeerClient } from '../../server/cluster/peers/peer-client.ts';
import { PeerServer } from '../../server/cluster/peers/peer-server.ts';
import { DomainError } from '../../server/errors.ts';
import { FakeView, nodeReport, peerHandlers } from '../support/cluster/http-nodes.ts';

const keys = deriveClusterKeys('one-secret-that-all-nodes-of-a-cluster-share');
const tokensOf = (nodeId: string, secretKeys = keys) => new ClusterTokens({ keys: secretKeys, nodeId, now: Date.now });
/** A public application that nobody asks in these tests. */
const NO_APP = { routing: () => {}, server: createServer() } as never;

let reports: Map<string, NodeReport>;
let view: FakeView;
let client: PeerClient;
let servers: PeerServer[];
let logs: { level: number; err?: { message: string } }[];

beforeEach(() => {
	reports = new Map();
	view = new FakeView('a', reports);
	client = new PeerClient({ view, tokens: tokensOf('a') });
	servers = [];
	logs = [];
});
afterEach(async () => {
	client.close();
	await Promise.all(servers.map((server) => server.close()));
});

async function peer(nodeId: string, handlers: Partial<PeerHandlers>, port = 0): Promise<PeerServer> {
	const log = pino({ level: 'debug' }, { write: (line: string) => void logs.push(JSON.parse(line) as (typeof logs)[number]) });
	const server = await PeerServer.listen({ host: '127.0.0.1', port, tokens: tokensOf(nodeId), handlers: peerHandlers(handlers), app: NO_APP, log });
	servers.push(server);
	reports.set(nodeId, nodeReport(nodeId, `http://127.0.0.1:${server.port}`));
	return server;
}

const pong = (nodeId: string) => ({ nodeId, incarnation: 'incarnation', homes: {} });
const post = (server: PeerServer, name: string, body: string, headers: Record<string, string>) =>
	fetch(`http://127.0.0.1:${server.port}/internal/v1/${name}`, { method: 'POST', headers, body });

describe('a request', () => {
	it('comes with its parameters and the name of the sender, and brings the result back', async () => {
		const seen: unknown[] = [];
		await peer('b', {
			openDownstream: async (params, from) => {
				seen.push(params, from);
				return { ip: '127.0.0.1', port: 7, voices: [] };
			},
		});
		const params = {
			roomId: 'Zürich', linkId: 'link-0001', upstream: { nodeId: 'b', shard: 'origin' as const }, child: { nodeId: 'a', shard: 1 },
			remote: { ip: '10.0.0.1', port: 1234, srtpParameters: { cryptoSuite: 'AEAD_AES_256_GCM', keyBase64: 'AAAA' } },
		};
		expect(await client.request('b', 'openDownstream', params)).toEqual({ ip: '127.0.0.1', port: 7, voices: [] });
		expect(seen).toEqual([params, 'a']);
	});

	it('to this node itself is answered without the network', async () => {
		const own = new PeerClient({ view, tokens: tokensOf('a'), handlers: peerHandlers({ ping: async (_, from) => pong(from) }) });
		expect(await own.request('a', 'ping', {})).toMatchObject({ nodeId: 'a' });
		own.close();
	});

	it('that is refused rejects with the same error as there', async () => {
		await peer('b', {
			findUpstream: async () => {
				throw new DomainError('upstream_unavailable', 'No place in the tree', { extra: { tried: 3 }, retryAfterSeconds: 2 });
			},
		});
		const refused = client.request('b', 'findUpstream', { roomId: 'launch', edge: { nodeId: 'a', shard: 0 }, avoid: [] });
		await expect(refused).rejects.toBeInstanceOf(DomainError);
		await expect(refused).rejects.toMatchObject({ code: 'upstream_unavailable', message: 'No place in the tree', retryAfterSeconds: 2, extra: { tried: 3, node: 'b' } });
	});

	it('that fails unexpectedly tells nothing of the inside, but the log there does', async () => {
		await peer('b', {
			ping: async () => {
				throw new TypeError('secret of the house');
			},
		});
		const failed = client.request('b', 'ping', {});
		await expect(failed).rejects.toMatchObject({ code: 'internal_error' });
		await expect(failed).rejects.not.toThrow(/secret/);
		expect(logs.map(({ err }) => err?.message)).toEqual(['secret of the house']);
	});

	it.each<[string, number, string]>([
		['{"code":"invented_tomorrow","detail":"x"}', 409, 'internal_error'],
		['{"code":"constructor"}', 400, 'internal_error'],
		['[]', 500, 'internal_error'],
		['<html>a proxy</html>', 502, 'peer_unreachable'],
		['', 200, 'peer_unreachable'],
	])('that is answered with %s (%i) is %s', async (body, status, code) => {
		const stranger: Server = createServer((_request, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body));
		await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
		reports.set('b', nodeReport('b', `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`));
		await expect(client.request('b', 'ping', {})).rejects.toMatchObject({ code });
		stranger.closeAllConnections();
		stranger.close();
	});

	it.each(['is silent', 'stops in the middle of its answer'])('to a peer that %s ends at its deadline', async (how) => {
		const stranger = createServer((_request, response) => {
			if (how !== 'is silent') response.writeHead(200, { 'content-length': 100 }).write('{');
		});
		await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
		reports.set('b', nodeReport('b', `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`));
		await expect(client.request('b', 'ping', {}, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'peer_unreachable', retryable: true });
		stranger.closeAllConnections();
		stranger.close();
	});

	it('finds no node that was never heard of, and none that does not listen', async () => {
		await expect(client.request('nobody', 'ping', {})).rejects.toMatchObject({ code: 'peer_unreachable' });
		const server = await peer('b', {});
		await server.close();
		await expect(client.request('b', 'ping', {})).rejects.toMatchObject({ code: 'peer_unreachable' });
	});

	it('still finds a node that was taken for dead, which is asked before its rooms are taken over', async () => {
		await peer('b', { ping: async () => pong('b') });
		await client.request('b', 'ping', {});
		reports.delete('b');
		view.emit('nodeDown', 'b', 'no heartbeat');
		expect(await client.request('b', 'ping', {})).toMatchObject({ nodeId: 'b' });
	});

	it('that waits for a node which turns out to be dead does not wait for its deadline', async () => {
		const reached = Promise.withResolvers<void>();
		const held = Promise.withResolvers<never>();
		await peer('b', {
			ping: () => {
				reached.resolve();
				return held.promise;
			},
		});
		const asked = client.request('b', 'ping', {}, { timeoutMs: 60_000 });
		await reached.promise;
		view.emit('nodeDown', 'b', 'no heartbeat');
		await expect(asked).rejects.toMatchObject({ code: 'peer_unreachable' });
		held.reject(new Error('over'));
	});

	it('survives that the peer was restarted between two of them', async () => {
		const first = await peer('b', { ping: async () => pong('first') });
		const { port } = first;
		await client.request('b', 'ping', {});
		await first.close();
		await peer('b', { ping: async () => pong('second') }, port);
		expect(await client.request('b', 'ping', {})).toMatchObject({ nodeId: 'second' });
	});

	it('uses one connection after the other, not one each', async () => {
		const ports = new Set<number>();
		const stranger = createServer((request, response) => {
			ports.add(request.socket.remotePort ?? 0);
			response.end('{}');
		});
		await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
		reports.set('b', nodeReport('b', `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`));
		for (let count = 0; count < 5; count++) await client.request('b', 'ping', {});
		expect(ports.size).toBe(1);
		stranger.closeAllConnections();
		stranger.close();
	});
});

describe('the internal port', () => {
	it.each<[string, string, string, Record<string, string>, number, string]>([
		['without a token', 'ping', '{}', {}, 401, 'token_required'],
		['with a bearer token', 'ping', '{}', { authorization: 'Bearer x' }, 401, 'token_required'],
		['with a bad token', 'ping', '{}', { 'x-rostrum-node': 'x.y.z' }, 401, 'token_invalid'],
		['for something unknown', 'selfDestruct', '{}', { 'x-rostrum-node': 'good' }, 404, 'not_found'],
		['for a property that all objects have', 'constructor', '{}', { 'x-rostrum-node': 'good' }, 404, 'not_found'],
		['that is no JSON', 'ping', '{', { 'x-rostrum-node': 'good' }, 400, 'invalid_request'],
		['that is empty', 'ping', '', { 'x-rostrum-node': 'good' }, 400, 'invalid_request'],
		['with parameters that do not fit', 'roomState', '{"roomId":7}', { 'x-rostrum-node': 'good' }, 400, 'invalid_request'],
		['with one missing', 'takeHome', '{}', { 'x-rostrum-node': 'good' }, 400, 'invalid_request'],
		['that is too large', 'ping', `{"x":"${'x'.repeat(4 * 1024 * 1024)}"}`, { 'x-rostrum-node': 'good' }, 413, 'payload_too_large'],
	])('refuses a request %s (%s)', async (_, name, body, headers, status, code) => {
		const asked: string[] = [];
		const note = async (): Promise<never> => {
			asked.push('a handler');
			throw new Error('not reached');
		};
		const server = await peer('b', { ping: note, roomState: note, takeHome: note });
		const answer = await post(server, name, body, headers['x-rostrum-node'] === 'good' ? { 'x-rostrum-node': await tokensOf('a').current() } : headers);
		expect(answer.status).toBe(status);
		expect(answer.headers.get('content-type')).toBe('application/problem+json');
		expect(await answer.json()).toMatchObject({ code });
		expect(asked).toEqual([]);
	});

	it('refuses nodes of another cluster', async () => {
		await peer('b', { ping: async () => pong('b') });
		const stranger = new PeerClient({ view, tokens: tokensOf('a', deriveClusterKeys('another-secret-of-another-cluster-altogether')) });
		await expect(stranger.request('b', 'ping', {})).rejects.toMatchObject({ code: 'token_invalid' });
		stranger.close();
	});

	it('takes heartbeats of a large node', async () => {
		const server = await peer('b', { heartbeat: async ({ report }) => ({ report, passedOn: false }) });
		expect(server.port).toBeGreaterThan(0);
		const rooms = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`room-${index}`, index]));
		const { report } = await client.request('b', 'heartbeat', { report: { ...nodeReport('a', 'http://127.0.0.1:1'), rooms } }, { timeoutMs: 5_000 });
		expect(report.rooms).toEqual(rooms);
	});

	it('lets an answer under way out before it closes, and closes twice as once', async () => {
		const reached = Promise.withResolvers<void>();
		const door = Promise.withResolvers<void>();
		const server = await peer('b', {
			ping: async () => {
				reached.resolve();
				await door.promise;
				return pong('b');
			},
		});
		const asked = client.request('b', 'ping', {}, { timeoutMs: 5_000 });
		await reached.promise;
		const closed = [server.close(), server.close()];
		door.resolve();
		expect(await asked).toMatchObject({ nodeId: 'b' });
		await Promise.all(closed);
		await expect(client.request('b', 'ping', {})).rejects.toMatchObject({ code: 'peer_unreachable' });
	});

	it('says so when its port is taken', async () => {
		const { port } = await peer('b', {});
		await expect(peer('c', {}, port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
	});
});
