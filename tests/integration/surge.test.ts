import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SurgeOptions } from '../load/surge/messages.ts';
import type { SurgeReport } from '../load/surge/report.ts';
import { summaryText } from '../load/surge/summary-text.ts';
import { SurgeRun, type SurgeHooks } from '../load/surge/surge-run.ts';
import { rssBytes } from '../load/processor-time.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { figure } from '../support/figure.ts';

const MEDIA_PORT = 24_200;
/** On a machine that does other things besides, admission takes its time; each storm ends as soon as it has come to its end. */
const PATIENT_MS = 90_000;
const TEST_TIMEOUT_MS = 240_000;

let server: RostrumProcess;
let room: string;

const start = async (env: Record<string, string> = {}): Promise<void> => {
	server = await RostrumProcess.start({ mediaPort: MEDIA_PORT, env: { ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_LISTENER_SHARDS: '2', ...env } });
	room = await server.room({ id: 'surge' });
};

afterEach(() => server.stop());

/** The generator's figures are for people, whose machine may be busy; what is asserted here is who was let in, and what was lost. */
async function storm(options: Partial<SurgeOptions>, hooks: SurgeHooks = {}): Promise<SurgeReport> {
	const report = await SurgeRun.run(
		{
			url: server.url, room, listeners: 300, withinMs: 2_000, holdMs: PATIENT_MS, arrivals: 'jitter', waves: 1, waveEveryMs: 0, churn: 0, incumbents: 0, hls: 0, speakers: 1,
			speakerAtMs: undefined, constantSpeech: true, token: ADMIN_TOKEN, patienceMs: 10 * PATIENT_MS, overflow: false, generators: 1, bindAddress: undefined, seed: 1, ...options,
		},
		hooks,
	);
	console.info(summaryText(report));
	return report;
}

/** A shard that died or hangs, an answer of 500: whatever the server itself calls an error. */
const errors = (): string[] => server.logLines.filter(({ level }) => level >= 50).map((line) => JSON.stringify(line));

/** Of the node process, its shards and their workers. */
async function residentBytes(): Promise<number> {
	const shards = await server.shardPids();
	const pids = [server.pid, ...[...shards.values()].flatMap(({ pid, workerPid }) => [pid, workerPid])];
	return pids.reduce((sum, pid) => sum + rssBytes(pid), 0);
}

async function untilEmpty(): Promise<void> {
	for (let tries = 0; tries < 100; tries++) {
		const { listenerCount } = await server.json<{ listenerCount: number }>('GET', `/v1/rooms/${room}`);
		if (listenerCount === 0) return;
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
	throw new Error('listeners who had left are still counted');
}

describe('a surge on two listener shards', () => {
	beforeEach(() => start());

	it('lets 300 in who come within 2 s, and those who were there notice nothing', async () => {
		const everybody = 300 + 30;
		const report = await storm({ incumbents: 30, speakerAtMs: 1_000 }, { isDone: ({ connected }) => connected === everybody });
		expect(report.failures).toEqual({});
		expect(report).toMatchObject({ listeners: 300, joined: 300, failed: 0, waiting: 0, lostSessions: 0, lossRatio: 0 });
		expect(report.firstAudioMs.count).toBe(300);
		expect(report.incumbents).toMatchObject({ listeners: 30, joined: 30, failed: 0, lostSessions: 0, lossRatio: 0 });
		expect(report.incumbents.maxForeignGapMs).toBeLessThan(1_000);
		expect(report.speaker).toMatchObject({ error: null, lost: 0 });
		expect(report.speaker?.onStageMs).toBeLessThan(2_000);
		expect(report.speaker?.heardMs).toBeLessThan(3_000);
		expect(errors()).toEqual([]);
		await untilEmpty();
	}, TEST_TIMEOUT_MS);
});

describe('a storm of more than there are places for', () => {
	const PLACES = 2 * 50;
	beforeEach(() => start({ ROSTRUM_SFU_MAX_LISTENERS_PER_SHARD: String(PLACES / 2) }));

	it('serves whom it can, tells all others when to come back, and is the same afterwards', async () => {
		const incumbents = 20;
		const full = PLACES - incumbents;
		const report = await storm({ incumbents, speakerAtMs: 1_000 }, { isDone: ({ connected, refusals, waiting }) => connected === PLACES && refusals >= waiting });
		// Everybody hears, or holds the server's word on when to come back; nobody was let go without one.
		expect(report.failures).toEqual({});
		expect(report).toMatchObject({ listeners: 300, joined: full, waiting: 300 - full, failed: 0 });
		expect(Object.keys(report.refusals.byCause).filter((cause) => !cause.startsWith('503 no_capacity'))).toEqual([]);
		expect(report.refusals.withoutRetryAfter).toBe(0);
		expect(report.refusals.retryAfterSeconds.min).toBeGreaterThanOrEqual(1);
		expect(report.refusals.retryAfterMs.distinct).toBeGreaterThan(20);
		expect(report.incumbents).toMatchObject({ joined: incumbents, lostSessions: 0, lossRatio: 0 });
		expect(report.incumbents.maxForeignGapMs).toBeLessThan(1_000);
		expect(report.speaker).toMatchObject({ error: null, lost: 0 });
		expect(report.speaker?.onStageMs).toBeLessThan(2_000);
		expect(errors()).toEqual([]);

		// What a first storm brings about once (code, buffers, the workers' pools) stays; a second one adds nothing to it.
		await untilEmpty();
		const before = await residentBytes();
		const again = await storm({ seed: 2 }, { isDone: ({ connected, refusals, waiting }) => connected === PLACES && refusals >= waiting });
		expect(again).toMatchObject({ joined: PLACES, failed: 0, waiting: 300 - PLACES });
		await untilEmpty();
		const grown = (await residentBytes()) - before;
		figure('resident after the second storm, beyond that after the first', grown / 1e6, 'MB');
		expect(grown).toBeLessThan(40e6);
		expect(errors()).toEqual([]);
	}, TEST_TIMEOUT_MS);
});
