// What listeners give back and get to read, at one node: tokens of guests, reactions, captions, reports.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AudienceFeed } from '../support/audience-feed.ts';
import { until } from '../support/cluster/until.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';

interface Guest { token: string; subject: string; name: string; expiresAt: string }
interface Problem { code: string; reason?: string }

const PER_PERSON = 6;
const dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-audience-'));
let server: RostrumProcess;
const start = (mediaPort: number) =>
	RostrumProcess.start({ mediaPort, dataDir, env: { ROSTRUM_AUDIENCE_REACTIONS_PER_PERSON: String(PER_PERSON), ROSTRUM_AUDIENCE_REACTIONS: '👏,❤️', ROSTRUM_ROOMS_DEMO: 'false' } });

beforeAll(async () => {
	server = await start(24_800);
	await server.room({ id: 'hall' });
	await server.room({ id: 'closed', visibility: 'private' });
	await server.room({ id: 'early' }, 'scheduled');
});
afterAll(async () => {
	await server?.stop('SIGKILL');
	rmSync(dataDir, { recursive: true, force: true });
});

const guest = (name?: string, token: string | null = null, room = 'hall') => server.call('POST', `/v1/rooms/${room}/guests`, name === undefined ? undefined : { name }, token);
const aGuest = async (name?: string): Promise<Guest> => (await (await guest(name)).json()) as Guest;
const codeOf = async (response: Response): Promise<string> => ((await response.json()) as Problem).code;
const react = (token: string | null, reaction = '👏', room = 'hall') => server.call('POST', `/v1/rooms/${room}/reactions`, { reaction }, token);
const caption = (body: object, token?: string | null, room = 'hall') => server.call('POST', `/v1/rooms/${room}/captions`, body, token);

describe('a guest', () => {
	it('is anonymous, or has a name, and stays the same guest under another one', async () => {
		const nobody = await aGuest();
		expect(nobody).toMatchObject({ name: '', subject: expect.stringMatching(/^guest-/) });
		const named = (await (await guest('  Nour\n ', nobody.token)).json()) as Guest;
		expect(named).toMatchObject({ name: 'Nour', subject: nobody.subject });
		expect((await aGuest('Omar')).subject).not.toBe(nobody.subject);
	});

	it('is a listener and no more', async () => {
		const { token } = await aGuest('Nour');
		expect((await caption({ text: 'x' }, token)).status).toBe(403);
		expect((await server.call('GET', '/v1/rooms/closed', undefined, token)).status).toBe(403);
	});

	it('is for public rooms that have not ended', async () => {
		expect(await codeOf(await guest('Nour', null, 'closed'))).toBe('forbidden');
		expect(await codeOf(await guest('Nour', null, 'nowhere'))).toBe('room_not_found');
		await server.room({ id: 'over' });
		await server.json('POST', '/v1/rooms/over/end');
		expect(await codeOf(await guest('Nour', null, 'over'))).toBe('room_ended');
		expect((await guest('x'.repeat(61))).status).toBe(400);
	});

	it('has no power over a subject that is not a guest’s', async () => {
		const { token } = await server.token('hall', 'listener', 'Hana', { subject: 'hana' });
		expect(((await (await guest('Mallory', token)).json()) as Guest).subject).toMatch(/^guest-/);
	});
});

describe('reactions', () => {
	it('are counted and told as sums, to newcomers too', async () => {
		const feed = await AudienceFeed.open(server.url, 'hall');
		await until('the reader knows what may be given', 5_000, async () => Object.keys(feed.counts).join() === '👏,❤️');
		const { token } = await aGuest();
		for (let n = 0; n < 3; n++) expect((await react(token)).status).toBe(202);
		expect((await react(token, '❤️')).status).toBe(202);
		await until('all are told', 5_000, async () => feed.counts['👏'] === 3 && feed.counts['❤️'] === 1);
		const late = await AudienceFeed.open(server.url, 'hall');
		await until('a newcomer is told', 5_000, async () => late.counts['👏'] === 3);
		feed.close();
		late.close();
	});

	it('are told at most once a second, whatever comes in', async () => {
		await server.room({ id: 'loud' });
		const feed = await AudienceFeed.open(server.url, 'loud');
		const guests = await Promise.all(Array.from({ length: 5 }, async () => (await (await guest('', null, 'loud')).json()) as Guest));
		for (let round = 0; round < PER_PERSON; round++) {
			for (const { token } of guests) expect((await react(token, '👏', 'loud')).status).toBe(202);
			await new Promise((resolve) => setTimeout(resolve, 300));
		}
		await until('all are told', 5_000, async () => feed.counts['👏'] === 5 * PER_PERSON);
		const gaps = feed.told.reactions.slice(1).map(({ atMs }, index) => atMs - (feed.told.reactions[index]?.atMs ?? 0));
		// The first one after the snapshot comes at once. Timers are some milliseconds early or late.
		expect(Math.min(...gaps.slice(1))).toBeGreaterThan(800);
		feed.close();
	});

	it('need a token, a known one of them, and restraint', async () => {
		expect(await codeOf(await react(null))).toBe('token_required');
		const { token } = await aGuest();
		expect(await codeOf(await react(token, '💣'))).toBe('invalid_request');
		for (let n = 0; n < PER_PERSON - 1; n++) expect((await react(token)).status).toBe(202);
		const refused = await react(token);
		expect(refused.status).toBe(429);
		expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
		expect((await react((await aGuest()).token)).status).toBe(202);
	});

	it('wait for the doors', async () => {
		const { token } = (await (await guest('', null, 'early')).json()) as Guest;
		expect(await codeOf(await react(token, '👏', 'early'))).toBe('room_not_open');
	});
});

describe('captions', () => {
	it('reach readers soon: first guesses, then the final line; newcomers get the last ones', async () => {
		const { token } = await server.token('hall', 'cohost', 'Captioner');
		const feed = await AudienceFeed.open(server.url, 'hall');
		const startedAtMs = performance.now();
		expect((await caption({ text: 'Good', final: false, speaker: 'Hana' }, token)).status).toBe(202);
		await until('the guess is read', 5_000, async () => feed.lines.join() === 'Good');
		expect((feed.told.captions.at(-1)?.atMs ?? Infinity) - startedAtMs).toBeLessThan(1_000);
		const kept = await server.json('POST', '/v1/rooms/hall/captions', { text: 'Good evening.', speaker: 'Hana', language: 'en' }, token);
		expect(kept).toMatchObject({ text: 'Good evening.', speaker: 'Hana', language: 'en', final: true });
		await server.json('POST', '/v1/rooms/hall/captions', { text: 'مساء الخير.', language: 'ar' }, token);
		await until('both lines are read', 5_000, async () => feed.lines.includes('Good evening.') && feed.lines.includes('مساء الخير.'));
		const late = await AudienceFeed.open(server.url, 'hall');
		await until('a newcomer reads them', 5_000, async () => late.lines.includes('مساء الخير.'));
		feed.close();
		late.close();
	});

	it.each([
		['without text', {}],
		['with blank text', { text: ' \n' }],
		['too long', { text: 'x'.repeat(1_001) }],
		['in no language', { text: 'x', language: 'not a language' }],
		['at no time', { text: 'x', at: 'yesterday' }],
		['with more', { text: 'x', html: '<b>' }],
	])('are refused %s', async (_, body) => {
		expect((await caption(body)).status).toBe(400);
	});

	it('are for those who may write them', async () => {
		const { token } = await server.token('hall', 'speaker', 'Speaker');
		expect(await codeOf(await caption({ text: 'x' }, token))).toBe('forbidden');
		expect(await codeOf(await caption({ text: 'x' }, null))).toBe('token_required');
		expect(await codeOf(await caption({ text: 'x' }, undefined, 'early'))).toBe('room_not_open');
	});
});

describe('reports', () => {
	const reports = async (query = '') => (await server.json<{ reports: { room: string; kind: string; text?: string; by?: { name: string } }[] }>('GET', `/v1/admin/reports${query}`)).reports;

	it('are read by admins, latest first, and survive the process', async () => {
		expect((await server.call('POST', '/v1/rooms/hall/reports', { kind: 'audio' }, null)).status).toBe(202);
		const { token } = await aGuest('Nour');
		expect((await server.call('POST', '/v1/rooms/hall/reports', { kind: 'content', text: ' It is not nice. ' }, token)).status).toBe(202);
		const [latest, first] = await reports('?room=hall');
		expect(latest).toMatchObject({ room: 'hall', kind: 'content', text: 'It is not nice.', by: { name: 'Nour' } });
		expect(first).toEqual({ id: expect.any(String), room: 'hall', kind: 'audio', at: expect.any(String), node: expect.any(String) });
		expect(await reports('?room=loud')).toEqual([]);
		expect(server.logLines.filter(({ msg }) => msg === 'somebody reported a problem with a room')).toHaveLength(2);
		expect(JSON.stringify(server.logLines)).not.toContain('not nice');
		await server.stop('SIGKILL');
		server = await start(24_900);
		expect((await reports()).map(({ kind }) => kind)).toEqual(['content', 'audio']);
	});

	it('are for those who may listen, a few each, and nobody but admins reads them', async () => {
		expect(await codeOf(await server.call('POST', '/v1/rooms/closed/reports', { kind: 'audio' }, null))).toBe('token_required');
		expect((await server.call('POST', '/v1/rooms/hall/reports', { kind: 'noise' }, null)).status).toBe(400);
		const { token } = await aGuest();
		const statuses: number[] = [];
		for (let n = 0; n < 6; n++) statuses.push((await server.call('POST', '/v1/rooms/hall/reports', { kind: 'other' }, token)).status);
		expect(statuses).toEqual([202, 202, 202, 202, 202, 429]);
		expect((await server.call('GET', '/v1/admin/reports', undefined, token)).status).toBe(403);
	});
});
