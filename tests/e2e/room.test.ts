import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { joinStage, listenTo, person } from '../support/browser/people.ts';
import { heard, hearsSound, longestGapMs, spurtsHeard } from '../support/browser/probe.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { CANDIDATE_TEXT, HOST_TEXT, speechWav } from '../support/speech/wav.ts';

const LISTENERS = 3;
/** Nothing is lost on this machine; what comes late, because five browsers share its processors, is filled in. */
const CONCEALED_AT_MOST = 0.02;

/** Listeners on each listener shard, from the metrics. */
async function listenersByShard(server: RostrumProcess): Promise<Record<string, number>> {
	const text = await (await server.call('GET', '/metrics')).text();
	const found = text.matchAll(/^rostrum_shard_listeners\{shard="(\d+)",role="listener"\} (\d+)/gm);
	return Object.fromEntries([...found].map(([, shard, count]) => [shard, Number(count)]));
}

async function until(holds: () => Promise<boolean>, what: string, deadlineMs = 10_000): Promise<number> {
	const started = Date.now();
	while (!(await holds())) {
		if (Date.now() - started > deadlineMs) {
			throw new Error(`not within ${deadlineMs} ms: ${what}`);
		}
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	return Date.now() - started;
}

describe('a room in real browsers', () => {
	let server: RostrumProcess;
	let hostBrowser: Browser;
	let speakerBrowser: Browser;
	let listenerBrowser: Browser;
	let host: Page;
	let speaker: Page;
	const listeners: Page[] = [];
	const room = 'announcement';

	beforeAll(async () => {
		server = await RostrumProcess.start({ mediaPort: 26_000 });
		// They take turns: each is silent for longer than the other talks.
		[hostBrowser, speakerBrowser, listenerBrowser] = await Promise.all([
			launchChromium({ microphone: speechWav({ voice: 'alto', text: HOST_TEXT, tailMs: 5_000 }) }),
			launchChromium({ microphone: speechWav({ voice: 'bass', text: CANDIDATE_TEXT, leadMs: 3_000, tailMs: 3_000 }) }),
			launchChromium(),
		]);
		await server.room({ id: room, title: 'The announcement' }, 'scheduled');
	}, 120_000);
	afterAll(async () => {
		await closeAll(hostBrowser, speakerBrowser, listenerBrowser);
		await server?.stop();
	});

	it('a host opens the doors, a speaker joins by a link the host made, and listeners wait', async () => {
		host = await person(hostBrowser);
		await joinStage(host, (await server.token(room, 'host', 'Hana')).url);
		await host.getByRole('button', { name: 'Open the doors' }).click();
		await host.getByRole('button', { name: 'Go live' }).waitFor();

		await host.getByLabel('Name').fill('Sami');
		await host.getByRole('button', { name: 'Make link' }).click();
		const link = host.getByLabel(/^Link for .?Sami/);
		await link.waitFor();
		speaker = await person(speakerBrowser);
		await joinStage(speaker, await link.inputValue());

		// On stage people hear each other before the audience hears anybody.
		await Promise.all([hearsSound(host), hearsSound(speaker)]);
		for (let i = 0; i < LISTENERS; i++) {
			const page = await person(listenerBrowser);
			await listenTo(page, `${server.url}/r/${room}`);
			await page.getByText('You are connected. The sound starts when the host does.').waitFor();
			listeners.push(page);
		}
		for (const page of listeners) {
			await until(async () => (await heard(page)).packets > 5, 'keep-alives come');
			const { energy } = await heard(page);
			expect(energy).toBeLessThan(0.000_1);
		}
	});

	it('going live moves nobody: the same sessions carry sound, spread over the listener shards', async () => {
		await host.getByRole('button', { name: 'Go live' }).click();
		await Promise.all(listeners.map((page) => hearsSound(page)));
		await Promise.all(listeners.map((page) => page.getByText('You are listening.').waitFor()));
		for (const page of listeners) {
			expect((await heard(page)).sessions).toBe(1);
		}
		await until(async () => Object.values(await listenersByShard(server)).toSorted((a, b) => a - b).join() === '1,2', 'two listeners on one shard, one on the other');
	});

	it('each listener hears both, knows who speaks from the packets, and misses next to nothing', async () => {
		const before = await Promise.all(listeners.map(heard));
		for (const page of listeners) {
			await until(async () => {
				const numbers = (await spurtsHeard(page)).map(({ number }) => number);
				return numbers.includes(1) && numbers.includes(2);
			}, 'both speakers shown', 30_000);
		}
		for (const name of ['Hana', 'Sami']) {
			await listeners[0]?.getByText(new RegExp(`Speaking: .?${name}`)).waitFor({ timeout: 20_000 });
		}
		for (const [i, page] of listeners.entries()) {
			const now = await heard(page);
			const then = before[i];
			if (!then) {
				continue;
			}
			const samples = now.samples - then.samples;
			const concealedRatio = (now.concealed - then.concealed) / samples;
			console.log(
				`listener ${i + 1}: ${(100 * Math.max(0, concealedRatio)).toFixed(2)} % concealed over ${(samples / 48_000).toFixed(0)} voice-seconds, ${now.lost} packets lost, jitter buffer ${now.jitterBufferMs} ms`,
			);
			expect(now.energy).toBeGreaterThan(then.energy);
			expect(now.lost).toBe(0);
			expect(concealedRatio).toBeLessThan(CONCEALED_AT_MOST);
			expect(now.sessions).toBe(1);
		}
	});

	it('from click to sound', async () => {
		const times: number[] = [];
		for (let i = 0; i < 3; i++) {
			const page = await person(listenerBrowser);
			await page.goto(`${server.url}/r/${room}`);
			const button = page.getByRole('button', { name: 'Listen', exact: true });
			await button.waitFor();
			const clicked = Date.now();
			await button.click();
			await until(async () => (await heard(page)).packets > 0, 'packets arrive');
			times.push(Date.now() - clicked);
			await page.context().close();
		}
		console.log('click to first audio packet:', times.join(', '), 'ms');
	});

	it('a muted speaker is not heard, shows as muted to everybody, and comes back with the key', async () => {
		await speaker.keyboard.press('m');
		await speaker.getByText('You are muted', { exact: true }).waitFor();
		await host.getByText('muted').first().waitFor();
		await listeners[0]?.getByText('muted').first().waitFor();
		const since = Date.now();
		await new Promise((resolve) => setTimeout(resolve, 10_000)); // Longer than a round of their speech.
		const numbers = (await spurtsHeard(listeners[0] as Page)).filter(({ toMs }) => toMs > since + 1_000).map(({ number }) => number);
		expect(numbers).not.toContain(2);
		await speaker.keyboard.press('m');
		await speaker.getByText('You are on air').waitFor();
		await until(async () => (await spurtsHeard(listeners[0] as Page)).some(({ number, fromMs }) => number === 2 && fromMs > since + 10_000), 'heard again', 20_000);
	});

	it('the stage shard dies in mid-speech: everybody is back by themselves, and listeners keep their sessions', async () => {
		const { pid } = (await server.shardPids()).get(0) ?? { pid: 0 };
		const before = await Promise.all(listeners.map(heard));
		// The host has just begun a speech of several seconds, so whatever silence follows is ours.
		const asked = Date.now();
		await until(async () => (await spurtsHeard(listeners[0] as Page)).some(({ number, fromMs, toMs }) => number === 1 && fromMs > asked && toMs > fromMs + 300), 'the host speaks', 30_000);
		const killed = Date.now();
		process.kill(pid, 'SIGKILL');
		await new Promise((resolve) => setTimeout(resolve, 2_500));
		const gaps = await Promise.all(listeners.map((page) => longestGapMs(page, killed - 100, killed + 2_400)));
		console.log('longest silence after the stage shard was killed, the host\'s way back and pauses between words included:', gaps.join(', '), 'ms');
		expect(Math.max(...gaps)).toBeLessThan(1_000);
		await Promise.all(listeners.map((page) => hearsSound(page)));
		for (const [i, page] of listeners.entries()) {
			const now = await heard(page);
			expect(now.sessions).toBe(1);
			expect(now.packets).toBeGreaterThan(before[i]?.packets ?? 0);
			expect(now.lost).toBe(before[i]?.lost);
		}
		await hearsSound(host);
	});

	it('a listener shard dies: its listeners are back within 3 s, the others never noticed', async () => {
		const peersOf = (page: Page) => page.evaluate(() => (globalThis as unknown as { rostrumPeers: RTCPeerConnection[] }).rostrumPeers.length);
		const onShard = (await listenersByShard(server))['1'] ?? 0;
		expect(onShard).toBeGreaterThan(0);
		const peers = await Promise.all(listeners.map(peersOf));
		const killed = Date.now();
		process.kill((await server.shardPids()).get(1)?.pid ?? 0, 'SIGKILL');

		const back = listeners.map((page) => page.getByText(/Back again after/));
		const isBack = () => Promise.all(back.map((notice) => notice.isVisible()));
		await until(async () => (await isBack()).filter(Boolean).length === onShard, 'as many are back as were on the shard', 10_000);
		const returned = await isBack();
		const backMs = await Promise.all(back.filter((_, i) => returned[i]).map(async (notice) => 1_000 * Number(/([\d.]+)/.exec((await notice.textContent()) ?? '')?.[1])));
		await Promise.all(listeners.map((page) => hearsSound(page)));
		console.log('listeners of the dead shard had sound again after', backMs.join(', '), 'ms; all sounding', Date.now() - killed, 'ms after the kill');
		expect(Math.max(...backMs)).toBeLessThan(3_000);
		// The others have the connection they had.
		const peersAfter = await Promise.all(listeners.map(peersOf));
		expect(peersAfter.filter((_, i) => !returned[i])).toEqual(peers.filter((_, i) => !returned[i]));
	});

	it('a speaker who loses the socket keeps the place, and one who reloads has it back', async () => {
		await speaker.context().setOffline(true);
		await speaker.evaluate(() => 0);
		await speaker.context().setOffline(false);
		await speaker.reload();
		await speaker.getByRole('button', { name: 'Allow microphone' }).click();
		await speaker.getByRole('button', { name: 'Join the stage' }).click();
		await speaker.getByRole('button', { name: 'Leave the stage' }).waitFor();
		const { stage } = await server.json<{ stage: { name: string; number: number }[] }>('GET', `/v1/rooms/${room}`);
		expect(stage).toMatchObject([{ name: 'Hana', number: 1 }, { name: 'Sami', number: 2 }]);
	});

	it('the host mutes a speaker, takes one off stage, and ends the room for all', async () => {
		const sami = host.locator('.stage .person', { hasText: 'Sami' });
		await sami.locator('summary').click();
		await sami.getByRole('button', { name: 'Mute', exact: true }).click();
		await speaker.getByText('You are muted', { exact: true }).waitFor();
		await sami.locator('summary').click();
		await sami.getByRole('button', { name: 'Take off stage', exact: true }).click();
		await host.getByRole('dialog').getByRole('button', { name: 'Take off stage', exact: true }).click();
		await speaker.getByText('The host has taken you off the stage.').waitFor();
		await host.getByRole('button', { name: 'End the room' }).click();
		await host.getByRole('button', { name: 'Yes, end it' }).click();
		await Promise.all(listeners.map((page) => page.getByText('This room has ended. Thank you for listening.').waitFor()));
		await host.getByText('The room has ended. Thank you.').waitFor();
	});
});
