// A second voice that has been silent since before the listener came: nothing of what is said on it first may be lost.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { listenTo, person } from '../support/browser/people.ts';
import { hearsSound } from '../support/browser/probe.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { tone } from '../support/speech/speech.ts';

const ROOM = 'two-voices';
const SAID_SECONDS = 1;

interface VoiceHeard {
	packets: number;
	/** Sum of squared samples over time: of a steady tone it grows with what is heard of it. */
	energy: number;
}

let server: RostrumProcess;
let browser: Browser;
const speakers: RtcSpeaker[] = [];

beforeAll(async () => {
	[server, browser] = await Promise.all([RostrumProcess.start({ mediaPort: 32_400 }), launchChromium()]);
	await server.room({ id: ROOM, title: 'Two voices' });
}, 60_000);
afterAll(async () => {
	for (const speaker of speakers) speaker.close();
	await closeAll(browser);
	await server?.stop();
});

async function speaker(name: string): Promise<RtcSpeaker> {
	const { token } = await server.token(ROOM, 'speaker', name);
	const made = await RtcSpeaker.publish(async (offer) => {
		const response = await fetch(new URL(`/v1/rooms/${ROOM}/publish`, server.url), { method: 'POST', headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` }, body: offer });
		return response.text();
	});
	speakers.push(made);
	return made;
}

/** What came of each voice, in the order of their sections. */
const voices = (page: Page): Promise<VoiceHeard[]> =>
	page.evaluate(async () => {
		const [peer] = (globalThis as unknown as { rostrumPeers: RTCPeerConnection[] }).rostrumPeers.filter(({ connectionState }) => connectionState === 'connected');
		const found: { mid: string; packets: number; energy: number }[] = [];
		for (const stat of (await peer?.getStats())?.values() ?? []) {
			if (stat.type === 'inbound-rtp') found.push({ mid: stat.mid, packets: stat.packetsReceived, energy: stat.totalAudioEnergy ?? 0 });
		}
		return found.toSorted((a, b) => Number(a.mid) - Number(b.mid)).map(({ packets, energy }) => ({ packets, energy }));
	});

it('is heard from its first moment on, as well as a voice that spoke a moment ago', async () => {
	const [first, second] = [await speaker('First'), await speaker('Second')];
	first.talk(await tone(330, 5));
	// The edge is opened by somebody who came long before.
	const before = await person(browser);
	await listenTo(before, `${server.url}/r/${ROOM}`);
	await hearsSound(before);
	await before.waitForTimeout(9_000);

	const said = await tone(880, SAID_SECONDS);
	const gains: number[] = [];
	const page = await person(browser);
	await listenTo(page, `${server.url}/r/${ROOM}`);
	await hearsSound(page);
	const [, cold] = await voices(page);
	for (let time = 0; time < 3; time++) {
		const energy = (await voices(page))[1]?.energy ?? 0;
		await second.say(said);
		await page.waitForTimeout(1_500);
		gains.push(((await voices(page))[1]?.energy ?? 0) - energy);
	}
	console.log(`packets of the second voice before it spoke: ${cold?.packets ?? 0}; energy of what it said, one time after the other:`, gains.map((gain) => gain.toFixed(5)).join(', '));
	const [once = 0, ...later] = gains;
	// A first syllable is more than a tenth of a second.
	expect(once).toBeGreaterThan(0.9 * Math.min(...later));
}, 60_000);
