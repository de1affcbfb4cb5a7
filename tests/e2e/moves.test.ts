// Listeners' pages that are asked to go elsewhere, and what people hear of it: nothing.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureAudible, NO_STALL_MS, startMeasuring, stopMeasuring, tolerableGapMs } from '../support/browser/audible.ts';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { person } from '../support/browser/people.ts';
import { heard, hearsSound } from '../support/browser/probe.ts';
import { openSdkPage, type SdkWindow } from '../support/browser/sdk-page.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { tone } from '../support/speech/speech.ts';

const ROOM = 'moving';
const PACKET_MS = 60;

describe('a listening page that is asked to move', () => {
	let server: RostrumProcess;
	let browser: Browser;
	let speaker: RtcSpeaker;

	beforeAll(async () => {
		[server, browser] = await Promise.all([RostrumProcess.start({ mediaPort: 26_600 }), launchChromium()]);
		await server.room({ id: ROOM, title: 'A steady tone', packingMs: PACKET_MS });
		const { token } = await server.token(ROOM, 'speaker', 'Tone');
		speaker = await RtcSpeaker.publish(async (offer) => {
			const response = await fetch(new URL(`/v1/rooms/${ROOM}/publish`, server.url), { method: 'POST', headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` }, body: offer });
			return response.text();
		});
		speaker.talk(await tone(440, 5));
	}, 120_000);
	afterAll(async () => {
		speaker?.close();
		await closeAll(browser);
		await server?.stop();
	});

	/** A page that has the SDK; its POSTs, where they led, and what it left, so far. */
	async function listening(): Promise<{ page: Page; posts: string[]; locations: string[]; left: string[] }> {
		const page = await person(browser);
		await measureAudible(page);
		const [posts, locations, left]: [string[], string[], string[]] = [[], [], []];
		page.on('request', (request) => {
			// Of sessions; one listener in ten tells how it hears as well, at moments of its own.
			if (request.method() === 'POST' && new URL(request.url()).pathname.endsWith('/listen')) posts.push(request.url());
			if (request.method() === 'DELETE') left.push(new URL(request.url()).pathname);
		});
		page.on('response', (response) => {
			const location = response.headers()['location'];
			if (location !== undefined) locations.push(location);
		});
		await openSdkPage(page, server.url);
		return { page, posts, locations, left };
	}

	async function start(page: Page, servers: string[] = []): Promise<void> {
		await page.evaluate(
			([room, ...urls]) => {
				const global = globalThis as unknown as SdkWindow;
				const known = new global.rostrum.Servers(urls[0]);
				known.learn(urls.slice(1), urls[0] ?? location.origin);
				[global.states, global.rejoined] = [[], 0];
				global.session = new global.rostrum.ListenSession({ room: room ?? '', servers: known });
				global.session.on('state', ({ state }) => global.states.push(state));
				global.session.on('rejoined', () => global.rejoined++);
				global.session.start();
			},
			[ROOM, ...servers],
		);
	}
	const move = (page: Page, portions: Record<string, number>) => page.evaluate((asked) => (globalThis as unknown as SdkWindow).session.move(asked), portions);
	const states = (page: Page) => page.evaluate(() => (globalThis as unknown as SdkWindow).states);
	const shardOf = (location: string | undefined): string => /\/([^/]+)-[0-9a-f]{32}$/.exec(location ?? '')?.[1] ?? '';
	const until = async (holds: () => boolean, what: string, deadlineMs = 15_000): Promise<void> => {
		for (const begun = Date.now(); !holds(); ) {
			if (Date.now() - begun > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	};

	it('makes the new session before it ends the old one: no gap, no repetition, nothing shown', async () => {
		const { page, locations, left } = await listening();
		await start(page);
		await hearsSound(page);
		const concealedAfterSwap: number[] = [];
		await startMeasuring(page);
		await page.waitForTimeout(1_000);
		for (let moves = 1; moves <= 3; moves++) {
			await move(page, { [shardOf(locations.at(-1))]: 1 });
			await until(() => left.length === moves, 'the old session is ended');
			expect(locations).toHaveLength(moves + 1);
			expect(shardOf(locations[moves])).not.toBe(shardOf(locations[moves - 1]));
			expect(left[moves - 1]).toBe(locations[moves - 1]);
			// Closing the old connection waits for the server's answer.
			await page.waitForFunction(() => (globalThis as unknown as { rostrumPeers: RTCPeerConnection[] }).rostrumPeers.filter(({ connectionState }) => connectionState !== 'closed').length === 1);
			const swapped = await heard(page);
			await page.waitForTimeout(1_500);
			concealedAfterSwap.push((await heard(page)).concealed - swapped.concealed);
			// Moves of one page are five seconds apart.
			await page.waitForTimeout(moves < 3 ? 3_500 : 0);
		}
		const report = await stopMeasuring(page);
		const after = await heard(page);
		console.log('three moves:', JSON.stringify(report), `concealed after each: ${concealedAfterSwap.join(', ')} samples; lost ${after.lost}`);
		expect(Math.max(...concealedAfterSwap)).toBeLessThan(48 * PACKET_MS);
		expect(report.beginnings).toBe(3);
		expect(report.coldBeginnings).toBe(0);
		expect(report.measuredMs).toBeGreaterThan(8_000);
		expect(report.handOverGapMs).toBeLessThan(tolerableGapMs(PACKET_MS, report));
		expect(report.otherGapMs).toBeLessThan(NO_STALL_MS);
		expect(report.longestDoubleMs).toBeLessThan(PACKET_MS);
		expect(after.sessions).toBe(1);
		expect(await states(page)).toEqual(['connecting', 'playing']);
		expect(await page.evaluate(() => (globalThis as unknown as SdkWindow).rejoined)).toBe(0);
		await page.context().close();
	});

	it('stays where others are meant, and does not run in circles when there is nowhere else', async () => {
		const { page, posts, locations } = await listening();
		await start(page);
		await hearsSound(page);
		await move(page, { '1': 0, '2': 0, '7': 1, 'n1.1': 1, 'n1.2': 1 });
		await page.waitForTimeout(1_500);
		expect(posts).toHaveLength(1);
		await move(page, { '1': 1, '2': 1 });
		await page.waitForTimeout(4_000);
		expect(posts).toHaveLength(2);
		// Told that it is over, it does not go on.
		await move(page, {});
		await page.waitForTimeout(3_000);
		expect(posts).toHaveLength(2);
		expect(locations).toHaveLength(2);
		await page.context().close();
	});

	it('goes on with what it has when the new session cannot be had', async () => {
		const { page, posts, locations, left } = await listening();
		await start(page);
		await hearsSound(page);
		await page.route('**/listen', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ code: 'no_capacity', title: 'full' }) }));
		await move(page, { [shardOf(locations[0])]: 1 });
		await until(() => posts.length === 2, 'it asked');
		await hearsSound(page);
		expect(left).toEqual([]);
		expect(await states(page)).toEqual(['connecting', 'playing']);
		await page.unroute('**/listen');
		await until(() => left.length === 1, 'it moves once that is possible', 10_000);
		expect(await states(page)).toEqual(['connecting', 'playing']);
		await page.context().close();
	});

	it('asks its first server again, at once and once, when a hand-off did not work', async () => {
		const { page, posts } = await listening();
		let refused = 0;
		await page.route('**/listen', (route) => (++refused > 1 ? route.continue() : route.fulfill({ status: 403, contentType: 'application/problem+json', body: JSON.stringify({ code: 'handoff_invalid', title: 'no' }) })));
		await start(page);
		await hearsSound(page);
		expect(posts).toHaveLength(2);
		expect(await states(page)).toEqual(['connecting', 'playing']);
		await page.context().close();
	});

	it('goes to another server when its own is not there', async () => {
		const { page, posts } = await listening();
		// Nobody listens on the discard port, and the browser's list of ports it never tries does not hold this one.
		await start(page, ['http://127.0.0.1:26599', server.url]);
		await hearsSound(page);
		expect(posts.map((url) => new URL(url).origin)).toEqual(['http://127.0.0.1:26599', server.url]);
		await page.context().close();
	});
});
