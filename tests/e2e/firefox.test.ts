import type { Browser, Page } from 'playwright-core';
import type { Browser as Firefox } from 'puppeteer-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { clickButton, type FirefoxPage, firefoxPerson, launchFirefox, waitForButton, waitForText } from '../support/browser/firefox.ts';
import { NetworkNamespace, whyNoNamespace } from '../support/browser/netns.ts';
import { joinStage, listenTo, person } from '../support/browser/people.ts';
import { heard, hearsSound, spurtsHeard } from '../support/browser/probe.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { CANDIDATE_TEXT, speechWav } from '../support/speech/wav.ts';

/** What Firefox has always called Opus, where browsers built on libwebrtc say 111. */
const FIREFOX_OPUS = 109;
const JOINS = 3;
/** The energy of a few seconds of speech. */
const SOME_SPEECH = 1;

const whyNot = whyNoNamespace();

/** Payload types of what arrives. */
function receivedPayloadTypes({ page }: FirefoxPage): Promise<number[]> {
	return page.evaluate(async () => {
		const found = new Set<number>();
		for (const peer of (globalThis as unknown as { rostrumPeers: RTCPeerConnection[] }).rostrumPeers) {
			const report = await peer.getStats();
			for (const stat of report.values()) {
				if (stat.type === 'inbound-rtp' && stat.packetsReceived > 0) {
					found.add(report.get(stat.codecId).payloadType);
				}
			}
		}
		return [...found];
	});
}

// A second browser engine with a WebRTC stack of its own configuration: other payload types, other ICE, other DTLS.
// Everything runs on a host of its own (a network namespace), since Firefox does no ICE over the loopback address.
// Pages come over that host's loopback all the same, where http is a secure context and so may have a microphone;
// only the media address is on the cable. No preference of Firefox's has to be weakened for it.
describe('Firefox on our pages', () => {
	let namespace: NetworkNamespace;
	let server: RostrumProcess;
	let firefox: Firefox | undefined;
	let chromium: Browser | undefined;
	let sami: Page;
	const room = 'firefox';

	beforeEach(({ skip }) => skip(whyNot !== undefined, whyNot));
	beforeAll(async () => {
		if (whyNot !== undefined) {
			console.warn(`Firefox is not tried: this ${whyNot}`);
			return;
		}
		namespace = await NetworkNamespace.create();
		vi.stubEnv('CHROMIUM_BIN', namespace.wrapper(process.env['CHROMIUM_BIN'] ?? '/usr/bin/chromium'));
		const httpPort = await namespace.share();
		[server, firefox, chromium] = await Promise.all([
			RostrumProcess.start({
				mediaPort: 27_400,
				netns: namespace.name,
				env: { ROSTRUM_HTTP_PORT: String(httpPort), ROSTRUM_MEDIA_ADDRESS: namespace.address },
			}),
			launchFirefox(namespace),
			launchChromium({ microphone: speechWav({ voice: 'bass', text: CANDIDATE_TEXT }) }),
		]);
		await server.room({ id: room, title: 'In another browser' });
		sami = await person(chromium);
		await joinStage(sami, (await server.token(room, 'speaker', 'Sami')).url);
	}, 90_000);
	afterAll(async () => {
		await Promise.allSettled([firefox?.close(), closeAll(chromium)]);
		await server?.stop();
		await namespace?.close();
		vi.unstubAllEnvs();
	});

	it('listens: its own payload type, sound, and who speaks', async () => {
		const firstPacketMs: number[] = [];
		const soundMs: number[] = [];
		for (let i = 0; i < JOINS; i++) {
			const listener = await firefoxPerson(firefox as Firefox);
			await listener.page.goto(`${server.url}/r/${room}`);
			const clickedAtMs = await clickButton(listener.page, 'Listen');
			while ((await heard(listener.probed)).packets === 0) {
				expect(Date.now() - clickedAtMs, 'milliseconds without a packet').toBeLessThan(10_000);
				await listener.probed.waitForTimeout(10);
			}
			firstPacketMs.push(Date.now() - clickedAtMs);
			await hearsSound(listener.probed);
			soundMs.push(Date.now() - clickedAtMs);

			await waitForText(listener.page, /Speaking: .?Sami/);
			expect(new Set((await spurtsHeard(listener.probed)).map(({ number }) => number))).toEqual(new Set([1]));
			expect(await receivedPayloadTypes(listener)).toEqual([FIREFOX_OPUS]);
			if (i === JOINS - 1) {
				await hearsSound(listener.probed, SOME_SPEECH);
			}
			const { sessions, concealed, samples, lost, jitterBufferMs } = await heard(listener.probed);
			expect(sessions).toBe(1);
			console.log(
				`Firefox listener ${i + 1}: ${((100 * concealed) / samples).toFixed(2)} % concealed over ${(samples / 48_000).toFixed(1)} voice-seconds, ${lost} packets lost, jitter buffer ${jitterBufferMs} ms`,
			);
			await listener.page.browserContext().close();
		}
		console.log(`Firefox, click to first audio packet: ${firstPacketMs.join(', ')} ms; to speech: ${soundMs.join(', ')} ms`);
	});

	it('speaks: it hears the stage, and is heard by the audience under its name', async () => {
		const listener = await person(chromium as Browser);
		await listenTo(listener, `${server.url}/r/${room}`);
		await hearsSound(listener);

		const fiona = await firefoxPerson(firefox as Firefox);
		await fiona.page.goto((await server.token(room, 'speaker', 'Fiona')).url);
		await clickButton(fiona.page, 'Allow microphone');
		const joinedAtMs = await clickButton(fiona.page, 'Join the stage');
		await waitForButton(fiona.page, 'Leave the stage');
		await hearsSound(fiona.probed);
		await listener.waitForFunction(() => (globalThis as unknown as { rostrumSpurts: { number: number }[] }).rostrumSpurts.some(({ number }) => number === 2));
		console.log('Firefox speaker, click on "Join the stage" to being heard by a listener:', Date.now() - joinedAtMs, 'ms');

		// Now nobody else is there to be heard.
		await sami.getByRole('button', { name: 'Leave the stage' }).click();
		await sami.getByRole('dialog').getByRole('button', { name: 'Leave the stage' }).click();
		await listener.getByText(/Speaking: .?Fiona.?$/).waitFor();
		await hearsSound(listener, 0.01);
		expect((await heard(listener)).sessions).toBe(1);
		const { stage } = await server.json<{ stage: unknown[] }>('GET', `/v1/rooms/${room}`);
		expect(stage).toMatchObject([{ name: 'Fiona', number: 2, kind: 'browser', connected: true }]);

		await clickButton(fiona.page, 'Leave the stage');
		await clickButton(fiona.page, 'Leave the stage', 'dialog[open]');
		await listener.getByText('Nobody is on stage yet.').waitFor();
	});
});
