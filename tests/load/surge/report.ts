import { type Distribution, distributionOf } from './distribution.ts';
import type { GeneratorFigures } from './saturation.ts';
import type { Entry, ListenerRecord, RefusalRecord, SpeakerReport, SurgeOptions } from './messages.ts';
import type { SurgeSeries } from './series.ts';

export interface SpeakerFigures {
	name: string;
	/** In the storm, or before it. */
	late: boolean;
	/** From wanting to speak to being connected; null: did not get through. */
	onStageMs: number | null;
	/** From wanting to speak to the first listener of this run who heard it; null: nobody has. */
	heardMs: number | null;
	error: string | null;
	/** Connections the stage lost. */
	lost: number;
}

/** What a run has found, as `--json` writes it. Times in ms; null where nothing was measured. */
export interface SurgeReport {
	startedAt: string;
	target: { url: string; room: string };
	machine: { cpu: string; cores: number; node: string };
	settings: Omit<SurgeOptions, 'token' | 'url' | 'room'>;
	/** Cut short by whoever started it. */
	interrupted: boolean;
	/** People of the storm who wanted in. */
	listeners: number;
	/** Of them, connected at least once. */
	joined: number;
	/** Gave up, or were refused for good. */
	failed: number;
	failures: Record<string, number>;
	/** Heard by HLS at some time. */
	overflowed: number;
	/** At the end not in yet and without HLS, with the server's word on when to come back. */
	waiting: number;
	/** Of those who had joined, who were on their way back at the end. */
	rejoining: number;
	/** From wanting in to ICE and DTLS being through. */
	joinMs: Distribution;
	/** From wanting in to the first packet of any kind, keep-alives included. */
	firstPacketMs: Distribution;
	/** From wanting in to the first packet with audio; what a talker's own pause adds is in it. */
	firstAudioMs: Distribution;
	/** Of those who came in again, after leaving or after a loss. */
	rejoinMs: Distribution;
	/** Sessions the server or the network ended. */
	lostSessions: number;
	handedOn: number;
	/** Sequence numbers that never came, of all that should have, of all listeners. */
	lossRatio: number;
	/** Times somebody waited longer than that for the next packet, talkers' pauses left out. */
	gapsOver200Ms: number;
	maxGapMs: number;
	incumbents: {
		listeners: number;
		joined: number;
		failed: number;
		lostSessions: number;
		lossRatio: number;
		maxGapMs: number;
		/** As `maxGapMs`, less what the generator itself stood still. */
		maxForeignGapMs: number;
		gapsOver200Ms: number;
	};
	refusals: {
		count: number;
		byCause: Record<string, number>;
		/** From the request to the refusal. */
		answerMs: Distribution;
		/** What was told to wait, as exactly as it was told. */
		retryAfterMs: Distribution & { min: number | null; distinct: number };
		/** The Retry-After header, in whole seconds as HTTP has it. */
		retryAfterSeconds: { min: number | null; max: number | null };
		/** Refusals without that header; no answer at all is none. */
		withoutRetryAfter: number;
	};
	speakers: SpeakerFigures[];
	/** The one who came in mid-storm. */
	speaker: SpeakerFigures | null;
	hls: {
		/** Those who never asked for a place, and those who were shown the overflow. */
		listeners: number;
		failed: number;
		/** From the first request (or the refusal) to the first media. */
		firstMediaMs: Distribution;
		stalls: number;
		stalledMs: number;
		errors: number;
		requests: number;
		bytes: number;
	};
	connections: number;
	generatorSaturated: boolean;
	generator: GeneratorFigures;
	/** Why the server's own figures could not be read at `/metrics`; null: they are in `series`. */
	metricsUnreadable: string | null;
	series: SurgeSeries;
}

export interface SummaryInput {
	records: readonly ListenerRecord[];
	refusals: readonly RefusalRecord[];
	refusalCount: number;
	speakers: readonly SpeakerFigures[];
}

/** The figures that follow from what each listener has noted. */
export function summarise({ records, refusals, refusalCount, speakers }: SummaryInput): Omit<SurgeReport, 'startedAt' | 'target' | 'machine' | 'settings' | 'interrupted' | 'generatorSaturated' | 'generator' | 'metricsUnreadable' | 'series'> {
	const storm = records.filter(({ group, entries }) => group === 'arrivals' && entries.length > 0);
	const incumbents = records.filter(({ group }) => group === 'incumbents');
	const rtc = [...storm, ...incumbents];
	const players = records.filter(({ group }) => group === 'hls');
	const firstEntries = storm.flatMap(({ entries }) => entries.slice(0, 1));
	const heardHls = storm.filter(({ hls }) => hls?.firstMediaAtMs !== undefined);
	const byHls = [...players, ...storm].flatMap(({ hls }) => hls ?? []);
	const told = refusals.flatMap(({ retryAfterMs }) => retryAfterMs ?? []);
	const headers = refusals.flatMap(({ retryAfterSeconds }) => retryAfterSeconds ?? []);
	return {
		listeners: storm.length,
		joined: storm.filter(hasJoined).length,
		failed: storm.filter(hasFailed).length,
		failures: countBy([...rtc, ...players].filter(hasFailed).map(({ cause }) => cause ?? 'unknown')),
		overflowed: heardHls.length,
		waiting: storm.filter((record) => record.outcome === 'waiting' && !hasJoined(record) && record.hls?.firstMediaAtMs === undefined).length,
		rejoining: storm.filter((record) => record.outcome === 'waiting' && hasJoined(record)).length,
		joinMs: since(firstEntries, ({ connectedAtMs }) => connectedAtMs),
		firstPacketMs: since(firstEntries, ({ firstPacketAtMs }) => firstPacketAtMs),
		firstAudioMs: since(firstEntries, ({ firstAudioAtMs }) => firstAudioAtMs),
		rejoinMs: since(rtc.flatMap(({ entries }) => entries.slice(1)), ({ connectedAtMs }) => connectedAtMs),
		lostSessions: sum(rtc, ({ lostSessions }) => lostSessions),
		handedOn: sum(rtc, ({ handedOn }) => handedOn),
		lossRatio: lossOf(rtc),
		gapsOver200Ms: sum(rtc, ({ gapsOver200Ms }) => gapsOver200Ms),
		maxGapMs: most(rtc, ({ largestGapMs }) => largestGapMs),
		incumbents: {
			listeners: incumbents.length,
			joined: incumbents.filter(hasJoined).length,
			failed: incumbents.filter(hasFailed).length,
			lostSessions: sum(incumbents, ({ lostSessions }) => lostSessions),
			lossRatio: lossOf(incumbents),
			maxGapMs: most(incumbents, ({ largestGapMs }) => largestGapMs),
			maxForeignGapMs: most(incumbents, ({ largestForeignGapMs }) => largestForeignGapMs),
			gapsOver200Ms: sum(incumbents, ({ gapsOver200Ms }) => gapsOver200Ms),
		},
		refusals: {
			// Those after the last tick are told of by themselves alone.
			count: Math.max(refusalCount, refusals.length),
			byCause: countBy(refusals.map(({ cause }) => cause)),
			answerMs: distributionOf(refusals.map(({ answerMs }) => answerMs)),
			retryAfterMs: { ...distributionOf(told), min: leastOf(told), distinct: new Set(told).size },
			retryAfterSeconds: { min: leastOf(headers), max: distributionOf(headers).max },
			withoutRetryAfter: refusals.filter(({ status, retryAfterSeconds }) => status > 0 && retryAfterSeconds === undefined).length,
		},
		speakers: [...speakers],
		speaker: speakers.find(({ late }) => late) ?? null,
		hls: {
			listeners: byHls.length,
			failed: players.filter(hasFailed).length,
			firstMediaMs: distributionOf(byHls.flatMap(({ beganAtMs, firstMediaAtMs }) => (firstMediaAtMs === undefined ? [] : firstMediaAtMs - beganAtMs))),
			stalls: sum(byHls, ({ stalls }) => stalls),
			stalledMs: Math.round(sum(byHls, ({ stalledMs }) => stalledMs)),
			errors: sum(byHls, ({ errors }) => errors),
			requests: sum(byHls, ({ requests }) => requests),
			bytes: sum(byHls, ({ bytes }) => bytes),
		},
		connections: sum(records, ({ connections }) => connections),
	};
}

export function speakerFigures(report: SpeakerReport, { late, heardAtMs, lost }: { late: boolean; heardAtMs: number | undefined; lost: number }): SpeakerFigures {
	const { name, wantedAtMs, connectedAtMs, error } = report;
	const after = (atMs: number | undefined): number | null => (atMs === undefined ? null : Math.round(atMs - wantedAtMs));
	return { name, late, onStageMs: after(connectedAtMs), heardMs: after(heardAtMs), error: error ?? null, lost };
}

/** Everybody who came for nothing, of all groups. */
export const allFailed = ({ failed, incumbents, hls }: Pick<SurgeReport, 'failed' | 'incumbents' | 'hls'>): number => failed + incumbents.failed + hls.failed;

const leastOf = (values: readonly number[]): number | null => (values.length === 0 ? null : values.reduce((least, value) => Math.min(least, value)));

const hasJoined = ({ entries }: ListenerRecord): boolean => entries.some(({ connectedAtMs }) => connectedAtMs !== undefined);
const hasFailed = ({ outcome }: ListenerRecord): boolean => outcome === 'failed';

const since = (entries: readonly Entry[], at: (entry: Entry) => number | undefined): Distribution =>
	distributionOf(
		entries.flatMap((entry) => {
			const atMs = at(entry);
			return atMs === undefined ? [] : atMs - entry.wantedAtMs;
		}),
	);

const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((all, item) => all + of(item), 0);
const most = <T>(items: readonly T[], of: (item: T) => number): number => Math.round(items.reduce((max, item) => Math.max(max, of(item)), 0) * 10) / 10;

function lossOf(records: readonly ListenerRecord[]): number {
	const lost = sum(records, (record) => record.lost);
	const packets = sum(records, (record) => record.packets);
	return lost + packets === 0 ? 0 : lost / (lost + packets);
}

function countBy(names: readonly string[]): Record<string, number> {
	const counts: Record<string, number> = {};
	for (const name of names) {
		counts[name] = (counts[name] ?? 0) + 1;
	}
	return counts;
}
