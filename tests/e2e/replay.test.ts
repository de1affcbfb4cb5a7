// Recording from the host's page, with everybody told, and the replay: it plays, and its chapters are who spoke.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { graveFindings } from '../support/browser/axe.ts';
import { closeAll, LANGUAGES, launchChromium, VIEWS } from '../support/browser/chromium.ts';
import { joinStage, person } from '../support/browser/people.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { type Replay, replaysOf, speakIn, whenReady } from '../support/recording/replay.ts';
import type { RtcSpeaker } from '../support/rtc/speaker.ts';
import { tone } from '../support/speech/speech.ts';

const ROOM = 'evening';
const PICTURES = path.resolve(import.meta.dirname, '../.out/pictures');
const LOW = 440;
const HIGH = 1_000;

/** The strongest frequency that the page plays, in Hz; 0 for silence. */
const heardHz = (page: Page): Promise<number> =>
	page.evaluate(async () => {
		const audio = document.querySelector('audio') as HTMLAudioElement & { captureStream(): MediaStream };
		const context = new AudioContext({ sampleRate: 48_000 });
		const analyser = new AnalyserNode(context, { fftSize: 8_192 });
		context.createMediaStreamSource(audio.captureStream()).connect(analyser);
		await new Promise((resolve) => setTimeout(resolve, 600)); // A window of the analyser is to be filled.
		const strengths = new Float32Array(analyser.frequencyBinCount);
		analyser.getFloatFrequencyData(strengths);
		const strongest = strengths.indexOf(Math.max(...strengths));
		await context.close();
		return (strengths[strongest] ?? -Infinity) < -60 ? 0 : Math.round((strongest * 48_000) / 8_192);
	});
const secondsOf = (page: Page): Promise<number> => page.evaluate(() => document.querySelector('audio')?.currentTime ?? 0);
const paused = (page: Page): Promise<boolean> => page.evaluate(() => document.querySelector('audio')?.paused ?? true);

describe('the replay', () => {
	let server: RostrumProcess;
	let browser: Browser;
	let replay: Replay;
	const errors: string[] = [];
	const speakers: RtcSpeaker[] = [];

	async function somebody(options = {}): Promise<Page> {
		const page = await person(browser, options);
		page.setDefaultTimeout(60_000);
		page.setDefaultNavigationTimeout(60_000);
		page.on('pageerror', (error) => errors.push(error.message));
		page.on('console', (message) => {
			if (message.type() === 'error') errors.push(message.text());
		});
		return page;
	}

	beforeAll(async () => {
		mkdirSync(PICTURES, { recursive: true });
		[server, browser] = await Promise.all([RostrumProcess.start({ mediaPort: 32_100 }), launchChromium()]);
		await server.room({ id: ROOM, title: 'An evening of two' });
		const [[low, high], ann, ben] = [await Promise.all([tone(LOW, 60), tone(HIGH, 60)]), await speakIn(server, ROOM, 'Ann'), await speakIn(server, ROOM, 'Ben')];
		speakers.push(ann, ben);
		ben.silence();
		const { id } = await server.json<{ id: string }>('POST', `/v1/rooms/${ROOM}/recordings`);
		await server.waitForLog(({ msg }) => msg === 'a part of a recording begins');
		ann.talk(low);
		await new Promise((resolve) => setTimeout(resolve, 10_000)); // So long Ann speaks,
		ann.silence();
		await server.json('POST', `/v1/rooms/${ROOM}/captions`, { text: 'And now for something higher', speaker: 'Ben' });
		ben.talk(high);
		await new Promise((resolve) => setTimeout(resolve, 10_000)); // and so long Ben.
		ben.silence();
		await server.json('POST', `/v1/rooms/${ROOM}/recordings/${id}/stop`);
		replay = await whenReady(server, ROOM, id);
	}, 120_000);
	afterAll(async () => {
		for (const speaker of speakers) {
			speaker.close();
		}
		await closeAll(browser);
		await server?.stop();
	});

	it('plays, and each chapter is the voice of whom it names', async () => {
		expect(replay.chapters.map(({ name }) => name)).toEqual(['Ann', 'Ben']);
		const page = await somebody();
		await page.goto(`${server.url}/r/${ROOM}/replay`);
		await page.getByRole('heading', { name: 'An evening of two' }).waitFor();
		const chapters = page.getByRole('region', { name: 'Chapters' }).getByRole('button');
		expect(await chapters.allInnerTexts()).toEqual([expect.stringMatching(/Ann$/), expect.stringMatching(/Ben$/)]);
		await chapters.nth(1).click();
		await page.getByText(/Ben.? speaks/).waitFor();
		await page.waitForFunction((at) => (document.querySelector('audio')?.currentTime ?? 0) > at + 1.5, (replay.chapters[1]?.startMs ?? 0) / 1_000);
		expect(await chapters.nth(1).getAttribute('aria-current')).toBe('true');
		expect(Math.abs((await heardHz(page)) - HIGH)).toBeLessThan(30);
		await page.getByText('Ben: And now for something higher').first().waitFor();
		await chapters.nth(0).click();
		await page.getByText(/Ann.? speaks/).waitFor();
		await page.waitForFunction((at) => (document.querySelector('audio')?.currentTime ?? 0) > at + 1, (replay.chapters[0]?.startMs ?? 0) / 1_000);
		expect(Math.abs((await heardHz(page)) - LOW)).toBeLessThan(30);
		await page.getByRole('region', { name: 'Captions' }).getByRole('button').first().click();
		await page.waitForFunction(() => (document.querySelector('audio')?.currentTime ?? 0) > 9);
		await page.context().close();
	});

	it('goes by keys alone, and says where it is', async () => {
		const page = await somebody();
		await page.goto(`${server.url}/r/${ROOM}/replay`);
		await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
		await page.waitForFunction(() => (document.querySelector('audio')?.readyState ?? 0) >= 1);
		await page.keyboard.press('k');
		await page.waitForFunction(() => (document.querySelector('audio')?.currentTime ?? 0) > 0.5);
		await page.keyboard.press('k');
		await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
		expect(await paused(page)).toBe(true);
		await page.keyboard.press('l');
		await page.waitForFunction(() => (document.querySelector('audio')?.currentTime ?? 0) > 14);
		await page.keyboard.press('j');
		await page.waitForFunction(() => (document.querySelector('audio')?.currentTime ?? 99) < 3);
		await page.getByRole('slider', { name: 'Place in the replay' }).focus();
		const before = await secondsOf(page);
		await page.keyboard.press('ArrowRight');
		await page.waitForFunction((at) => (document.querySelector('audio')?.currentTime ?? 0) > at, before);
		expect(await page.getByRole('slider', { name: 'Place in the replay' }).getAttribute('aria-valuetext')).toMatch(/^\u2068?0:0\d\u2069? of \u2068?0:[12]\d\u2069?$/);
		await page.getByRole('combobox', { name: 'Speed' }).selectOption('1.5');
		expect(await page.evaluate(() => document.querySelector('audio')?.playbackRate)).toBe(1.5);
		await page.context().close();
	});

	it('says so where there is none, and asks for a link where the room is private', async () => {
		const page = await somebody();
		await server.room({ id: 'nothing' });
		await page.goto(`${server.url}/r/nothing/replay`);
		await page.getByText('There is no recording of this room.').waitFor();
		errors.splice(0);
		await server.room({ id: 'closed', visibility: 'private' });
		await page.goto(`${server.url}/r/closed/replay`);
		await page.getByText('This room is private.', { exact: false }).waitFor();
		errors.splice(0); // The browser notes the refusal itself.
		const { token } = await server.token('closed', 'listener', 'Lou');
		await page.goto('about:blank');
		await page.goto(`${server.url}/r/closed/replay#token=${token}`);
		await page.getByText('There is no recording of this room.').waitFor();
		await page.context().close();
	});

	for (const view of VIEWS) {
		for (const language of LANGUAGES) {
			it(`is in order on a ${view.name} in ${language}`, async () => {
				const { name, ...options } = view;
				const page = await somebody({ ...options, locale: language });
				await page.goto(`${server.url}/r/${ROOM}/replay?lang=${language}`);
				await page.locator('.replay-chapters button').nth(1).click();
				await page.waitForFunction(() => (document.querySelector('audio')?.currentTime ?? 0) > 11);
				expect(await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth + 1)).toBe(false);
				expect(await graveFindings(page)).toEqual([]);
				await page.screenshot({ path: path.join(PICTURES, `replay-${name}-${language}.png`), fullPage: true });
				await page.context().close();
			});
		}
	}

	it('is recorded from the host’s page, and everybody is told: on stage, before it, and who listens', async () => {
		const told = 'This room is being recorded.';
		await server.room({ id: 'hosted' });
		const [host, guest] = [await somebody(), await somebody()];
		await joinStage(host, (await server.token('hosted', 'host', 'Hana')).url);
		await guest.goto(`${server.url}/r/hosted`);
		await host.getByRole('button', { name: 'Record', exact: true }).click();
		await host.getByText(told).first().waitFor();
		await guest.getByText(told).waitFor();
		await guest.goto((await server.token('hosted', 'speaker', 'Gus')).url);
		await guest.getByText('What you say on stage is kept, and can be heard afterwards.', { exact: false }).waitFor();
		await host.getByRole('button', { name: 'Stop recording' }).click();
		await host.getByRole('dialog').getByRole('button', { name: 'Stop recording' }).click();
		await host.getByRole('button', { name: 'Record', exact: true }).waitFor();
		expect((await replaysOf(server, 'hosted'))[0]?.state).not.toBe('recording');
		await Promise.all([host, guest].map((page) => page.context().close()));
	});

	it('nothing goes wrong in the pages', () => {
		expect(errors).toEqual([]);
	});
});
