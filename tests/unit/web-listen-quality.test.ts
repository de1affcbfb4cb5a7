// What a listener's page tells of how it hears, if it drew to tell anything.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Connection } from '../../server/web/browser/sdk/listen-parts.ts';
import { NO_TOTALS, type ReceiveTotals } from '../../server/web/browser/sdk/quality.ts';
import { QualitySampling } from '../../server/web/browser/sdk/quality-sampling.ts';

describe('a listener’s page', () => {
	interface Sent {
		url: string;
		body: Record<string, unknown>;
		token: string | undefined;
	}
	let sent: Sent[];
	let status: number;
	let totals: ReceiveTotals;
	let connection: Connection | undefined;
	/** Only what a reporter looks at. */
	const aConnection = () => ({ connected: true, read: () => Promise.resolve({ totals, packets: new Map() }) }) as unknown as Connection;
	const sampling = (lot: number) => new QualitySampling(() => lot, 'a-token', () => connection);
	const ASKED = { url: 'https://a.example.org/v1/rooms/hall/quality', rate: 0.1, everyMs: 30_000 };
	/** The reporter is a part of the page that has to be loaded first. */
	const loaded = () => vi.dynamicImportSettled();

	beforeEach(() => {
		vi.useFakeTimers({ now: 1_800_000_000_000 });
		sent = [];
		status = 204;
		totals = NO_TOTALS;
		connection = aConnection();
		vi.stubGlobal('fetch', (url: string, { body, headers }: { body: string; headers: Record<string, string> }) => {
			sent.push({ url, body: JSON.parse(body) as Record<string, unknown>, token: headers['authorization'] });
			return Promise.resolve({ status });
		});
	});
	afterEach(() => {
		vi.unstubAllGlobals();
		vi.useRealTimers();
	});

	it('tells nothing unless it draws so', async () => {
		const page = sampling(0.1);
		page.asked(ASKED);
		await loaded();
		await vi.advanceTimersByTimeAsync(300_000);
		expect(sent).toEqual([]);
		page.asked({ ...ASKED, rate: 0.2 });
		await loaded();
		await vi.advanceTimersByTimeAsync(31_000);
		expect(sent).toHaveLength(1);
		page.asked(null);
		await vi.advanceTimersByTimeAsync(300_000);
		expect(sent).toHaveLength(1);
	});

	it('tells what was counted since the last time, and the first sound once', async () => {
		const page = sampling(0.05);
		page.asked(ASKED);
		page.sounded({ sinceStartMs: 321, by: 'session' });
		await loaded();
		totals = { packetsReceived: 500, packetsLost: 5, jitterMs: 3, totalSamples: 48_000, concealedSamples: 480, silentConcealedSamples: 80 };
		await vi.advanceTimersByTimeAsync(1_600);
		expect(sent).toEqual([{
			url: ASKED.url, token: 'Bearer a-token',
			body: { firstAudioMs: 321, firstAudioBy: 'session', periodMs: 1_500, packets: 500, lost: 5, jitterMs: 3, samples: 48_000, concealed: 400, gapsMs: [] },
		}]);
		page.missed(1_234);
		totals = { packetsReceived: 900, packetsLost: 4, jitterMs: 2, totalSamples: 96_000, concealedSamples: 480, silentConcealedSamples: 80 };
		await vi.advanceTimersByTimeAsync(30_000);
		expect(sent[1]?.body).toEqual({ periodMs: 30_000, packets: 400, lost: 0, jitterMs: 2, samples: 48_000, concealed: 0, gapsMs: [1_234] });
	});

	it('goes on with a new session, at the node that it was told of last', async () => {
		const page = sampling(0);
		page.asked(ASKED);
		await loaded();
		totals = { ...NO_TOTALS, packetsReceived: 500 };
		await vi.advanceTimersByTimeAsync(0);
		page.asked({ ...ASKED, url: 'https://b.example.org/v1/rooms/hall/quality' });
		connection = aConnection();
		totals = { ...NO_TOTALS, packetsReceived: 40 };
		await vi.advanceTimersByTimeAsync(30_000);
		expect(sent.map(({ url, body }) => [new URL(url).host, body['packets']])).toEqual([['a.example.org', 500], ['b.example.org', 40]]);
	});

	it('stops when it is not wanted, and goes on when only the network failed', async () => {
		const page = sampling(0);
		page.asked(ASKED);
		await loaded();
		status = 503;
		await vi.advanceTimersByTimeAsync(31_000);
		expect(sent).toHaveLength(2);
		status = 429;
		await vi.advanceTimersByTimeAsync(30_000);
		expect(sent).toHaveLength(3);
		await vi.advanceTimersByTimeAsync(300_000);
		expect(sent).toHaveLength(3);
		page.stop();
	});
});
