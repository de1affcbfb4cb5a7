import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Exchange } from '../support/rtc/peer.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { samplesOf } from '../support/scrape.ts';
import { StageClient } from '../support/stage-client.ts';

const MEDIA_PORT = 23_900;
const PEOPLE = 400;

interface Refusal {
	code: string;
	reason: string;
	retryAfterMs: number;
	queue: { ahead: number; place: string };
}

let server: RostrumProcess;
let room: string;
let offer: string;
beforeAll(async () => {
	server = await RostrumProcess.start({
		mediaPort: MEDIA_PORT,
		env: { ROSTRUM_LISTENER_SHARDS: '1', ROSTRUM_SFU_CONNECT_TIMEOUT_MS: '120000', ROSTRUM_SFU_MAX_LISTENERS_PER_SHARD: '60', ROSTRUM_ADMISSION_MAX_WAIT_MS: '400', ROSTRUM_ADMISSION_MAX_JOINS_UNDER_WAY_PER_SHARD: '4' },
	});
	room = await server.room({ title: 'Surge' });
	offer = await captureOffer();
});
afterAll(() => server.stop('SIGKILL'));

const listen = (query = '') => fetch(new URL(`/v1/rooms/${room}/listen${query}`, server.url), { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: offer });

const figures = async () => samplesOf(await (await fetch(new URL('/metrics', server.url))).text());

/** What a real client offers, once, for all who only knock. */
async function captureOffer(): Promise<string> {
	let captured = '';
	const exchange: Exchange = async (sdp) => {
		captured = sdp;
		throw new Error('only the offer was wanted');
	};
	await RtcListener.join(exchange).catch(() => undefined);
	return captured;
}

describe('a node that many come to at once', () => {
	it('answers everybody: seated within its places, or told when to come back and where in the queue they are; and the stage goes on', async () => {
		const host = await server.token(room, 'host', 'Hanna');
		const storm = Promise.all(
			Array.from({ length: PEOPLE }, async () => {
				const startedMs = performance.now();
				const answer = await listen();
				return { status: answer.status, retryAfter: answer.headers.get('retry-after'), body: await answer.text(), tookMs: performance.now() - startedMs };
			}),
		);
		const beganMs = performance.now();
		const stage = await StageClient.connect(server.url, room, { token: host.token });
		const stageMs = performance.now() - beganMs;
		void stage.close();
		const answers = await storm;

		const seated = answers.filter(({ status }) => status === 201);
		const refused = answers.filter(({ status }) => status === 503);
		expect(seated.length + refused.length).toBe(PEOPLE);
		expect(seated.length).toBeGreaterThan(0);
		expect(seated.length).toBeLessThanOrEqual(60);
		for (const { retryAfter, body } of refused) {
			const problem = JSON.parse(body) as Refusal;
			expect(problem.code).toBe('no_capacity');
			expect(['full', 'paced']).toContain(problem.reason);
			expect(problem.queue.place).toMatch(/^[\w-]{31}$/);
			expect(problem.queue.ahead).toBeGreaterThanOrEqual(0);
			expect(Number(retryAfter)).toBe(Math.max(1, Math.ceil(problem.retryAfterMs / 1000)));
		}
		expect(stageMs).toBeLessThan(2_000);

		const samples = await figures();
		const refusals = ['full', 'paced'].map((reason) => samples.get(`rostrum_admission_refused_total{reason="${reason}"}`) ?? 0);
		expect(refusals[0]! + refusals[1]!).toBe(refused.length);
		expect(samples.get('rostrum_admission_admitted_total')).toBe(seated.length);
		expect(samples.get('rostrum_admission_waiting{where="line"}')).toBe(0);
		expect(samples.get('rostrum_admission_waiting{where="away"}')).toBe(refused.length);
		expect(samples.get('rostrum_shard_pace_joins_per_second{shard="1"}')).toBeGreaterThan(0);
	});

	it('lets those in who come back with their place, until the last place is taken', async () => {
		let refusal: Refusal | undefined;
		// Nobody leaves, so it ends with the last place.
		for (let tries = 0; tries <= 60 && refusal?.reason !== 'full'; tries++) {
			const answer = await listen(refusal === undefined ? '' : `?place=${refusal.queue.place}`);
			refusal = answer.status === 503 ? ((await answer.json()) as Refusal) : undefined;
		}
		expect(refusal).toMatchObject({ code: 'no_capacity', reason: 'full' });
		expect((await figures()).get('rostrum_admission_admitted_total')).toBe(60);
	});
});
