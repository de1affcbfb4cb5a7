import type { Connection } from './listen-parts.ts';
// Types alone: what it shared with the page would become a file of its own, which everybody would have to load.
import type { ReceiveTotals } from './quality.ts';
import type { Heard } from './quality-sampling.ts';

export interface ReporterOptions {
	/** Where to; undefined once nothing is to be told any more. */
	url: () => string | undefined;
	everyMs: number;
	token: string | undefined;
	/** Emptied as it is told. */
	heard: Heard;
	/** The session that plays. */
	current: () => Connection | undefined;
	random: () => number;
}

/** As many as the server takes in one report. */
const MAX_GAPS = 20;

/**
 * Tells the server every so often what this player counted since the last time: numbers alone. The first report comes
 * at a random moment, since everybody else may have joined in the same second.
 * @returns stops it
 */
export const startReporting = ({ url, everyMs, token, heard, current, random }: ReporterOptions): (() => void) => {
	let before: { connection: Connection | undefined; totals: ReceiveTotals | undefined } = { connection: undefined, totals: undefined };
	let sinceMs = performance.now();
	let timer: ReturnType<typeof setTimeout> | undefined;
	let stopped = false;
	const report = async (): Promise<void> => {
		const connection = current();
		// A session that is being replaced has nothing to read; its successor starts at zero.
		const totals = connection?.connected === true ? (await connection.read()).totals : undefined;
		const from = connection === before.connection ? before.totals : undefined;
		const nowMs = performance.now();
		const grown = (name: keyof ReceiveTotals) => Math.max(0, Math.round((totals?.[name] ?? 0) - (from?.[name] ?? 0)));
		const body = {
			...(heard.first === undefined ? {} : { firstAudioMs: heard.first.sinceStartMs, firstAudioBy: heard.first.by }),
			periodMs: Math.max(1, Math.round(nowMs - sinceMs)),
			packets: grown('packetsReceived'),
			lost: grown('packetsLost'),
			jitterMs: totals?.jitterMs ?? 0,
			samples: grown('totalSamples'),
			concealed: Math.max(0, grown('concealedSamples') - grown('silentConcealedSamples')),
			gapsMs: heard.gapsMs.splice(0).slice(-MAX_GAPS),
		};
		before = { connection, totals };
		sinceMs = nowMs;
		heard.first = undefined;
		const target = url();
		if (target === undefined) {
			return;
		}
		const { status } = await fetch(target, {
			method: 'POST',
			headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
			body: JSON.stringify(body),
		});
		// Whatever it has against this one, it will have against the next.
		stopped ||= status >= 400 && status < 500;
	};
	const later = (ms: number): void => {
		timer = setTimeout(() => {
			void report()
				.catch(() => undefined)
				.then(() => stopped || later(everyMs));
		}, ms);
	};
	later(everyMs * random());
	return () => {
		stopped = true;
		clearTimeout(timer);
	};
};
