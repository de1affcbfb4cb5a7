// One room, its home and other nodes: reactions and captions cross between them, and outlive the home.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AudienceFeed } from '../support/audience-feed.ts';
import { until } from '../support/cluster/until.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RedisServer } from '../support/redis/redis-server.ts';

interface SeenNode { id: string; homes: Record<string, unknown> }

const ROOM = 'hall';

describe('an audience on three nodes', () => {
	let redis: RedisServer;
	const nodes = new Map<string, RostrumProcess>();
	const feeds = new Map<string, AudienceFeed>();
	const node = (name: string) => nodes.get(name)!;
	const feed = (name: string) => feeds.get(name)!;
	const start = async (nodeId: string, mediaPort: number) => {
		nodes.set(nodeId, await RostrumProcess.start({
			mediaPort,
			env: {
				REDIS_URL: redis.url, ROSTRUM_CLUSTER_SECRET: ADMIN_TOKEN, ROSTRUM_NODE_ID: nodeId, ROSTRUM_INTERNAL_PORT: String(mediaPort + 10),
				ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_LISTENER_SHARDS: '1',
			},
		}));
	};
	const seenBy = async (name: string) => (await node(name).json<{ nodes: SeenNode[] }>('GET', '/v1/admin/nodes')).nodes;
	const homeBy = async (name: string) => (await seenBy(name)).find(({ homes }) => homes[ROOM] !== undefined)?.id;
	const guest = async (at: string) => (await (await node(at).call('POST', `/v1/rooms/${ROOM}/guests`, {}, null)).json()) as { token: string };
	const react = async (at: string, reaction: string, times: number) => {
		const { token } = await guest(at);
		for (let n = 0; n < times; n++) expect((await node(at).call('POST', `/v1/rooms/${ROOM}/reactions`, { reaction }, token)).status).toBe(202);
	};
	const caption = (at: string, text: string) => node(at).json<{ id: number }>('POST', `/v1/rooms/${ROOM}/captions`, { text, speaker: 'Hana' });

	beforeAll(async () => {
		redis = await RedisServer.start();
		await Promise.all([start('node-a', 28_200), start('node-b', 28_320), start('node-c', 28_440)]);
		await until('all see each other', 15_000, async () => (await Promise.all([...nodes.keys()].map(seenBy))).every((seen) => seen.length === 3));
		await node('node-a').room({ id: ROOM });
		await until('the room’s home is known', 5_000, async () => (await homeBy('node-b')) === 'node-a');
		for (const [name, { url }] of nodes) feeds.set(name, await AudienceFeed.open(url, ROOM));
	});
	afterAll(async () => {
		for (const one of feeds.values()) one.close();
		await Promise.all([...nodes.values()].map((one) => one.stop('SIGKILL')));
		await redis?.stop();
	});

	it('has its reactions counted wherever they are given, and told everywhere', async () => {
		await react('node-a', '👏', 2);
		await react('node-b', '👏', 3);
		await react('node-c', '🔥', 4);
		for (const name of nodes.keys()) {
			await until(`${name} tells all`, 10_000, async () => {
				const now = feed(name).counts;
				return (now['👏'] === 5 && now['🔥'] === 4) || JSON.stringify(now);
			});
		}
	});

	it('reads everywhere what is posted at any node, within 2 s even here', async () => {
		const startedAtMs = performance.now();
		const { id } = await caption('node-b', 'Good evening.');
		for (const name of nodes.keys()) await until(`it is read at ${name}`, 5_000, async () => feed(name).lines.includes('Good evening.') || feed(name).lines.join());
		const lateMs = Math.max(...[...feeds.values()].map(({ told }) => told.captions.find(({ event }) => event.items.some((item) => item.id === id))!.atMs - startedAtMs));
		console.log(`  read everywhere after ${Math.round(lateMs)} ms`);
		expect(lateMs).toBeLessThan(2_000);
	});

	it('shows an admin at any node what was reported at another', async () => {
		expect((await node('node-c').call('POST', `/v1/rooms/${ROOM}/reports`, { kind: 'audio', text: 'Too quiet' }, null)).status).toBe(202);
		const { reports } = await node('node-a').json<{ reports: unknown[] }>('GET', '/v1/admin/reports');
		expect(reports).toEqual([expect.objectContaining({ room: ROOM, kind: 'audio', text: 'Too quiet', node: 'node-c' })]);
	});

	it('keeps counts and lines when the home is killed, and goes on at the next one', async () => {
		await caption('node-c', 'The last words of this home.');
		await until('they have travelled', 5_000, async () => [...feeds.values()].every(({ lines }) => lines.includes('The last words of this home.')) || JSON.stringify([...feeds].map(([name, { lines }]) => [name, lines])));
		feed('node-a').close();
		feeds.delete('node-a');
		await node('node-a').stop('SIGKILL');
		nodes.delete('node-a');
		await until('another node is home', 15_000, async () => {
			const home = await homeBy('node-b');
			return home === 'node-b' || home === 'node-c';
		});
		await until('captions are taken again', 10_000, async () => {
			const answer = await node('node-b').call('POST', `/v1/rooms/${ROOM}/captions`, { text: 'Here we are again.' });
			return answer.status === 202 || answer.text();
		});
		await react('node-b', '👏', 1);
		for (const name of nodes.keys()) {
			await until(`${name} tells old and new`, 10_000, async () => {
				const { counts, lines } = feed(name);
				return (counts['👏'] === 6 && counts['🔥'] === 4 && lines.includes('The last words of this home.') && lines.includes('Here we are again.')) || JSON.stringify({ counts, lines });
			});
		}
	});
});
