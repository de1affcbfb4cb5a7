// A few listeners tell how they hear: a real page in Chromium, a real node, and what arrives in its metrics.
import { request } from 'node:http';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { samplesOf } from '../support/scrape.ts';
import { tone } from '../support/speech/speech.ts';

const PER_ADDRESS = 8;
const GOOD = { periodMs: 30_000, packets: 500, lost: 0, jitterMs: 2.5, samples: 1_440_000, concealed: 0, gapsMs: [] };

let server: RostrumProcess;
let browser: Browser;
let speaker: RtcSpeaker;

beforeAll(async () => {
	[server, browser] = await Promise.all([
		RostrumProcess.start({
			mediaPort: 30_100,
			env: {
				ROSTRUM_QUALITY_SAMPLE_RATIO: '1', ROSTRUM_QUALITY_INTERVAL_MS: '2000', ROSTRUM_QUALITY_REPORTS_PER_ADDRESS: String(PER_ADDRESS),
				// Loopback has a limit here, like any address.
				ROSTRUM_ADMISSION_UNLIMITED_ADDRESSES: '192.0.2.1',
			},
		}),
		launchChromium(),
	]);
	await server.room({ id: 'hall', title: 'A steady tone' });
	const { token } = await server.token('hall', 'speaker', 'Tone');
	speaker = await RtcSpeaker.publish(async (offer) => {
		const response = await fetch(new URL('/v1/rooms/hall/publish', server.url), { method: 'POST', headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` }, body: offer });
		return response.text();
	});
	speaker.talk(await tone(440, 5));
}, 120_000);
afterAll(async () => {
	speaker?.close();
	await closeAll(browser);
	await server?.stop();
});

const scrape = async () => samplesOf(await (await fetch(new URL('/metrics', server.url))).text());

async function listen(page: Page, origin: string): Promise<void> {
	await page.goto(`${origin}/r/hall`);
	await page.getByRole('button', { name: 'Listen', exact: true }).click();
}

/** From an address of its own. */
function report(body: unknown, { address = '127.0.0.1', room = 'hall', type = 'application/json', token }: { address?: string; room?: string; type?: string; token?: string } = {}): Promise<{ status: number; code: unknown }> {
	const { promise, resolve, reject } = Promise.withResolvers<{ status: number; code: unknown }>();
	const { hostname, port } = new URL(server.url);
	const headers = { 'content-type': type, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
	const sending = request({ host: hostname, port, path: `/v1/rooms/${room}/quality`, method: 'POST', localAddress: address, headers }, (answer) => {
		let text = '';
		answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
		answer.on('end', () => resolve({ status: answer.statusCode ?? 0, code: text === '' ? undefined : (JSON.parse(text) as { code: unknown }).code }));
	});
	sending.on('error', reject);
	sending.end(typeof body === 'string' ? body : JSON.stringify(body));
	return promise;
}

it('a page that listens tells its first sound, and then how it goes on', async () => {
	const page = await browser.newPage({ locale: 'en' });
	const bodies: Record<string, unknown>[] = [];
	page.on('request', (sent) => {
		if (sent.url().endsWith('/quality')) bodies.push(sent.postDataJSON() as Record<string, unknown>);
	});
	await listen(page, server.url);
	for (let reports = 0; reports < 2; reports++) {
		const answer = await page.waitForResponse((response) => response.url().endsWith('/v1/rooms/hall/quality'));
		expect(answer.status()).toBe(204);
	}
	const samples = await scrape();
	expect(samples.get('rostrum_quality_first_audio_seconds_count{by="session"}')).toBe(1);
	expect(samples.get('rostrum_quality_first_audio_seconds_bucket{le="30",by="session"}')).toBe(1);
	expect(samples.get('rostrum_quality_reports_total{outcome="taken"}')).toBeGreaterThanOrEqual(2);
	expect(samples.get('rostrum_quality_listened_seconds_total')).toBeGreaterThan(1.5);
	expect(samples.get('rostrum_quality_concealed_ratio_count')).toBeGreaterThanOrEqual(1);
	expect(samples.get('rostrum_quality_loss_ratio_bucket{le="0.05"}')).toBeGreaterThanOrEqual(1);
	expect(bodies[1]).toMatchObject({ lost: 0, gapsMs: [] });
	expect(Number(bodies[1]?.['packets'])).toBeGreaterThan(25);
	expect(bodies.flatMap((body) => Object.keys(body)).filter((name) => !/^(firstAudio(Ms|By)|periodMs|packets|lost|jitterMs|samples|concealed|gapsMs)$/.test(name))).toEqual([]);
	await page.context().close();
});

describe('what is told', () => {
	it.each([
		['anything about who tells', { ...GOOD, userAgent: 'x' }],
		['an empty report', {}],
		['numbers that cannot be', { ...GOOD, lost: -1 }],
		['text', { ...GOOD, packets: '500' }],
		['more gaps than one interval has', { ...GOOD, gapsMs: Array.from({ length: 21 }, () => 1) }],
		['a list', [GOOD]],
	])('is refused with %s', async (_what, body) => {
		expect(await report(body, { address: '127.0.0.3' })).toEqual({ status: 400, code: 'invalid_request' });
	});

	it('is refused when it is large, in another form, or of no room', async () => {
		expect(await report(`${JSON.stringify(GOOD).slice(0, -1)}${' '.repeat(5_000)}}`, { address: '127.0.0.4' })).toMatchObject({ status: 413 });
		expect(await report(GOOD, { address: '127.0.0.4', type: 'text/plain' })).toMatchObject({ status: 415 });
		expect(await report(GOOD, { address: '127.0.0.4', room: 'attic' })).toMatchObject({ status: 404, code: 'room_not_found' });
	});

	it('of a private room, only those may tell who may listen', async () => {
		await server.room({ id: 'board', title: 'Behind doors', visibility: 'private' });
		expect(await report(GOOD, { address: '127.0.0.5', room: 'board' })).toMatchObject({ status: 401 });
		const { token: other } = await server.token('hall', 'listener', 'Lee');
		expect(await report(GOOD, { address: '127.0.0.5', room: 'board', token: other })).toMatchObject({ status: 403 });
		const { token } = await server.token('board', 'listener', 'Lee');
		expect(await report(GOOD, { address: '127.0.0.5', room: 'board', token })).toMatchObject({ status: 204 });
	});

	it('has a limit for each address, and none for others because of it', async () => {
		const refusedBefore = (await scrape()).get('rostrum_quality_reports_total{outcome="refused"}') ?? 0;
		const answers: number[] = [];
		for (let sent = 0; sent < PER_ADDRESS + 3; sent++) answers.push((await report(GOOD, { address: '127.0.0.6' })).status);
		expect(answers).toEqual([...Array.from({ length: PER_ADDRESS }, () => 204), 429, 429, 429]);
		expect(await report(GOOD, { address: '127.0.0.7' })).toMatchObject({ status: 204 });
		expect((await scrape()).get('rostrum_quality_reports_total{outcome="refused"}')).toBe(refusedBefore + 3);
	});
});

it('nobody is asked where that is switched off', async () => {
	const silent = await RostrumProcess.start({ mediaPort: 30_250, env: { ROSTRUM_QUALITY_SAMPLE_RATIO: '0' } });
	try {
		await silent.room({ id: 'hall', title: 'Hall' });
		const page = await browser.newPage({ locale: 'en' });
		const answered = page.waitForResponse((response) => response.url().endsWith('/listen'));
		await listen(page, silent.url);
		const answer = await answered;
		expect(answer.status()).toBe(201);
		expect((await answer.allHeaders())['link'] ?? '').not.toContain('quality');
		await page.context().close();
	} finally {
		await silent.stop();
	}
});
