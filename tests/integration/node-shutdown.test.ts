import { afterEach, describe, expect, it } from 'vitest';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { StageClient } from '../support/stage-client.ts';

interface SseEvent {
	event: string;
	data: Record<string, unknown>;
}

/** Reads a server-sent event stream to its end. */
async function readEvents(response: Response, into: SseEvent[]): Promise<void> {
	let text = '';
	for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
		text += new TextDecoder().decode(chunk);
		for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
			const block = text.slice(0, end);
			text = text.slice(end + 2);
			const event = /^event: (.*)$/m.exec(block)?.[1];
			if (event !== undefined) {
				into.push({ event, data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '{}') as Record<string, unknown> });
			}
		}
	}
}

describe('the end of a node', () => {
	let server: RostrumProcess | undefined;
	afterEach(async () => {
		await server?.stop('SIGKILL');
	});

	it('is told to listeners and to people on stage, with word of when to come back', async () => {
		server = await RostrumProcess.start({ mediaPort: 25_900 });
		const room = await server.room({ id: 'farewell' });
		const { token } = await server.token(room, 'host', 'Hana');
		const stage = await StageClient.connect(server.url, room, { token });
		await stage.next('welcome');
		const events: SseEvent[] = [];
		const stream = readEvents(await server.call('GET', `/v1/rooms/${room}/events`, undefined, null), events);
		await expect.poll(() => events.map(({ event }) => event)).toContain('room');

		const started = performance.now();
		const exited = server.stop('SIGTERM');
		expect((await stage.next('bye')).reconnect).toBe(true);
		expect(await stage.closed).toMatchObject({ code: 1001 });
		await stream;
		const bye = events.find(({ event }) => event === 'bye');
		expect(bye?.data).toMatchObject({ reconnect: true });
		expect(bye?.data['retryMs']).toBeGreaterThan(0);
		expect(await exited).toBe(0);
		console.log('everybody told and the process gone after', Math.round(performance.now() - started), 'ms');
	});

	it('comes by its deadline even when a shard hangs, and at once with a second signal', async () => {
		for (const signals of [1, 2]) {
			server = await RostrumProcess.start({ mediaPort: 25_900, env: { ROSTRUM_SHUTDOWN_DEADLINE_MS: '2500' } });
			const pids = [...(await server.shardPids()).values()].flatMap(({ pid, workerPid }) => [pid, workerPid]);
			const hung = (await server.shardPids()).get(1)?.pid ?? 0;
			process.kill(hung, 'SIGSTOP');
			const started = performance.now();
			const exited = server.stop('SIGTERM');
			await server.waitForLog(({ msg }) => msg === 'closing');
			if (signals === 2) {
				server.child.kill('SIGTERM');
			}
			const code = await exited;
			const tookMs = performance.now() - started;
			expect(tookMs).toBeLessThan(signals === 2 ? 1_000 : 3_500);
			expect(code).toBe(signals === 2 ? 1 : 0);
			// A stopped process cannot leave by itself: the node has to have killed it.
			await expect.poll(() => pids.filter(isRunning), { timeout: 3_000 }).toEqual([]);
		}
	});
});

function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}
