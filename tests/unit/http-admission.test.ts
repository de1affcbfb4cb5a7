import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { QueuePlaces } from '../../auth/queue-place.ts';
import { DOMAIN_ERRORS, DomainError } from '../../server/errors.ts';
import { blockListOf, subscriberOf } from '../../server/http/plugins/join-limits.ts';
import { JoinRefusedError, type RefusalReason } from '../../server/placement/admission/join-refusal.ts';
import { roomFull } from '../../server/programme/seats/seating.ts';
import type { Arrival, SessionCreated } from '../../server/programme/room-media.ts';
import { FakeView, type HttpNodes, startHttpNodes } from '../support/cluster/http-nodes.ts';
import { createTestApp, OFFER, type TestApp, type TestAppOptions } from '../support/fakes/test-app.ts';

const T0 = Date.parse('2026-05-24T20:00:00.000Z');

/** A queue that says what a test wants, and notes what it is asked. */
class ScriptedQueue {
	verdict: RefusalReason | undefined;
	ahead = 7;
	readonly asked: (number | undefined)[] = [];
	readonly refused: [reason: RefusalReason, firstArrivalMs: number | undefined, refusedAtMs: number | undefined][] = [];

	foresee(firstArrivalMs?: number): RefusalReason | undefined {
		this.asked.push(firstArrivalMs);
		return this.verdict;
	}

	refuse(reason: RefusalReason, firstArrivalMs?: number, refusedAtMs?: number) {
		this.refused.push([reason, firstArrivalMs, refusedAtMs]);
		return { reason, retryAfterMs: 4_200, ahead: this.ahead, firstArrivalMs: firstArrivalMs ?? T0, refusedAtMs: T0 };
	}
}

let test: TestApp;
let queue: ScriptedQueue;
const places = new QueuePlaces({ now: () => T0 });
afterEach(() => test?.close());

async function start(options: TestAppOptions = {}): Promise<void> {
	queue = new ScriptedQueue();
	test = await createTestApp({ admission: { queue, places }, ...options });
	for (const [id, visibility] of [['live', 'public'], ['hidden', 'private']] as const) {
		await test.rooms.create({ id, title: id, visibility });
		await test.rooms.transition(id, 'start');
	}
}

interface Asked {
	room?: string;
	query?: string;
	headers?: Record<string, string>;
	remoteAddress?: string;
	payload?: string;
}
const listen = ({ room = 'live', query = '', headers = {}, remoteAddress = '203.0.113.9', payload = OFFER }: Asked = {}) =>
	test.app.inject({ method: 'POST', url: `/v1/rooms/${room}/listen${query}`, remoteAddress, headers: { 'content-type': 'application/sdp', ...headers }, payload });

const overflowAt = (hls: string | undefined): NonNullable<TestAppOptions['overflow']> =>
	// Of it, admission uses this method alone.
	({ hlsFor: () => hls }) as unknown as NonNullable<TestAppOptions['overflow']>;

describe('a listener whom there is no room for', () => {
	it.each<RefusalReason>(['full', 'paced'])('is told when to come back, how many are ahead, and where to hear the room (%s)', async (reason) => {
		await start({ overflow: overflowAt('/v1/rooms/live/hls/index.m3u8') });
		queue.verdict = reason;
		const refused = await listen();
		expect(refused.statusCode).toBe(503);
		expect(refused.headers).toMatchObject({ 'retry-after': '5', 'content-type': expect.stringMatching(/^application\/problem\+json/), 'cache-control': 'no-store' });
		const problem = refused.json();
		expect(problem).toMatchObject({
			code: 'no_capacity', reason, retryable: true, retryAfterMs: 4_200, queue: { ahead: 7 }, overflow: { hls: '/v1/rooms/live/hls/index.m3u8' }, instance: '/v1/rooms/live/listen',
		});
		expect(places.read(problem.queue.place, 'live')).toEqual({ firstArrivalMs: T0, refusedAtMs: T0 });
	});

	it('is not told of a stream that there is not', async () => {
		await start({ overflow: overflowAt(undefined) });
		queue.verdict = 'paced';
		expect((await listen()).json()).not.toHaveProperty('overflow');
	});

	it('is refused before the offer is looked at', async () => {
		await start();
		queue.verdict = 'paced';
		expect((await listen({ payload: 'no SDP at all' })).statusCode).toBe(503);
		expect(test.media.sessions.size).toBe(0);
		// Not even waited for: this client has sent its head alone.
		const url = new URL(await test.app.listen({ host: '127.0.0.1', port: 0 }));
		const socket = connect(Number(url.port), url.hostname);
		socket.write('POST /v1/rooms/live/listen HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 50000\r\n\r\n');
		const [head] = (await once(socket, 'data')) as [Buffer];
		expect(head.toString()).toMatch(/^HTTP\/1\.1 503 /);
		socket.destroy();
	});

	it('keeps its place: what came with it is known when it comes again', async () => {
		await start();
		queue.verdict = 'paced';
		const place = places.issue('live', { firstArrivalMs: T0 - 65_432, refusedAtMs: T0 - 5_000 });
		const { queue: again } = (await listen({ query: `?place=${place}` })).json();
		expect(queue.asked).toEqual([T0 - 65_432]);
		expect(queue.refused).toEqual([['paced', T0 - 65_432, T0 - 5_432]]);
		expect(places.read(again.place, 'live')).toMatchObject({ firstArrivalMs: T0 - 65_432 });
	});

	it('is let in with it, as one who came first', async () => {
		await start();
		const arrivals: (Arrival | undefined)[] = [];
		const { media } = test;
		const seat = media.listen.bind(media);
		// A fake's method, watched.
		media.listen = async (room, offer, packing, random, arrival?: Arrival): Promise<SessionCreated> => {
			arrivals.push(arrival);
			return seat(room, offer, packing, random);
		};
		const place = places.issue('live', { firstArrivalMs: T0 - 65_432, refusedAtMs: T0 });
		expect((await listen({ query: `?place=${place}&packing=20` })).statusCode).toBe(201);
		expect((await listen()).statusCode).toBe(201);
		expect(arrivals).toMatchObject([{ firstArrivalMs: T0 - 65_432 }, {}]);
		expect(arrivals[1]).not.toHaveProperty('firstArrivalMs');
	});

	it.each([
		['forged', 'A'.repeat(31)],
		['of another room', places.issue('hidden', { firstArrivalMs: T0 - 1_000, refusedAtMs: T0 })],
		['20 minutes old', places.issue('live', { firstArrivalMs: T0 - 1_200_000, refusedAtMs: T0 })],
		['empty', ''],
		['any text', 'x'.repeat(200)],
	])('has no use for a place that is %s, and no harm from it', async (_what, place) => {
		await start();
		expect((await listen({ query: `?place=${place}` })).statusCode).toBe(201);
		expect(queue.asked).toEqual([undefined]);
	});

	it('gets the same answer when it turns out later that there is no room', async () => {
		await start({ overflow: overflowAt('/v1/rooms/live/hls/index.m3u8') });
		test.media.failure = new JoinRefusedError({ reason: 'full', retryAfterMs: 900, ahead: 3, firstArrivalMs: T0 - 10_000, refusedAtMs: T0 });
		const refused = await listen();
		expect(refused.headers['retry-after']).toBe('1');
		const problem = refused.json();
		expect(problem).toMatchObject({ code: 'no_capacity', reason: 'full', retryAfterMs: 900, queue: { ahead: 3 }, overflow: { hls: '/v1/rooms/live/hls/index.m3u8' } });
		expect(places.read(problem.queue.place, 'live')).toEqual({ firstArrivalMs: T0 - 10_000, refusedAtMs: T0 });
	});

	it('gets a place too when the last one went to somebody else on the way to the shard', async () => {
		await start({ overflow: overflowAt('/v1/rooms/live/hls/index.m3u8') });
		test.media.failure = new DomainError('no_capacity', 'this shard has as many listeners as it may have', { retryAfterSeconds: 1 });
		const place = places.issue('live', { firstArrivalMs: T0 - 65_432, refusedAtMs: T0 - 5_000 });
		const problem = (await listen({ query: `?place=${place}` })).json();
		expect(problem).toMatchObject({ code: 'no_capacity', reason: 'full', retryAfterMs: 4_200, queue: { ahead: 7 }, overflow: { hls: '/v1/rooms/live/hls/index.m3u8' } });
		expect(queue.refused).toEqual([['full', T0 - 65_432, T0 - 5_432]]);
	});

	it.each<[string, () => DomainError, number]>([
		['whose room is full', roomFull, 10],
		['whose room has no seat, nobody says why or until when', () => new DomainError('no_capacity', 'No seat.', { extra: { reason: 'room_full' } }), 1],
		['whose shard has just died', () => new DomainError('media_unavailable', 'Try again in a moment.', { retryAfterSeconds: 1 }), 1],
	])('%s is not told to come back with all the others', async (_who, failure, leastSeconds) => {
		await start({ overflow: overflowAt('/v1/rooms/live/hls/index.m3u8') });
		test.media.failure = failure();
		const answers = await Promise.all(Array.from({ length: 200 }, () => listen()));
		const whenMs = answers.map((answer) => answer.json().retryAfterMs as number);
		expect(Math.min(...whenMs)).toBeGreaterThanOrEqual(leastSeconds * 1000);
		expect(Math.max(...whenMs)).toBeLessThanOrEqual(2 * leastSeconds * 1000);
		// Evenly: of 200, a tenth of the time has 20.
		const tenths = whenMs.map((ms) => Math.min(9, Math.floor(ms / leastSeconds / 100 - 10)));
		for (let tenth = 0; tenth < 10; tenth++) expect(tenths.filter((one) => one === tenth).length).toBeGreaterThan(1);
		for (const [index, { headers }] of answers.entries()) expect(Number(headers['retry-after'])).toBe(Math.ceil((whenMs[index] ?? 0) / 1000));
		expect(answers[0]?.json()).toMatchObject(failure().code === 'no_capacity' ? { reason: 'room_full', overflow: { hls: '/v1/rooms/live/hls/index.m3u8' } } : { code: 'media_unavailable' });
		expect(answers[0]?.json()).not.toHaveProperty('queue');
	});

	it('is told what is really wrong, when something else is', async () => {
		await start();
		queue.verdict = 'full';
		await test.rooms.create({ id: 'over', title: 'Over' });
		await test.rooms.transition('over', 'open');
		await test.rooms.transition('over', 'end');
		await test.rooms.create({ id: 'later', title: 'Later' });
		const elsewhere = await test.bearer('listener', 'hidden');
		const asked: Asked[] = [{ room: 'nowhere' }, { room: 'over' }, { room: 'later' }, { room: 'hidden' }, { headers: { 'content-type': 'text/plain' } }, { headers: { authorization: elsewhere } }];
		const codes = await Promise.all(asked.map(async (one) => (await listen(one)).json().code));
		expect(codes).toEqual(['room_not_found', 'room_ended', 'room_not_open', 'token_required', 'unsupported_media_type', 'forbidden']);
		expect((await listen({ room: 'hidden', headers: { authorization: await test.bearer('listener', 'hidden') } })).json().code).toBe('no_capacity');
	});

	it('does not take anything from speakers, hosts and their calls', async () => {
		await start({ limits: { joinsPerAddress: 1, joinsPerToken: 1, unlimitedAddresses: [], maxJoinsUnderWayPerShard: 32, maxWaitMs: 1_500 } });
		queue.verdict = 'full';
		const host = await test.bearer('host', 'live');
		for (let i = 0; i < 3; i++) {
			expect((await listen({ headers: { authorization: host } })).statusCode).toBe(i === 0 ? 503 : 429);
			const call = (method: 'GET' | 'POST', url: string, payload?: object) => test.app.inject({ method, url, remoteAddress: '203.0.113.9', headers: { authorization: host }, ...(payload ? { payload } : {}) });
			expect((await call('GET', '/v1/rooms/live')).statusCode).toBe(200);
			expect((await call('POST', '/v1/rooms/live/tokens', { role: 'speaker', name: 'Ann' })).statusCode).toBe(201);
			const published = await test.app.inject({
				method: 'POST', url: '/v1/rooms/live/publish', remoteAddress: '203.0.113.9', payload: OFFER,
				headers: { 'content-type': 'application/sdp', authorization: await test.bearer('speaker', 'live', { subject: `ann-${i}` }) },
			});
			expect(published.statusCode).toBe(201);
		}
		expect(queue.asked).toHaveLength(1);
	});
});

describe('limits of one source', () => {
	const limits = { joinsPerAddress: 3, joinsPerToken: 2, unlimitedAddresses: ['127.0.0.0/8', '::1'], maxJoinsUnderWayPerShard: 32, maxWaitMs: 1_500 };
	const statuses = async (asked: Asked[]) => {
		const codes: number[] = [];
		for (const one of asked) codes.push((await listen(one)).statusCode);
		return codes;
	};
	const times = (count: number, asked: Asked): Asked[] => Array.from({ length: count }, () => asked);

	it('stop an address, and no other', async () => {
		await start({ limits });
		expect(await statuses(times(4, {}))).toEqual([201, 201, 201, 429]);
		const refused = await listen();
		expect(refused.json()).toMatchObject({ code: 'rate_limited', reason: 'address', status: 429, retryable: true, title: DOMAIN_ERRORS.rate_limited.title });
		expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
		expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(20);
		expect(await statuses(times(1, { remoteAddress: '203.0.113.10' }))).toEqual([201]);
	});

	it('take 64 bits of IPv6 for one source', async () => {
		await start({ limits });
		expect(await statuses(['::1', ':ffff:1:2:3', '::2:0', ':1::'].map((end) => ({ remoteAddress: `2001:db8:0:7${end}` })))).toEqual([201, 201, 201, 429]);
		expect(await statuses([{ remoteAddress: '2001:db8:0:8::1' }])).toEqual([201]);
	});

	it('stop a token, wherever it is used', async () => {
		await start({ limits });
		const authorization = await test.bearer('listener', 'live');
		const asked = ['198.51.100.1', '198.51.100.2', '198.51.100.3'].map((remoteAddress) => ({ remoteAddress, headers: { authorization } }));
		expect(await statuses(asked)).toEqual([201, 201, 429]);
		expect((await listen(asked[0])).json()).toMatchObject({ code: 'rate_limited', reason: 'token' });
		expect((await listen({ headers: { authorization: await test.bearer('listener', 'live') } })).statusCode).toBe(201);
	});

	it('do not hold for those who need none', async () => {
		await start({ limits });
		expect(await statuses([...times(5, { remoteAddress: '127.8.9.1' }), ...times(5, { remoteAddress: '::1' })])).toEqual(Array(10).fill(201));
	});

	it('believe a header only from whom it is to be believed', async () => {
		const say = (address: string): Asked => ({ remoteAddress: '10.0.0.1', headers: { 'x-forwarded-for': address } });
		await start({ limits });
		expect(await statuses([1, 2, 3, 4].map((end) => say(`198.51.100.${end}`)))).toEqual([201, 201, 201, 429]);
		await test.close();
		await start({ limits, http: { trustProxy: ['10.0.0.0/8'] } });
		expect(await statuses([1, 2, 3, 4].map((end) => say(`198.51.100.${end}`)))).toEqual([201, 201, 201, 201]);
		expect(await statuses(times(3, say('198.51.100.1')))).toEqual([201, 201, 429]);
		// Somebody who is no proxy may say what they like.
		expect(await statuses([1, 2, 3, 4].map((end) => ({ ...say(`198.51.100.${end}`), remoteAddress: '203.0.113.5' })))).toEqual([201, 201, 201, 429]);
	});

	it.each([
		['203.0.113.9', '203.0.113.9'], ['::ffff:203.0.113.9', '203.0.113.9'], ['::1', '0:0:0:0'], ['2001:db8::1', '2001:db8:0:0'], ['2001:0DB8:00aa:0:1:2:3:4', '2001:db8:aa:0'], ['fe80::1%eth0', 'fe80:0:0:0'], ['::', '0:0:0:0'],
	])('%s is of %s', (address, subscriber) => {
		expect(subscriberOf(address)).toBe(subscriber);
	});

	it('refuse a list with what is no address in it', () => {
		expect(blockListOf(['10.0.0.0/8', '::1', '2001:db8::/32']).check('10.1.2.3')).toBe(true);
		for (const wrong of ['10.0.0.0/33', '10.0.0', '::/129', 'x']) expect(() => blockListOf([wrong])).toThrow(RangeError);
	});
});

describe('in a cluster', () => {
	let cluster: HttpNodes;
	afterEach(() => cluster.close());
	const post = (url: string) => fetch(url, { method: 'POST', body: OFFER, redirect: 'manual', headers: { 'content-type': 'application/sdp' } });

	it('a full node sends on whom another one can take, with the place, and refuses the others early', async () => {
		queue = new ScriptedQueue();
		queue.verdict = 'paced';
		cluster = await startHttpNodes(['a', 'b'], { ownUrls: true, admissionOf: (id) => (id === 'a' ? { queue, places } : undefined) });
		const { a, b } = cluster.nodes as { a: HttpNodes['nodes'][string]; b: HttpNodes['nodes'][string] };
		for (const node of [a, b]) {
			await node.rooms.create({ id: 'hall', title: 'Hall' });
			await node.rooms.transition('hall', 'open');
		}
		expect((await post(`${a.origin}/v1/rooms/hall/listen`)).status).toBe(503);
		expect(queue.refused).toHaveLength(1);
		a.seat = { nodeId: 'b', publicUrl: b.origin, why: 'fuller' };
		const place = places.issue('hall', { firstArrivalMs: T0 - 5_000, refusedAtMs: T0 });
		const sent = await post(`${a.origin}/v1/rooms/hall/listen?place=${place}&packing=20`);
		expect(sent.status).toBe(307);
		const location = new URL(sent.headers.get('location') ?? '');
		expect([...location.searchParams.keys()].toSorted()).toEqual(['handoff', 'packing', 'place']);
		expect(location.searchParams.get('place')).toBe(place);
		expect((await post(location.href)).status).toBe(201);
		expect(queue.refused).toHaveLength(1);
	});

	it('what another node forwards was limited there', async () => {
		const limits = { joinsPerAddress: 1, joinsPerToken: 1, unlimitedAddresses: [], maxJoinsUnderWayPerShard: 32, maxWaitMs: 1_500 };
		cluster = await startHttpNodes(['a', 'b'], { limitsOf: (id) => (id === 'b' ? limits : undefined) });
		const { a, b } = cluster.nodes as { a: HttpNodes['nodes'][string]; b: HttpNodes['nodes'][string] };
		for (const node of [a, b]) {
			await node.rooms.create({ id: 'hall', title: 'Hall' });
			await node.rooms.transition('hall', 'open');
		}
		a.seat = { nodeId: 'b', why: 'fuller' };
		const statuses: number[] = [];
		for (const node of [a, a, a, b, b]) statuses.push((await post(`${node.origin}/v1/rooms/hall/listen`)).status);
		expect(statuses).toEqual([201, 201, 201, 201, 429]);
		expect(b.view).toBeInstanceOf(FakeView);
	});
});
