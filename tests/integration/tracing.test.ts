// A request that goes through two nodes is one trace at the collector; what is in it may be known to whoever runs that.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/cluster/until.ts';
import { type CollectedSpan, OtlpCollector } from '../support/otlp-collector.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';

const FOREIGN_TRACE = '0af7651916cd43dd8448eb211c80319c';

let redis: RedisServer;
let collector: OtlpCollector;
let a: RostrumProcess;
let b: RostrumProcess;
let token: string;
const sessions: string[] = [];
const people: { close(): void }[] = [];

const startNode = (nodeId: string, mediaPort: number) =>
	RostrumProcess.start({
		mediaPort,
		env: {
			REDIS_URL: redis.url, ROSTRUM_CLUSTER_SECRET: ADMIN_TOKEN, ROSTRUM_NODE_ID: nodeId, ROSTRUM_INTERNAL_PORT: String(mediaPort + 10), ROSTRUM_ROOMS_DEMO: 'false',
			ROSTRUM_TRACING_ENDPOINT: collector.endpoint, ROSTRUM_TRACING_SAMPLE_RATIO: '1', ROSTRUM_TRACING_SERVICE_NAME: 'rooms', LOG_LEVEL: 'debug',
		},
	});
const exchange = (url: string, bearer?: string) => async (offer: string) => {
	const headers = { 'content-type': 'application/sdp', traceparent: `00-${FOREIGN_TRACE}-b7ad6b7169203331-01`, ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }) };
	const answer = await fetch(url, { method: 'POST', headers, body: offer });
	if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
	sessions.push(answer.headers.get('location')?.split('-').at(-1) ?? 'no session');
	return answer.text();
};

beforeAll(async () => {
	[redis, collector] = await Promise.all([RedisServer.start(), OtlpCollector.start()]);
	[a, b] = await Promise.all([startNode('node-a', 30_400), startNode('node-b', 30_550)]);
	const nodes = async (at: RostrumProcess) => (await at.json<{ nodes: { homes: Record<string, unknown> }[] }>('GET', '/v1/admin/nodes')).nodes;
	await until('both see each other', 15_000, async () => (await nodes(a)).length === 2 && (await nodes(b)).length === 2);
	await a.room({ id: 'hall' });
	await until('the room’s home is known', 5_000, async () => (await nodes(b)).some(({ homes }) => homes['hall'] !== undefined));
	({ token } = await a.token('hall', 'speaker', 'Ann'));
	people.push(await RtcSpeaker.publish(exchange(`${b.url}/v1/rooms/hall/publish`, token)));
	people.push(await RtcListener.join(exchange(`${b.url}/v1/rooms/hall/listen`)));
}, 90_000);
afterAll(async () => {
	for (const person of people) person.close();
	await Promise.all([a?.stop(), b?.stop()]);
	await redis?.stop();
	await collector?.close();
});

const within = (parent: CollectedSpan, node: string, name: string) => collector.span((span) => span.node === node && span.name === name && span.parentSpanId === parent.spanId);

describe('traces', () => {
	it('follow a speaker who came to another node than the room’s home', async () => {
		const asked = await collector.span(({ node, name }) => node === 'node-b' && name === 'POST /v1/rooms/:room/publish');
		const forward = await within(asked, 'node-b', 'forward');
		const answered = await within(forward, 'node-a', 'POST /v1/rooms/:room/publish');
		const join = await within(answered, 'node-a', 'join');
		expect(new Set([asked, forward, answered, join].map(({ traceId }) => traceId)).size).toBe(1);
		expect(forward.attributes).toMatchObject({ 'rostrum.peer': 'node-a' });
		expect(answered.attributes).toMatchObject({ 'rostrum.from': 'node-b', 'rostrum.room': 'hall', 'http.response.status_code': 201 });
		expect(asked).toMatchObject({ service: 'rooms', parentSpanId: '', status: 0 });
	});

	it('show how a listener’s edge was linked to the room’s home', async () => {
		const link = await collector.span(({ node, name }) => node === 'node-b' && name === 'link');
		expect(link.attributes).toMatchObject({ 'rostrum.room': 'hall', 'rostrum.why': 'new' });
		for (const question of ['findUpstream', 'openDownstream']) {
			const ask = await within(link, 'node-b', `ask ${question}`);
			const answer = await within(ask, 'node-a', `answer ${question}`);
			expect(answer).toMatchObject({ traceId: link.traceId, attributes: { 'rostrum.from': 'node-b' } });
		}
		const listen = await collector.span(({ name }) => name === 'POST /v1/rooms/:room/listen');
		expect(await within(listen, listen.node, 'join')).toBeDefined();
	});

	it('are found from the log by their id', async () => {
		const asked = await collector.span(({ node, name }) => node === 'node-b' && name === 'POST /v1/rooms/:room/publish');
		const line = await b.waitForLog((said) => said['route'] === '/v1/rooms/:room/publish');
		expect(line['trace']).toBe(asked.traceId);
		expect(line['reqId']).toBe(asked.attributes['rostrum.request']);
	});

	it('are nobody else’s to decide on, and begin with no heartbeat', async () => {
		const last = await a.call('GET', '/v1/rooms/hall');
		expect(last.status).toBe(200);
		await collector.span(({ name }) => name === 'GET /v1/rooms/:room');
		expect(collector.spans.filter(({ traceId }) => traceId === FOREIGN_TRACE)).toEqual([]);
		expect(collector.spans.filter(({ name }) => /heartbeat|ping/.test(name))).toEqual([]);
	});

	it('hold no token, no description of media, no session and no address', () => {
		expect(collector.text.length).toBeGreaterThan(1_000);
		for (const secret of [token, token.split('.')[2] ?? '', ADMIN_TOKEN, 'm=audio', 'ice-pwd', '127.0.0.1', ...sessions]) expect(collector.text).not.toContain(secret);
		expect(sessions.every((session) => /^[0-9a-f]{32}$/.test(session))).toBe(true);
	});
});
