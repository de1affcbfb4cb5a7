import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Room } from '../../server/rooms/room.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { StageClient } from '../support/stage-client.ts';

const WARNING_MS = 3_000;

type Seen = Room & { cancelled?: true };

/** What listeners' pages are told of a room, as it comes. */
async function* roomEvents(url: string, signal: AbortSignal): AsyncGenerator<Partial<Seen>> {
	const response = await fetch(url, { signal, headers: { accept: 'text/event-stream' } });
	let text = '';
	for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
		text += chunk;
		const blocks = text.split('\n\n');
		text = blocks.pop() ?? '';
		for (const block of blocks) {
			const name = /^event: (.*)$/m.exec(block)?.[1];
			const data = /^data: (.*)$/m.exec(block)?.[1];
			if ((name === 'room' || name === 'snapshot') && data !== undefined) {
				const parsed = JSON.parse(data) as { room?: Partial<Seen> };
				yield parsed.room ?? (parsed as Partial<Seen>);
			}
		}
	}
}

describe('a room with an end', () => {
	let dataDir: string;
	let server: RostrumProcess;
	const start = () => RostrumProcess.start({ mediaPort: 23_500, dataDir, env: { ROSTRUM_DOORS_END_WARNING_MS: String(WARNING_MS), ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_LISTENER_SHARDS: '1' } });
	const read = (id: string) => server.json<Seen>('GET', `/v1/rooms/${id}`);
	const soon = (ms: number) => new Date(Date.now() + ms).toISOString();
	let listening = new AbortController();

	/** The first thing listeners are told that fits. */
	const told = async (id: string, fits: (room: Partial<Seen>) => boolean): Promise<Partial<Seen>> => {
		for await (const room of roomEvents(`${server.url}/v1/rooms/${id}/events`, listening.signal)) {
			if (fits(room)) return room;
		}
		throw new Error('the stream ended before');
	};
	afterEach(() => {
		listening.abort();
		listening = new AbortController();
	});

	beforeAll(async () => {
		dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-schedule-'));
		server = await start();
	});
	afterAll(async () => {
		await server?.stop();
		rmSync(dataDir, { recursive: true, force: true });
	});

	it('tells listeners and the stage ahead, goes on when its host says so, and ends by itself', async () => {
		await server.room({ id: 'hall', endsAt: soon(WARNING_MS + 1_000) });
		const host = await StageClient.connect(server.url, 'hall', { token: (await server.token('hall', 'host', 'Hana')).token });
		const [onStage, listener] = await Promise.all([host.next('room', ({ room }) => room.endingAt !== undefined), told('hall', ({ endingAt }) => endingAt !== undefined)]);
		const { endsAt } = await read('hall');
		expect([onStage.room.endingAt, listener.endingAt]).toEqual([endsAt, endsAt]);
		// Not by a whole minute, which a test does not wait for: the API counts in minutes, settings do not.
		const later = new Date(Date.parse(endsAt ?? '') + WARNING_MS + 1_500).toISOString();
		await server.json('PATCH', '/v1/rooms/hall', { endsAt: later });
		expect(await read('hall')).not.toHaveProperty('endingAt');
		await host.next('room', ({ room }) => room.endingAt === later);
		expect(Date.now()).toBeGreaterThan(Date.parse(endsAt ?? ''));
		expect((await read('hall')).state).toBe('live');
		const ended = await told('hall', ({ state }) => state === 'ended');
		expect(Date.parse(ended.endedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(later));
		expect(Date.parse(ended.endedAt ?? '') - Date.parse(later)).toBeLessThan(2_000);
		expect((await host.closed).code).toBe(4410);
	});

	it('ends once although its node was killed before, and at once when it was down at that time', async () => {
		await server.room({ id: 'survives', endsAt: soon(12_000) });
		await server.room({ id: 'missed', endsAt: soon(1_500) });
		await server.stop('SIGKILL');
		const { promise: over, resolve } = Promise.withResolvers<void>();
		setTimeout(resolve, 1_600);
		await over;
		server = await start();
		await expect.poll(async () => (await read('missed')).state, { timeout: 10_000 }).toBe('ended');
		await expect.poll(async () => (await read('survives')).state, { timeout: 20_000 }).toBe('ended');
		const { endsAt = '', endedAt = '', version } = await read('survives');
		expect(Date.parse(endedAt)).toBeGreaterThanOrEqual(Date.parse(endsAt));
		// Made, opened, live, ended; and warned of it, where the node was back before.
		expect([4, 5]).toContain(version);
		expect([4, 5]).toContain((await read('missed')).version);
	});

	it('that is cancelled tells those who wait, and those who come later, why', async () => {
		await server.room({ id: 'off', scheduledAt: soon(3_600_000) }, 'open');
		const host = await StageClient.connect(server.url, 'off', { token: (await server.token('off', 'host', 'Hana')).token });
		await host.welcome();
		const waiting = told('off', ({ state }) => state === 'ended');
		await server.json('POST', '/v1/rooms/off/cancel', { reason: 'Too much snow' });
		const why = { state: 'ended', cancelled: true, cancelReason: 'Too much snow' };
		expect(await waiting).toMatchObject(why);
		expect((await host.next('room', ({ room }) => room.state === 'ended')).room).toMatchObject(why);
		expect(await told('off', () => true)).toMatchObject(why);
		const calendar = await (await server.call('GET', '/v1/rooms/off/calendar.ics')).text();
		expect(calendar).toContain('METHOD:CANCEL\r\n');
		expect(calendar).toContain('STATUS:CANCELLED\r\n');
	});
});
