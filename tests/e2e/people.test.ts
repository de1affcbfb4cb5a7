// A listener's way on stage and back, in real browsers and with real sound.
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureAudible, NO_STALL_MS, startMeasuring, stopMeasuring, tolerableGapMs, UNHEARD_MS } from '../support/browser/audible.ts';
import { participantIdOf } from '../../server/rooms/stage-roster.ts';
import { closeAll, LANGUAGES, launchChromium, VIEWS } from '../support/browser/chromium.ts';
import { joinStage, listenTo, person } from '../support/browser/people.ts';
import { hearsSound, spurtsHeard } from '../support/browser/probe.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { tone } from '../support/speech/speech.ts';
import { CANDIDATE_TEXT, HOST_TEXT, speechWav } from '../support/speech/wav.ts';

/** From a host's click to the first packets of the new speaker in another listener's ears. */
const ON_AIR_WITHIN_MS = 1_500;
/** For people to look at; the folder is not committed. */
const PICTURES = path.resolve(import.meta.dirname, '../.out/pictures');

describe('people on stage', () => {
	let server: RostrumProcess;
	let hostBrowser: Browser;
	let guestBrowser: Browser;
	let listenerBrowser: Browser;

	beforeAll(async () => {
		[server, hostBrowser, guestBrowser, listenerBrowser] = await Promise.all([
			RostrumProcess.start({ mediaPort: 27_000 }),
			launchChromium({ microphone: speechWav({ voice: 'alto', text: HOST_TEXT }) }),
			launchChromium({ microphone: speechWav({ voice: 'bass', text: CANDIDATE_TEXT }) }),
			launchChromium(),
		]);
	}, 120_000);
	afterAll(async () => {
		await closeAll(hostBrowser, guestBrowser, listenerBrowser);
		await server?.stop();
	});

	const onStage = (page: Page, name: RegExp | string) => page.locator('.stage .person', { hasText: name });
	const act = async (page: Page, name: RegExp | string, action: string) => {
		await onStage(page, name).locator('summary').click();
		await onStage(page, name).getByRole('button', { name: action }).click();
	};
	const host = async (room: string, name = 'Hana', role: 'host' | 'cohost' = 'host'): Promise<Page> => {
		const page = await person(hostBrowser);
		await joinStage(page, (await server.token(room, role, name)).url);
		return page;
	};
	/** A guest whose hand is up. */
	const raised = async (page: Page, room: string, name: string): Promise<void> => {
		await listenTo(page, `${server.url}/r/${room}`);
		await page.getByRole('button', { name: 'Raise your hand' }).click();
		await page.getByLabel('Your name').fill(name);
		await page.getByRole('button', { name: 'Raise your hand' }).click();
		await page.locator('[data-hand=up]').waitFor();
	};
	const hears = async (page: Page, number: number, sinceMs: number): Promise<number> => {
		for (;;) {
			const spurt = (await spurtsHeard(page)).find((one) => one.number === number && one.toMs >= sinceMs);
			if (spurt !== undefined) {
				return Math.max(spurt.fromMs, sinceMs) - sinceMs;
			}
			if (Date.now() - sinceMs > 15_000) {
				throw new Error(`speaker ${number} is not heard: ${JSON.stringify(await spurtsHeard(page))}`);
			}
			await page.waitForTimeout(20);
		}
	};
	const numberOf = async (page: Page, name: RegExp | string): Promise<number> => Number(await onStage(page, name).getAttribute('data-number'));

	it('a hand that goes up is seen by the host alone, with its place; taken up, it is on air within 1.5 s', async () => {
		await server.room({ id: 'hands', title: 'Questions' });
		const hana = await host('hands');
		const [listener, first, second] = [await person(listenerBrowser), await person(guestBrowser), await person(guestBrowser)];
		await listenTo(listener, `${server.url}/r/hands`);
		await raised(first, 'hands', 'Sami');
		await raised(second, 'hands', 'Noor');
		await first.locator('[data-position="1"]').waitFor();
		await second.locator('[data-position="2"]').waitFor();
		expect(await hana.locator('.hand .person-name').allTextContents()).toEqual(['Sami', 'Noor']);
		await hearsSound(listener);

		const clickedMs = Date.now();
		await hana.getByRole('button', { name: /^Bring .?Sami/ }).click();
		await onStage(hana, 'Sami').waitFor();
		const onAirMs = await hears(listener, await numberOf(hana, 'Sami'), clickedMs);
		console.log(`from the host's click to the first packet at another listener: ${onAirMs} ms`);
		expect(onAirMs).toBeLessThan(ON_AIR_WITHIN_MS);
		await first.locator('.air[data-media=ready]').waitFor();
		await first.getByText('You are on air', { exact: true }).waitFor();
		await second.locator('[data-position="1"]').waitFor({ timeout: 15_000 });
		await second.getByRole('button', { name: 'Lower your hand' }).click();
		await hana.getByText('No hand is up.').waitFor();
		await Promise.all([hana, listener, first, second].map((page) => page.context().close()));
	});

	it('an invitation is accepted: on air within 1.5 s of it; demoted, the listener hears the room without a gap', async () => {
		await server.room({ id: 'invited', title: 'Questions' });
		// A steady tone on stage, so that every gap can be measured.
		const { token } = await server.token('invited', 'speaker', 'Tone');
		const steady = await RtcSpeaker.publish(async (offer) => {
			const response = await fetch(new URL('/v1/rooms/invited/publish', server.url), { method: 'POST', headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` }, body: offer });
			return response.text();
		});
		steady.talk(await tone(440, 5));
		const hana = await host('invited');
		await hana.getByRole('button', { name: 'Mute', exact: true }).click();
		// What measures is no part of the page, and its policy knows nothing of it.
		const [listener, guest] = [await person(listenerBrowser), await person(guestBrowser, { bypassCSP: true })];
		await measureAudible(guest);
		await listenTo(listener, `${server.url}/r/invited`);
		await raised(guest, 'invited', 'Sami');
		await hearsSound(guest);
		await hana.getByRole('button', { name: /^Invite .?Sami/ }).click();
		const invitation = guest.getByRole('alertdialog', { name: /Hana.? invites you on stage/ });
		await invitation.waitFor();
		await hana.locator('.hand', { hasText: 'invited' }).waitFor();

		await startMeasuring(guest);
		const acceptedMs = Date.now();
		await invitation.getByRole('button', { name: 'Come on stage' }).click();
		await onStage(hana, 'Sami').waitFor();
		const onAirMs = await hears(listener, await numberOf(hana, 'Sami'), acceptedMs);
		console.log(`from accepting to the first packet at another listener: ${onAirMs} ms`);
		await guest.locator('.air[data-media=ready]').waitFor();
		await guest.waitForTimeout(1_500);
		const up = await stopMeasuring(guest);
		await startMeasuring(guest);
		await guest.waitForTimeout(500);
		await act(hana, 'Sami', 'Back to the listeners');
		await guest.getByText('You are back among the listeners. Thank you for speaking!').waitFor();
		await guest.waitForTimeout(1_500);
		const down = await stopMeasuring(guest);
		console.log(`going up: ${JSON.stringify(up)}; coming back: ${JSON.stringify(down)}`);
		// Nothing measured would be no gap, too.
		expect(up.measuredMs).toBeGreaterThan(1_500);
		expect(down.measuredMs).toBeGreaterThan(1_500);
		expect(up.handOverGapMs).toBeLessThan(tolerableGapMs(UNHEARD_MS, up));
		expect(down.handOverGapMs).toBeLessThan(tolerableGapMs(UNHEARD_MS, down));
		expect(Math.max(up.otherGapMs, down.otherGapMs)).toBeLessThan(NO_STALL_MS);
		expect(onAirMs).toBeLessThan(ON_AIR_WITHIN_MS);
		await guest.getByRole('button', { name: 'Raise your hand' }).waitFor();
		await hearsSound(guest);
		await onStage(hana, 'Sami').waitFor({ state: 'detached' });
		steady.close();
		await Promise.all([hana, listener, guest].map((page) => page.context().close()));
	});

	it('somebody whose hand is down is invited by the API, is told in a live region, accepts by keyboard and is on air', async () => {
		await server.room({ id: 'called', title: 'Questions' });
		const hana = await host('called');
		const [listener, sami] = [await person(listenerBrowser), await person(guestBrowser)];
		await listenTo(listener, `${server.url}/r/called`);
		const { url } = await server.token('called', 'listener', 'Sami', { subject: 'sami' });
		await listenTo(sami, url);
		await sami.locator('[data-hand=down]').waitFor();
		const invite = async (subject: string) => {
			const { token } = await server.token('called', 'host', 'Hana');
			expect((await server.call('POST', `/v1/rooms/called/participants/${participantIdOf('called', subject)}/invite`, undefined, token)).status).toBe(204);
		};
		const card = sami.getByRole('group', { name: /Hana.? invites you on stage/ });

		await invite('sami');
		await card.waitFor();
		await sami.locator('.hand-panel [aria-live=assertive]', { hasText: /Hana.? invites you on stage/ }).waitFor({ state: 'attached' });
		// Whatever the person is typing in keeps the keyboard, and nothing lies over the page.
		expect(await sami.evaluate(() => document.querySelector('dialog[open]'))).toBeNull();
		// A tab in the background has its title alone to say so.
		expect(await sami.title()).toMatch(/^.?Hana.? invites you on stage · Questions/);
		await card.getByRole('button', { name: 'Not now' }).focus();
		await sami.keyboard.press('Enter');
		await sami.locator('[data-hand=down]').waitFor();
		expect(await sami.title()).toMatch(/^Questions/);
		// The keyboard goes on where the card was.
		await sami.locator('.hand-panel:focus').waitFor();
		await sami.keyboard.press('Tab');
		await sami.locator('.hand-panel button:focus', { hasText: 'Raise your hand' }).waitFor();

		// What came while the page was away is there when it is back, before anything is pressed.
		await sami.goto('about:blank');
		await invite('sami');
		await sami.goto(url);
		await card.waitFor();
		await card.getByRole('button', { name: 'Come on stage' }).focus();
		const acceptedMs = Date.now();
		await sami.keyboard.press('Enter');
		await onStage(hana, 'Sami').waitFor();
		await sami.getByText('You are on air', { exact: true }).waitFor();
		await hears(listener, await numberOf(hana, 'Sami'), acceptedMs);
		await Promise.all([hana, listener, sami].map((page) => page.context().close()));
	});

	it('a guest who was on stage and is a listener again can be invited back, though the page came without a token', async () => {
		await server.room({ id: 'back', title: 'Questions' });
		const hana = await host('back');
		const sami = await person(guestBrowser);
		await raised(sami, 'back', 'Sami');
		await hana.getByRole('button', { name: /^Bring .?Sami/ }).click();
		await sami.getByText('You are on air', { exact: true }).waitFor();
		const { stage } = await server.json<{ stage: { id: string; name: string }[] }>('GET', '/v1/rooms/back');
		const samis = stage.find(({ name }) => name === 'Sami')?.id ?? '';
		await act(hana, 'Sami', 'Back to the listeners');
		await sami.getByText('You are back among the listeners. Thank you for speaking!').waitFor();
		await server.call('POST', `/v1/rooms/back/participants/${samis}/invite`, undefined, (await server.token('back', 'host', 'Hana')).token);
		await sami.getByRole('group', { name: /Hana.? invites you on stage/ }).getByRole('button', { name: 'Come on stage' }).click();
		await sami.getByText('You are on air', { exact: true }).waitFor();
		await Promise.all([hana, sami].map((page) => page.context().close()));
	});

	it('mute, and ask to unmute: the microphone is opened by its owner alone', async () => {
		await server.room({ id: 'muting', title: 'Questions' });
		const hana = await host('muting');
		const sami = await person(guestBrowser);
		await joinStage(sami, (await server.token('muting', 'speaker', 'Sami')).url);
		await hearsSound(hana);
		await act(hana, 'Sami', 'Mute');
		await sami.locator('.air[data-muted=true]').waitFor();
		await sami.getByText(/Hana.? muted you/).waitFor();
		const asked = sami.getByRole('alertdialog', { name: /Hana.? asks you to unmute/ });

		await act(hana, 'Sami', 'Ask to unmute');
		await asked.getByRole('button', { name: 'Stay muted' }).click();
		await asked.waitFor({ state: 'detached' });
		expect(await sami.locator('.air').getAttribute('data-muted')).toBe('true');

		await act(hana, 'Sami', 'Ask to unmute');
		await asked.getByRole('button', { name: 'Unmute' }).click();
		await sami.locator('.air[data-muted=false]').waitFor();
		await hearsSound(hana);
		await onStage(hana, 'Sami').getByText('muted').waitFor({ state: 'detached' });
		await Promise.all([hana, sami].map((page) => page.context().close()));
	});

	it('whoever is kicked listens on and needs a new hand; whoever is banned is told so, and does not come back', async () => {
		await server.room({ id: 'order', title: 'Questions' });
		const hana = await host('order');
		const { url } = await server.token('order', 'listener', 'Sami');
		const sami = await person(guestBrowser);
		const raise = async () => {
			await sami.getByRole('button', { name: 'Raise your hand' }).click();
			await hana.getByRole('button', { name: /^Bring .?Sami/ }).click();
			await sami.getByText('You are on air', { exact: true }).waitFor();
		};
		await listenTo(sami, url);
		await raise();
		await act(hana, 'Sami', 'Take off stage');
		await hana.getByRole('dialog').getByRole('button', { name: 'Take off stage' }).click();
		await sami.getByText('A host has taken you off the stage. You can go on listening.').waitFor();
		await onStage(hana, 'Sami').waitFor({ state: 'detached' });
		await sami.locator('[data-state=playing]').waitFor();
		await hearsSound(sami);

		await raise();
		await act(hana, 'Sami', 'Ban from the room');
		await hana.getByRole('dialog').getByRole('button', { name: 'Yes, ban' }).click();
		await sami.getByRole('heading', { name: 'You have been banned from this room.' }).waitFor();
		await onStage(hana, 'Sami').waitFor({ state: 'detached' });
		await sami.reload();
		await sami.getByRole('heading', { name: 'You have been banned from this room.' }).waitFor();
		expect(await sami.evaluate(() => (globalThis as unknown as { rostrumPeers: unknown[] }).rostrumPeers.length)).toBe(0);
		await Promise.all([hana, sami].map((page) => page.context().close()));
	});

	it('a host who vanishes is followed by the co-host, with all powers', async () => {
		await server.room({ id: 'vanishing', title: 'Questions' });
		const hana = await host('vanishing');
		const noor = await host('vanishing', 'Noor', 'cohost');
		await onStage(noor, 'Hana').waitFor();
		expect(await noor.getByRole('button', { name: 'End the room' }).count()).toBe(0);
		// Not a word of goodbye.
		await hana.context().close();
		await noor.getByRole('button', { name: 'End the room' }).waitFor({ timeout: 30_000 });
		await onStage(noor, 'Hana').waitFor({ state: 'detached' });
		await noor.getByRole('button', { name: 'Lock the stage' }).click();
		await noor.getByText('Locked: nobody new comes on stage.').waitFor();
		await noor.getByRole('button', { name: 'End the room' }).click();
		await noor.getByRole('button', { name: 'Yes, end it' }).click();
		await noor.getByText('The room has ended. Thank you.').waitFor();
		await noor.context().close();
	});

	const views = VIEWS.flatMap((view) => LANGUAGES.map((language) => ({ view, language, name: view.name })));
	it.each(views)('all of it can be seen, read and pressed on $name in $language', async ({ view, language }) => {
		mkdirSync(PICTURES, { recursive: true });
		const room = `seen-${view.name}-${language}`;
		await server.room({ id: room, title: 'The announcement', description: 'What we want to do for this town, and how.' });
		const as = { viewport: view.viewport, isMobile: view.isMobile, deviceScaleFactor: view.deviceScaleFactor, locale: language === 'ar' ? 'ar-EG' : 'en-GB', colorScheme: view.isMobile ? ('dark' as const) : ('light' as const) };
		const look = async (page: Page, name: string) => {
			const file = path.join(PICTURES, `people-${name}-${view.name}-${language}.png`);
			await page.screenshot({ path: file, fullPage: true });
			expect(statSync(file).size).toBeGreaterThan(5_000);
			expect(await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth + 1), `${name} overflows`).toBe(false);
			const small = await page.evaluate(() =>
				[...document.querySelectorAll('button:not(.link-button), summary, select')].filter((element) => element.getBoundingClientRect().height > 0 && element.getBoundingClientRect().height < 40).map(({ outerHTML }) => outerHTML.slice(0, 120)),
			);
			expect(small, name).toEqual([]);
		};
		const hana = await person(hostBrowser, as);
		const hands = hana.locator('.hand');
		await hana.goto((await server.token(room, 'host', 'Hana')).url);
		await hana.locator('main button').first().click();
		await hana.locator('.level').waitFor();
		await hana.locator('.prepare .button').last().click();
		await hana.locator('.hands').waitFor();

		const sami = await person(guestBrowser, as);
		await sami.goto(`${server.url}/r/${room}`);
		await sami.locator('.listen-button').click();
		await sami.locator('[data-hand=down]').waitFor();
		await look(sami, 'hand-down');
		await sami.locator('.hand-panel .button').click();
		await look(sami, 'hand-naming');
		await sami.locator('.hand-name input').fill(language === 'ar' ? 'سامي' : 'Sami');
		await sami.locator('.hand-name input').press('Enter');
		await sami.locator('[data-hand=up]').waitFor();
		await look(sami, 'hand-up');
		// Three more hands, of people whom nobody sees.
		for (const name of ['Noor', 'Omar', 'Zaynab bint Ali al-Kathiri']) {
			const { token } = await server.token(room, 'listener', name);
			expect((await server.call('POST', `/v1/rooms/${room}/hand`, { raised: true }, token)).status).toBe(200);
		}
		await hands.nth(3).waitFor();
		await hands.first().locator('.button').nth(1).click();
		await sami.getByRole('alertdialog').waitFor();
		await look(sami, 'invited');
		// By keyboard alone: out of the way, and back.
		await sami.keyboard.press('Escape');
		await sami.getByRole('alertdialog').waitFor({ state: 'detached' });
		await look(sami, 'invited-aside');
		await look(hana, 'hands');
		await sami.locator('.invited .button').first().press('Enter');
		await sami.locator('.air.is-on-air').waitFor();
		await look(sami, 'on-air');

		const people = hana.locator('.stage .person');
		await people.nth(1).waitFor();
		await people.nth(1).locator('summary').press('Enter');
		await look(hana, 'actions');
		await people.nth(1).locator('.menu-item').first().press('Enter');
		await sami.locator('.air[data-muted=true]').waitFor();
		await people.nth(1).locator('summary').press('Enter');
		await people.nth(1).locator('.menu-item').first().press('Enter');
		await sami.getByRole('alertdialog').waitFor();
		await look(sami, 'unmute-asked');
		await sami.keyboard.press('Escape');
		await people.nth(1).locator('summary').click();
		await people.nth(1).locator('.menu-item.is-grave').last().click();
		await hana.getByRole('dialog').waitFor();
		await look(hana, 'ban-asked');
		await hana.getByRole('dialog').locator('.strong').click();
		await sami.locator('.page-message h1').waitFor();
		await look(sami, 'banned');
		await Promise.all([hana, sami].map((page) => page.context().close()));
	});
});
