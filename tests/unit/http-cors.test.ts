import { afterEach, describe, expect, it } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { KeyRing } from '../../auth/key-ring.ts';
import type { NodeReport } from '../../server/cluster/node-report.ts';
import type { AppCluster } from '../../server/http/deps.ts';
import { aReport } from '../support/cluster/reports.ts';
import { createTestApp, type TestApp } from '../support/fakes/test-app.ts';

let dir: string;
let test: TestApp;
let reports: NodeReport[];
afterEach(async () => {
	await test.close();
	await rm(dir, { recursive: true, force: true });
});

async function start(corsOrigins: '*' | string[]): Promise<void> {
	dir = await mkdtemp(path.join(tmpdir(), 'rostrum-cors-'));
	reports = [aReport('a', 1, { publicUrl: 'https://a.example.org' }), aReport('b', 1, { publicUrl: 'https://B.example.org:443/' }), aReport('c', 1)];
	const notUsed = (): never => expect.unreachable();
	const cluster: AppCluster = {
		view: { nodeId: 'a', node: () => undefined, nodes: () => reports },
		homes: { ensure: notUsed },
		tickets: { issue: notUsed, redeem: notUsed },
		sockets: { open: notUsed, join: notUsed, close: () => undefined },
		forward: notUsed,
	};
	const keyRing = await KeyRing.open({ dir, now: Date.now, algorithm: 'EdDSA' });
	test = await createTestApp({ http: { corsOrigins }, node: { id: 'a', cluster, keyRing } });
}

/** What a page of this origin is told; undefined when it may not read the answer. */
const allowed = async (origin: string) => (await test.app.inject({ url: '/v1/rooms', headers: { origin } })).headers['access-control-allow-origin'];
const preflight = async (origin: string) =>
	(await test.app.inject({ method: 'OPTIONS', url: '/v1/rooms', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' } })).headers['access-control-allow-origin'];

describe('with a list of origins', () => {
	it('pages of the list and of the cluster’s nodes are let in, others are not', async () => {
		await start(['https://good.example']);
		for (const origin of ['https://good.example', 'https://a.example.org', 'https://b.example.org']) {
			expect([await allowed(origin), await preflight(origin)]).toEqual([origin, origin]);
		}
		for (const origin of ['https://bad.example', 'https://c.example.org', 'http://b.example.org', 'null']) {
			expect([origin, await allowed(origin), await preflight(origin)]).toEqual([origin, undefined, undefined]);
		}
		const { headers } = await test.app.inject({ url: '/v1/rooms', headers: { origin: 'https://b.example.org' } });
		expect(headers['vary']).toBe('Origin');
		expect((await test.app.inject({ url: '/v1/rooms' })).headers).not.toHaveProperty('access-control-allow-origin');
	});

	it('a node counts while it is there', async () => {
		await start(['https://good.example']);
		expect(await allowed('https://d.example.org')).toBeUndefined();
		reports.push(aReport('d', 1, { publicUrl: 'https://d.example.org/' }));
		expect(await allowed('https://d.example.org')).toBe('https://d.example.org');
		reports.pop();
		expect(await allowed('https://d.example.org')).toBeUndefined();
	});

	it('an address that is none lets nobody in and breaks nothing', async () => {
		await start(['https://good.example']);
		reports.push(aReport('d', 1, { publicUrl: 'not an address' }));
		expect([await allowed('https://good.example'), await allowed('null')]).toEqual(['https://good.example', undefined]);
	});
});

it('with "*" everybody is let in, also who was redirected from elsewhere', async () => {
	await start('*');
	expect([await allowed('https://page.example'), await allowed('null')]).toEqual(['*', '*']);
});
