import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { ForeignSite } from '../support/browser/foreign-site.ts';
import type { HandMadeWhep } from '../support/browser/foreign-whep-client.ts';
import { joinStage, person } from '../support/browser/people.ts';
import { heard, hearsSound, longestGapMs } from '../support/browser/probe.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { HOST_TEXT, speechWav } from '../support/speech/wav.ts';

/** The energy of one second of speech or two. */
const SOME_SPEECH = 0.5;

interface Foreign {
	foreign: HandMadeWhep;
}

/** A client written by hand, in a page of another site. */
class Listener {
	readonly page: Page;
	readonly whep: HandMadeWhep;

	static async arrive(browser: Browser, site: ForeignSite): Promise<Listener> {
		const page = await person(browser);
		await page.goto(site.url);
		await page.waitForFunction(() => 'foreign' in globalThis);
		return new Listener(page);
	}

	private constructor(page: Page) {
		this.page = page;
		this.whep = {
			join: (url, tcpOnly) => page.evaluate(([url, tcpOnly]) => (globalThis as unknown as Foreign).foreign.join(url, tcpOnly), [url, tcpOnly] as const),
			trickle: () => page.evaluate(() => (globalThis as unknown as Foreign).foreign.trickle()),
			restart: (pathAlso) => page.evaluate((pathAlso) => (globalThis as unknown as Foreign).foreign.restart(pathAlso), pathAlso),
			leave: () => page.evaluate(() => (globalThis as unknown as Foreign).foreign.leave()),
			path: () => page.evaluate(() => (globalThis as unknown as Foreign).foreign.path()),
		};
	}
}

describe('a WHEP session by hand: ICE-TCP, trickle, restart, end', () => {
	let server: RostrumProcess;
	let site: ForeignSite;
	let browser: Browser | undefined;
	let overTcp: Listener;
	let overUdp: Listener;
	let sessionUrl = '';
	let etag = '';
	const room = 'by-hand';
	const listenUrl = () => `${server.url}/v1/rooms/${room}/listen`;
	const listenerCount = async () => (await server.json<{ listenerCount: number }>('GET', `/v1/rooms/${room}`)).listenerCount;

	beforeAll(async () => {
		[server, site, browser] = await Promise.all([
			RostrumProcess.start({ mediaPort: 27_200 }),
			ForeignSite.serve('foreign-whep-client.ts'),
			launchChromium({ microphone: speechWav({ voice: 'alto', text: HOST_TEXT }) }),
		]);
		await server.room({ id: room, title: 'By hand' });
		await joinStage(await person(browser), (await server.token(room, 'speaker', 'Sami')).url);
	}, 60_000);
	afterAll(async () => {
		await closeAll(browser);
		site?.close();
		await server?.stop();
	});

	it('tells pages of any origin what they may send and read', async () => {
		const origin = new URL(site.url).origin;
		for (const [path, method, header] of [
			[`/v1/rooms/${room}/listen`, 'POST', 'content-type'],
			[`/v1/rooms/${room}/publish`, 'POST', 'authorization,content-type'],
			['/v1/sessions/any', 'PATCH', 'content-type,if-match'],
			['/v1/sessions/any', 'DELETE', 'authorization'],
		] as const) {
			const response = await fetch(new URL(path, server.url), {
				method: 'OPTIONS',
				headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': header },
			});
			expect(response.status, path).toBe(204);
			expect(response.headers.get('access-control-allow-origin')).toBe('*');
			expect(response.headers.get('access-control-allow-methods')).toContain(method);
			const allowed = response.headers.get('access-control-allow-headers')?.toLowerCase().split(/, */);
			expect(allowed).toEqual(expect.arrayContaining(header.split(',')));
		}
		const discovery = await fetch(listenUrl(), { method: 'OPTIONS', headers: { origin } });
		expect(discovery.status).toBe(204);
		expect(discovery.headers.get('accept-post')).toBe('application/sdp');
	});

	it('plays over TCP where UDP does not pass', async () => {
		overTcp = await Listener.arrive(browser as Browser, site);
		const asked = Date.now();
		const joined = await overTcp.whep.join(listenUrl(), true);
		expect(joined.patchable).toBe('application/trickle-ice-sdpfrag');
		await expect.poll(async () => (await heard(overTcp.page)).packets, { interval: 10, timeout: 10_000 }).toBeGreaterThan(0);
		const packetMs = Date.now() - asked;
		await hearsSound(overTcp.page);
		const soundMs = Date.now() - asked;
		await hearsSound(overTcp.page, SOME_SPEECH);
		expect(await overTcp.whep.path()).toMatchObject({ protocol: 'tcp', dtls: 'connected' });
		const { lost, jitterBufferMs } = await heard(overTcp.page);
		expect(lost).toBe(0);
		console.log(`over TCP: first packet after ${packetMs} ms, speech after ${soundMs} ms, jitter buffer ${jitterBufferMs} ms`);
	});

	it('takes trickled candidates, and only for the version of the session they are for', async () => {
		overUdp = await Listener.arrive(browser as Browser, site);
		const joined = await overUdp.whep.join(listenUrl(), false);
		({ sessionUrl } = joined);
		etag = joined.etag ?? '';
		expect(etag).toMatch(/^"[^"]+"$/);
		const statuses = await overUdp.whep.trickle();
		// One at least for a candidate, and one for their end.
		expect(statuses.length).toBeGreaterThan(1);
		expect(new Set(statuses)).toEqual(new Set([204]));
		await hearsSound(overUdp.page);
		expect(await overUdp.whep.path()).toMatchObject({ protocol: 'udp', dtls: 'connected' });
		const stale = await fetch(sessionUrl, {
			method: 'PATCH',
			headers: { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '"another"' },
			body: 'a=end-of-candidates\r\n',
		});
		expect(stale.status).toBe(412);
	});

	it('restarts ICE: new credentials, the same session, nothing lost', async () => {
		const before = await heard(overUdp.page);
		const restarted = await overUdp.whep.restart(false);
		const restartedAtMs = Date.now();
		expect(restarted.ufrag.new).not.toBe(restarted.ufrag.old);
		expect(restarted.etag).toMatch(/^"[^"]+"$/);
		expect(restarted.etag).not.toBe(etag);
		// While both pairs work, which one it sends along is the browser's own choice (mostly the new one within 300 ms);
		// that the new credentials are good, the next test shows, where only they can.
		expect((await overUdp.whep.path()).dtls).toBe('connected');
		await hearsSound(overUdp.page, SOME_SPEECH);
		const now = await heard(overUdp.page);
		expect(now.sessions).toBe(1);
		expect(now.packets).toBeGreaterThan(before.packets);
		const gapMs = await longestGapMs(overUdp.page, restartedAtMs - 300, Date.now() - 200);
		console.log(`longest silence around the restart, pauses between words included: ${gapMs} ms; ${now.lost - before.lost} packets lost, ${now.concealed - before.concealed} samples concealed`);
		expect(now.lost).toBe(before.lost);

		// What was meant for the session before the restart comes too late.
		const late = await fetch(sessionUrl, {
			method: 'PATCH',
			headers: { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': etag },
			body: 'a=end-of-candidates\r\n',
		});
		expect(late.status).toBe(412);
	});

	it('restarts ICE onto another path: from TCP to UDP within the session', async () => {
		const before = await heard(overTcp.page);
		const { ufrag } = await overTcp.whep.restart(true);
		const restartedAtMs = Date.now();
		await expect.poll(() => overTcp.whep.path(), { timeout: 10_000 }).toMatchObject({ protocol: 'udp', remoteUfrag: ufrag.new, dtls: 'connected' });
		console.log('from TCP to UDP', Date.now() - restartedAtMs, 'ms after the answer to the restart');
		await hearsSound(overTcp.page, SOME_SPEECH);
		const now = await heard(overTcp.page);
		console.log(`over the change of path: ${now.lost - before.lost} packets lost, ${now.concealed - before.concealed} samples concealed`);
		expect(now.sessions).toBe(1);
	});

	it('ends by DELETE, on the server too: the connection closes and the count falls', async () => {
		await expect.poll(listenerCount, { timeout: 10_000 }).toBe(2);
		expect(await overUdp.whep.leave()).toBe(200);
		const left = Date.now();
		await expect.poll(async () => (await overUdp.whep.path()).dtls, { timeout: 10_000 }).toBe('closed');
		console.log('the client knows of its end', Date.now() - left, 'ms after the answer to DELETE');
		await expect.poll(listenerCount, { timeout: 10_000 }).toBe(1);
		expect(await overUdp.whep.leave()).toBe(404);
		expect((await fetch(sessionUrl, { method: 'PATCH', headers: { 'content-type': 'application/trickle-ice-sdpfrag' }, body: 'a=end-of-candidates\r\n' })).status).toBe(404);
		await hearsSound(overTcp.page);
	});
});
