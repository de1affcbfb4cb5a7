// The listening page when there is no place: the stream for the overflow, and the way back to a place of one's own.
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureAudible, NO_STALL_MS, startMeasuring, stopMeasuring, tolerableGapMs, UNHEARD_MS } from '../support/browser/audible.ts';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { HlsStub } from '../support/browser/hls-stub.ts';
import { listenTo, person } from '../support/browser/people.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { tone } from '../support/speech/speech.ts';

const OVERFLOW = 'You hear the stream for the overflow, a few seconds later. We keep trying for a direct place.';
const DIRECT = 'You are listening.';

/** Answers every POST for a place as a full server does. @returns lets them through again */
async function full(page: Page, room: string, more: object = {}): Promise<() => Promise<void>> {
	const target = (url: URL) => url.pathname === `/v1/rooms/${room}/listen`;
	await page.route(target, (route) =>
		route.fulfill({
			status: 503,
			contentType: 'application/problem+json',
			headers: { 'retry-after': '1' },
			body: JSON.stringify({
				code: 'no_capacity', title: 'There is no room for more listeners right now', reason: 'full', retryAfterMs: 1_000,
				queue: { ahead: 12, place: 'stamp' }, overflow: { hls: `/v1/rooms/${room}/hls/index.m3u8` }, ...more,
			}),
		}),
	);
	return () => page.unroute(target);
}

describe('a listener for whom there is no place', () => {
	let server: RostrumProcess;
	let browser: Browser;
	let speaker: RtcSpeaker;
	let stub: HlsStub;
	const errors: string[] = [];

	beforeAll(async () => {
		[server, browser, stub] = await Promise.all([
			RostrumProcess.start({ mediaPort: 31_600 }),
			launchChromium(),
			HlsStub.of(['-f', 'lavfi', '-i', 'sine=frequency=660:sample_rate=48000:duration=240']),
		]);
		await server.room({ id: 'surge', title: 'A steady tone' });
		speaker = await talks('surge');
	}, 120_000);
	afterAll(async () => {
		speaker?.close();
		await closeAll(browser);
		await server?.stop();
	});

	/** Somebody with a steady tone on the stage of a room. */
	async function talks(room: string): Promise<RtcSpeaker> {
		const { token } = await server.token(room, 'speaker', 'Tone');
		const talker = await RtcSpeaker.publish(async (offer) => {
			const response = await fetch(new URL(`/v1/rooms/${room}/publish`, server.url), { method: 'POST', headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` }, body: offer });
			return response.text();
		});
		talker.talk(await tone(440, 5));
		return talker;
	}
	async function somebody(options: BrowserContextOptions = {}): Promise<Page> {
		const page = await person(browser, options);
		await measureAudible(page);
		page.on('pageerror', (error) => errors.push(error.message));
		page.on('console', (message) => {
			// Refusals are noted by the browser itself.
			if (message.type() === 'error' && !message.text().includes('503')) errors.push(message.text());
		});
		return page;
	}
	const until = async (holds: () => Promise<boolean>, deadlineMs = 30_000): Promise<void> => {
		for (const begun = Date.now(); !(await holds()); ) {
			if (Date.now() - begun > deadlineMs) throw new Error(`not within ${deadlineMs} ms`);
			await new Promise((resolve) => setTimeout(resolve, 200));
		}
	};
	const says = (page: Page, text: string, timeout = 15_000) => page.getByText(text).waitFor({ timeout });

	it('hears the room by the stream within 5 s of the click, and is changed over without a gap when there is a place', async () => {
		// What measures the sound is a worklet of the test's own, which the page's policy would not let in.
		const page = await somebody({ bypassCSP: true });
		await stub.serve(page);
		const letIn = await full(page, 'surge');
		await page.goto(`${server.url}/r/surge`);
		const button = page.getByRole('button', { name: 'Listen', exact: true });
		await button.waitFor();
		const clicked = Date.now();
		await button.click();
		await says(page, OVERFLOW);
		const heardMs = Date.now() - clicked;
		await startMeasuring(page);
		await page.waitForTimeout(2_000);
		await letIn();
		await says(page, DIRECT, 30_000);
		await page.waitForTimeout(1_500);
		const report = await stopMeasuring(page);
		console.log(`heard by HLS ${heardMs} ms after the click; the change to a place:`, JSON.stringify(report));
		expect(heardMs).toBeLessThan(5_000);
		expect(report.measuredMs).toBeGreaterThan(3_000);
		expect(report.handOverGapMs).toBeLessThan(tolerableGapMs(UNHEARD_MS, report));
		expect(report.otherGapMs).toBeLessThan(NO_STALL_MS);
		expect(report.longestDoubleMs).toBeGreaterThan(150);
		expect(report.longestDoubleMs).toBeLessThan(600);
		// The stream is over: nobody asks for it any more.
		const { length } = stub.requests;
		await page.waitForTimeout(2_500);
		expect(stub.requests).toHaveLength(length);

		await full(page, 'surge');
		const killed = Date.now();
		for (const { pid, role } of (await server.shardPids()).values()) {
			if (role === 'listener') process.kill(pid, 'SIGKILL');
		}
		await says(page, OVERFLOW);
		console.log(`back by HLS ${Date.now() - killed} ms after the shard died`);
		expect(Date.now() - killed).toBeLessThan(5_000);
		await page.context().close();
	});

	it('is told the truth when the stream fails, too, and hears it again when it is back, with the page’s own policy', async () => {
		const page = await somebody();
		await stub.serve(page);
		await full(page, 'surge', { reason: 'paced' });
		await listenTo(page, `${server.url}/r/surge`);
		await says(page, OVERFLOW);
		await page.locator('.queue', { hasText: '12 people are ahead of you' }).waitFor();
		stub.away = true;
		await says(page, 'Every direct place is taken, and the stream for the overflow has stopped. We keep trying both.', 30_000);
		await page.locator('.queue', { hasText: /12 people are ahead of you · (Next try in|Trying now)/ }).waitFor();
		stub.away = false;
		await says(page, OVERFLOW, 30_000);
		await page.getByRole('button', { name: 'Stop' }).click();
		await says(page, 'Press Listen to hear the room.');
		const { length } = stub.requests;
		await page.waitForTimeout(2_500);
		expect(stub.requests).toHaveLength(length);
		await page.context().close();
	});

	it('sends the token with every request for a private room’s stream, and in no address', async () => {
		await server.room({ id: 'closed-surge', title: 'For members', visibility: 'private' });
		const page = await somebody();
		await stub.serve(page);
		const letIn = await full(page, 'closed-surge');
		const { url, token } = await server.token('closed-surge', 'listener', 'Lina');
		await listenTo(page, url);
		await says(page, OVERFLOW);
		const requests = stub.requests.filter((request) => request.url().includes('closed-surge'));
		expect(requests.length).toBeGreaterThan(3);
		for (const request of requests) {
			expect(request.headers()['authorization']).toBe(`Bearer ${token}`);
			expect(request.url()).not.toContain(token);
		}
		await letIn();
		await says(page, DIRECT, 30_000);
		await page.context().close();
	});

	it('hears the server’s own stream, and comes and goes between it and a place of its own', async () => {
		await server.room({ id: 'small', title: 'One place', maxListeners: 1 });
		const tuner = await talks('small');
		const first = await somebody();
		await listenTo(first, `${server.url}/r/small`);
		await says(first, DIRECT);

		// Somebody else hears the stream already: what its own start takes is the server's matter.
		await until(async () => ((await (await server.call('GET', '/v1/rooms/small/hls/live.m3u8', undefined, null)).text()).match(/#EXTINF/g)?.length ?? 0) >= 3);
		const page = await somebody({ bypassCSP: true });
		const sessions: string[] = [];
		page.on('response', (response) => {
			const location = response.status() === 201 ? response.headers()['location'] : undefined;
			if (location !== undefined) sessions.push(new URL(location, response.url()).href);
		});
		await page.goto(`${server.url}/r/small`);
		const button = page.getByRole('button', { name: 'Listen', exact: true });
		await button.waitFor();
		const clicked = Date.now();
		await button.click();
		await says(page, OVERFLOW);
		const heardMs = Date.now() - clicked;
		await page.waitForTimeout(2_000);
		await startMeasuring(page);
		const work = await page.context().newCDPSession(page);
		await work.send('Performance.enable');
		const workedMs = async () => 1_000 * ((await work.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'ThreadTime')?.value ?? Number.NaN);
		const before = await workedMs();
		// Past the first ten seconds, and past a try that is refused: nothing of either is to be heard.
		await page.waitForTimeout(9_000);
		const share = (await workedMs() - before) / 9_000;
		await server.json('PATCH', '/v1/rooms/small', { maxListeners: 2 });
		await says(page, DIRECT, 60_000);
		await page.waitForTimeout(1_500);
		const report = await stopMeasuring(page);
		console.log(`heard the server’s stream ${heardMs} ms after the click; the change:`, JSON.stringify(report));
		expect(heardMs).toBeLessThan(5_000);
		console.log('of one processor, the page took', share.toFixed(3));
		// Time of the processor, not of the clock. A phone is several times slower.
		expect(share).toBeLessThan(0.2);
		expect(report.handOverGapMs).toBeLessThan(tolerableGapMs(UNHEARD_MS, report));
		expect(report.otherGapMs).toBeLessThan(NO_STALL_MS);
		expect(report.beginnings).toBeGreaterThan(0);

		await server.json('PATCH', '/v1/rooms/small', { maxListeners: 1 });
		const lost = Date.now();
		await fetch(sessions.at(-1) ?? '', { method: 'DELETE' });
		await says(page, OVERFLOW);
		console.log(`back by HLS ${Date.now() - lost} ms after the place was lost`);
		expect(Date.now() - lost).toBeLessThan(5_000);
		// Whoever had a place heard nothing of all this.
		await says(first, DIRECT);
		tuner.close();
		await Promise.all([first.context().close(), page.context().close()]);
	});

	it('threw no errors, and the page’s policy let everything through', () => {
		expect(errors).toEqual([]);
	});
});
