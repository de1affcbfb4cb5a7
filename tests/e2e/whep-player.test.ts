import type { Browser, Page, Response } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { ForeignSite } from '../support/browser/foreign-site.ts';
import type { ForeignPlayer } from '../support/browser/foreign-whip-whep.ts';
import { person } from '../support/browser/people.ts';
import { heard, hearsSound, spurtsHeard } from '../support/browser/probe.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { CANDIDATE_TEXT, speechWav } from '../support/speech/wav.ts';

type Kinds = Parameters<ForeignPlayer['view']>[1];

/** The energy of a few seconds of speech. */
const SOME_SPEECH = 1;
/** This client closes its connection first and asks for the end of the session then; that is answered as done all the same. */
const GOODBYE = [200];

/** A page of the foreign site, and what Rostrum answered to it. */
class Visitor {
	readonly page: Page;
	readonly answers: { method: string; path: string; status: number }[] = [];

	static async arrive(browser: Browser, site: ForeignSite): Promise<Visitor> {
		const visitor = new Visitor(await person(browser));
		await visitor.page.goto(site.url);
		await visitor.page.waitForFunction(() => 'foreign' in globalThis);
		return visitor;
	}

	private constructor(page: Page) {
		this.page = page;
		page.on('response', (response: Response) => {
			const method = response.request().method();
			if (method !== 'GET') {
				this.answers.push({ method, path: new URL(response.url()).pathname, status: response.status() });
			}
		});
	}

	view(url: string, kinds: Kinds): Promise<void> {
		return this.page.evaluate(([url, kinds]) => (globalThis as unknown as { foreign: ForeignPlayer }).foreign.view(url, kinds), [url, kinds] as const);
	}
	publish(url: string, token: string): Promise<void> {
		return this.page.evaluate(([url, token]) => (globalThis as unknown as { foreign: ForeignPlayer }).foreign.publish(url, token), [url, token] as const);
	}
	stop(): Promise<void> {
		return this.page.evaluate(() => (globalThis as unknown as { foreign: ForeignPlayer }).foreign.stop());
	}
	statusesOf(method: string): number[] {
		return this.answers.filter((answer) => answer.method === method).map(({ status }) => status);
	}
}

// The npm package whip-whep, on a web site of its own. Its ICE restart is not tried: it joins the candidates of the
// answer with commas. Ours is tried with a client written by hand, in ice-tcp.test.ts.
describe('a published WHIP and WHEP client on another site', () => {
	let server: RostrumProcess;
	let site: ForeignSite;
	let speakerBrowser: Browser | undefined;
	let listenerBrowser: Browser | undefined;
	let speaker: Visitor;
	const listeners: Visitor[] = [];
	const room = 'whep-player';
	const roomNow = () => server.json<{ listenerCount: number; stage: { name: string }[] }>('GET', `/v1/rooms/${room}`);

	beforeAll(async () => {
		[server, site, speakerBrowser, listenerBrowser] = await Promise.all([
			RostrumProcess.start({ mediaPort: 27_000 }),
			ForeignSite.serve('foreign-whip-whep.ts'),
			launchChromium({ microphone: speechWav({ voice: 'alto', text: CANDIDATE_TEXT }) }),
			launchChromium(),
		]);
		await server.room({ id: room, title: 'On somebody else’s page' });
	}, 60_000);
	afterAll(async () => {
		await closeAll(speakerBrowser, listenerBrowser);
		site?.close();
		await server?.stop();
	});

	it('speaks by WHIP with a microphone and stands on the stage', async () => {
		speaker = await Visitor.arrive(speakerBrowser as Browser, site);
		const { token } = await server.token(room, 'speaker', 'Encoder');
		await speaker.publish(`${server.url}/v1/rooms/${room}/publish`, token);
		await expect.poll(async () => (await roomNow()).stage, { timeout: 10_000 }).toMatchObject([{ name: 'Encoder', kind: 'encoder', number: 1, connected: true }]);
	});

	it.each<{ what: string; kinds: Kinds }>([
		{ what: 'one voice', kinds: ['audio'] },
		{ what: 'audio and a video that is not there, as players usually ask', kinds: ['audio', 'video'] },
		{ what: 'three voices', kinds: ['audio', 'audio', 'audio'] },
	])('listens by WHEP: $what', async ({ what, kinds }) => {
		const listener = await Visitor.arrive(listenerBrowser as Browser, site);
		listeners.push(listener);
		const asked = Date.now();
		await listener.view(`${server.url}/v1/rooms/${room}/listen`, kinds);
		await expect.poll(async () => (await heard(listener.page)).packets, { interval: 10, timeout: 10_000 }).toBeGreaterThan(0);
		const packetMs = Date.now() - asked;
		await hearsSound(listener.page);
		const soundMs = Date.now() - asked;
		await hearsSound(listener.page, SOME_SPEECH);
		const { concealed, samples, lost, sessions } = await heard(listener.page);
		console.log(
			`${what}: first packet after ${packetMs} ms, speech after ${soundMs} ms; ${((100 * concealed) / samples).toFixed(2)} % concealed over ${(samples / 48_000).toFixed(1)} voice-seconds, ${lost} packets lost`,
		);
		expect(sessions).toBe(1);
		// Nobody else is there, and no signalling says who it is: the packets do.
		expect(new Set((await spurtsHeard(listener.page)).map(({ number }) => number))).toEqual(new Set([1]));
		expect(listener.statusesOf('POST')).toEqual([201]);
	});

	it('its trickled candidates are taken', async () => {
		for (const visitor of [speaker, ...listeners]) {
			await expect.poll(() => visitor.statusesOf('PATCH').length).toBeGreaterThan(0);
			expect(new Set(visitor.statusesOf('PATCH'))).toEqual(new Set([204]));
		}
	});

	it('leaves by DELETE: the count falls, the session is gone, the others play on', async () => {
		await expect.poll(async () => (await roomNow()).listenerCount, { timeout: 10_000 }).toBe(listeners.length);
		const [first, ...others] = listeners;
		const left = Date.now();
		await first?.stop();
		expect(GOODBYE).toContain(first?.statusesOf('DELETE')[0]);
		await expect.poll(async () => (await roomNow()).listenerCount, { timeout: 10_000 }).toBe(others.length);
		console.log('the count fell', Date.now() - left, 'ms after the click that left');
		const gone = first?.answers.find(({ method }) => method === 'DELETE')?.path ?? '';
		expect((await server.call('DELETE', gone, undefined, null)).status).toBe(404);
		await Promise.all(others.map(({ page }) => hearsSound(page)));
		await Promise.all(others.map((other) => other.stop()));
		await expect.poll(async () => (await roomNow()).listenerCount, { timeout: 10_000 }).toBe(0);
	});

	it('the speaker leaves by DELETE and is off the stage', async () => {
		const left = Date.now();
		await speaker.stop();
		expect(GOODBYE).toContain(speaker.statusesOf('DELETE')[0]);
		await expect.poll(async () => (await roomNow()).stage, { timeout: 10_000 }).toEqual([]);
		console.log('off the stage', Date.now() - left, 'ms after the click that left');
	});
});
