// Hands, roles and bans of a room whose home dies: three nodes as processes of one host, and a real Redis.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { participantIdOf } from '../../server/rooms/stage-roster.ts';
import { until } from '../support/cluster/until.ts';
import { PersonalFeed } from '../support/personal-feed.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { StageClient } from '../support/stage-client.ts';

interface Hand {
	version: number;
	raised: boolean;
	position: number | null;
	total: number;
	onStage: boolean;
	stage: { token: string } | null;
}
interface Node {
	id: string;
	homes: Record<string, object>;
}

const ROOM = 'hall';
const NAMES = ['node-a', 'node-b', 'node-c'] as const;

describe('people of a room on three nodes', () => {
	let redis: RedisServer;
	let nodes: Map<string, RostrumProcess>;
	let home: string;
	/** The two that are not the home. */
	let others: RostrumProcess[];
	const open: { close(): unknown }[] = [];

	beforeAll(async () => {
		redis = await RedisServer.start();
		const start = async (name: string, mediaPort: number): Promise<[string, RostrumProcess]> => [
			name,
			await RostrumProcess.start({
				mediaPort,
				env: { REDIS_URL: redis.url, ROSTRUM_CLUSTER_SECRET: ADMIN_TOKEN, ROSTRUM_NODE_ID: name, ROSTRUM_INTERNAL_PORT: String(mediaPort + 10), ROSTRUM_ROOMS_DEMO: 'false' },
			}),
		];
		nodes = new Map(await Promise.all(NAMES.map((name, index) => start(name, 30_600 + 100 * index))));
		const first = nodes.get('node-a')!;
		const seen = (at: RostrumProcess) => at.json<{ nodes: Node[] }>('GET', '/v1/admin/nodes');
		await until('all see all', 20_000, async () => (await Promise.all([...nodes.values()].map(seen))).every((list) => list.nodes.length === 3));
		await first.room({ id: ROOM });
		await until('the room has a home that all know', 10_000, async () => (await Promise.all([...nodes.values()].map(seen))).every((list) => list.nodes.some(({ homes }) => homes[ROOM] !== undefined)));
		home = (await seen(first)).nodes.find(({ homes }) => homes[ROOM] !== undefined)?.id ?? '';
		others = [...nodes].flatMap(([name, node]) => (name === home ? [] : [node]));
	});
	afterAll(async () => {
		for (const one of open) await one.close();
		await Promise.all([...(nodes?.values() ?? [])].map((node) => node.stop('SIGKILL')));
		await redis?.stop();
	});

	const at = (what: string): string => `/v1/rooms/${ROOM}/${what}`;
	const idOf = (subject: string): string => participantIdOf(ROOM, subject);
	const tokenOf = async (role: string, subject: string): Promise<string> => (await others[0]!.token(ROOM, role, subject, { subject })).token;
	const status = async (node: RostrumProcess, method: string, what: string, token: string, body?: object): Promise<number> => (await node.call(method, at(what), body, token)).status;
	const onStage = async (node: RostrumProcess, token: string): Promise<StageClient> => {
		const client = await StageClient.connect(node.url, ROOM, { token });
		open.push(client);
		return client;
	};

	it('a ban made at one node ends what is open at another within 2 s, and is undone everywhere', async () => {
		const [one, two] = [others[0]!, others[1]!];
		const [host, eve] = [await tokenOf('host', 'hana'), await tokenOf('listener', 'eve')];
		const join = (): Promise<RtcListener> =>
			RtcListener.join(async (offer) => {
				const answer = await fetch(new URL(at('listen'), two.url), { method: 'POST', body: offer, headers: { 'content-type': 'application/sdp', authorization: `Bearer ${eve}` } });
				if (answer.status !== 201) throw new Error(`${answer.status}`);
				return answer.text();
			});
		const listener = await join();
		open.push(listener);
		const events = await fetch(new URL(at(`events?access_token=${eve}`), two.url));
		const bannedAtMs = performance.now();
		expect(await status(one, 'POST', 'bans', host, { subject: 'eve', name: 'Eve' })).toBe(204);
		await listener.closed();
		for await (const _ of events.body ?? []);
		expect(performance.now() - bannedAtMs).toBeLessThan(2_000);
		for (const node of nodes.values()) {
			await until('the ban is known', 2_000, async () => (await status(node, 'GET', 'hls/index.m3u8', eve)) === 403);
			expect(await status(node, 'POST', 'hand', eve, { raised: true })).toBe(403);
			expect(await status(node, 'GET', 'events', eve)).toBe(403);
		}
		await expect(join()).rejects.toThrow('403');
		expect(await status(two, 'DELETE', 'bans/eve', host)).toBe(204);
		for (const node of nodes.values()) await until('the ban is undone', 4_000, async () => (await status(node, 'POST', 'hand', eve, { raised: true })) === 200);
		expect(await status(one, 'POST', 'hand', eve, { raised: false })).toBe(200);
	});

	it('an invitation reaches the streams of the one who is meant on every node within 2 s, and nobody else’s', async () => {
		const [host, kim, lou] = [await tokenOf('host', 'hana'), await tokenOf('listener', 'kim'), await tokenOf('listener', 'lou')];
		const follow = (token?: string): Promise<PersonalFeed[]> => Promise.all([...nodes.values()].map((node) => PersonalFeed.open(node.url, ROOM, token)));
		const [mine, theirs, anybodys] = [await follow(kim), await follow(lou), await follow()];
		open.push(...mine, ...theirs, ...anybodys);
		const invitedAtMs = performance.now();
		expect(await status(others[0]!, 'POST', `participants/${idOf('kim')}/invite`, host)).toBe(204);
		const [invitation] = await mine[0]!.heard(1);
		for (const feed of mine) expect(await feed.heard(1)).toEqual([invitation]);
		const toldMs = performance.now() - invitedAtMs;
		console.log(`  from the host's call to the last of ${mine.length} nodes' streams: ${Math.round(toldMs)} ms`);
		expect(toldMs).toBeLessThan(2_000);

		// A stream that begins at any node from now on begins with it; after the answer it is over for all.
		const later = await PersonalFeed.open(others[1]!.url, ROOM, kim);
		open.push(later);
		expect(await later.heard(1)).toEqual([invitation]);
		expect(await status(others[1]!, 'POST', 'invitation', kim, { accept: false })).toBe(200);
		for (const feed of [...mine, later]) expect(await feed.heard(2)).toEqual([invitation, null]);
		expect([...theirs, ...anybodys].map(({ told }) => told.length)).toEqual([0, 0, 0, 0, 0, 0]);
	});

	it('who comes on stage and leaves it is told on the streams of every node', async () => {
		const feeds = await Promise.all([...nodes.values()].map((node) => PersonalFeed.open(node.url, ROOM)));
		open.push(...feeds);
		const speaker = await onStage(others[0]!, await tokenOf('speaker', 'sam'));
		await speaker.welcome();
		for (const feed of feeds) await feed.sees('sam');
		await speaker.request('leave', {});
		for (const feed of feeds) await feed.sees('sam', false);
	});

	it('a hand raised at one node is in the queue of the next home when the home is killed, and so is all the rest', async () => {
		const [one, two] = [others[0]!, others[1]!];
		const host = await onStage(one, await tokenOf('host', 'hana'));
		await host.welcome();
		const [ann, bob, gus] = [await tokenOf('listener', 'ann'), await tokenOf('listener', 'bob'), await tokenOf('speaker', 'gus')];
		const speaker = await onStage(two, gus);
		await speaker.welcome();
		await host.request('participant.promote', { participantId: idOf('gus') });
		expect(await speaker.next('role')).toEqual({ role: 'cohost' });
		await host.request('participant.invite', { participantId: idOf('bob') });
		expect(await status(two, 'POST', 'invitation', bob, { accept: true })).toBe(200);
		await host.request('stage.set', { locked: true, order: [idOf('gus')] });
		const up = await two.json<Hand>('POST', at('hand'), { raised: true }, ann);
		expect(up).toMatchObject({ raised: true, position: 1, total: 1 });
		expect(await host.next('hands', ({ hands }) => hands[0]?.id === idOf('ann'))).toMatchObject({ total: 1, hands: [{ name: 'ann', raised: true }] });

		// Acknowledged, so it must not be lost, however soon the home dies.
		await nodes.get(home)!.stop('SIGKILL');
		nodes.delete(home);
		await Promise.all([host.closed, speaker.closed]);
		let next: Hand | undefined;
		await until('the next home knows the hand', 20_000, async () => {
			const answer = await two.call('GET', at('hand'), undefined, ann);
			if (answer.status !== 200) return false;
			next = (await answer.json()) as Hand;
			return true;
		});
		expect(next).toEqual(up);
		// Each node finds out by itself who has followed.
		await until('the other node knows it too', 10_000, async () => (await one.call('GET', at('hand'), undefined, bob)).status === 200);
		expect((await one.json<Hand>('GET', at('hand'), undefined, bob)).stage).not.toBeNull();

		const again = await onStage(two, gus);
		const welcome = await again.welcome();
		expect(welcome).toMatchObject({ role: 'cohost', locked: true });
		expect(welcome.roster[0]).toMatchObject({ id: idOf('gus'), role: 'cohost' });
		expect(await again.request('hands.list', {})).toMatchObject({ total: 1, hands: [{ id: idOf('ann') }] });
		await again.request('stage.set', { locked: false });
		await again.request('participant.promote', { participantId: idOf('ann') });
		const { stage } = await one.json<Hand>('GET', at('hand'), undefined, ann);
		const token = stage?.token ?? '';
		expect(await (await onStage(one, token)).welcome()).toMatchObject({ role: 'speaker', participantId: idOf('ann') });

		await again.request('participant.demote', { participantId: idOf('ann') });
		for (const node of [one, two]) expect(await status(node, 'GET', 'stage', token)).toBe(403);
	});
});
