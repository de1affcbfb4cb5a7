import { setTimeout as sleep } from 'node:timers/promises';
import { Audience, type AudienceReport, hearsNow } from './audience.ts';
import type { ListenerReport } from './client-protocol.ts';
import type { ClusterNode } from './cluster-node.ts';
import { monotonicMs } from './monotonic.ts';
import { percentile } from './percentile.ts';
import { treeOf } from './room-tree.ts';
import type { RostrumCluster } from './rostrum-cluster.ts';

/** What a fault is done to. */
export interface Scene {
	cluster: RostrumCluster;
	audience: Audience;
	/** Where the room lives when the fault strikes, and the other nodes. */
	home: ClusterNode;
	others: readonly [ClusterNode, ClusterNode, ...ClusterNode[]];
	/** As they were just before. */
	before: readonly ListenerReport[];
	/** Edge → where its link begins, see `treeOf`. */
	tree: ReadonlyMap<string, string>;
	note: (text: string) => void;
}

/** Whom a fault hits: `dead` were on the thing itself and may lose their session, `behind` heard through it and may hear a gap. */
export interface Struck {
	dead: (listener: ListenerReport) => boolean;
	behind?: (listener: ListenerReport) => boolean;
}

export interface Fault {
	name: string;
	what: string;
	strike: (scene: Scene) => Promise<Struck>;
	/** After the watch: puts right what was wrong, while everybody still listens. */
	mend?: (scene: Scene) => Promise<void>;
	/** What else must be so in the end; throws when it is not. */
	check?: (scene: Scene) => Promise<void>;
	/** Watched so long before `mend`, or at least so long if there is nothing to mend. */
	watchMs: number;
	/** Watched at least so long after `mend`. */
	mendedMs?: number;
	bars: FaultBars;
}

/** In ms. Whoever has no bar of their own has that of `others`. */
export interface FaultBars {
	/** Greatest gap of listeners that were neither on the dead thing nor behind it. */
	othersGapMs: number;
	/** Of their speech, that never came. */
	othersMissingMs?: number;
	behindGapMs?: number;
	/** Those on the dead thing hear again so soon after they noticed, p95. */
	backP95Ms?: number;
	/** Those on the dead thing have another session so soon after they noticed, p95: where the speaker has to come back, too. */
	rejoinedP95Ms?: number;
	/** Greatest gap of those on the dead thing. */
	deadGapMs?: number;
}

export interface FaultFigures {
	fault: string;
	listeners: number;
	/** Sessions that ended and were not meant to, all together. */
	sessionsLost: number;
	/** Greatest time without sound of each listener, over all listeners. */
	gapP50Ms: number;
	gapP99Ms: number;
	/** From the fault until the last listener heard the speaker again; 0 when nobody noticed. */
	healMs: number;
	/** Listeners on the dead thing. */
	affected: number;
	/** From noticing to hearing again, and to having another session, of those. */
	backP95Ms: number;
	rejoinedP95Ms: number;
	affectedGapP99Ms: number;
	behind: number;
	behindGapP99Ms: number;
	others: number;
	othersSessionsLost: number;
	othersGapP99Ms: number;
	othersMissingMs: number;
	/** The same listeners just before, with nothing wrong: what the machine's own unevenness amounts to. */
	calmGapP99Ms: number;
	/** Longest time the client did nothing itself. */
	clientLagMs: number;
	missed: string[];
	notes: string[];
}

const CALM_MS = 1_500;
const HEAL_WITHIN_MS = 30_000;
const LOOK_MS = 200;
/**
 * Browsers hold back 60 to 200 ms of sound; packets that are later than the packet before by less are played without a
 * gap. Thirty processes on a few cores are that uneven by themselves (see `calmGapP99Ms`).
 */
export const INAUDIBLE_MS = 150;

/**
 * In the suite, which runs on whatever processors there are, beside whatever else they do, times may be so many times
 * their bar; nothing else may. `npm run chaos` holds the bars themselves.
 */
export const SUITE_SLACK = 2;

/**
 * Strikes, watches until everybody hears again, mends, watches again; everything is counted from the strike on.
 *
 * @param slack bars of times are multiplied by it
 */
export async function runFault(fault: Fault, cluster: RostrumCluster, audience: Audience, slack = 1): Promise<FaultFigures> {
	const home = await cluster.homeOf(audience.room);
	const [first, second, ...more] = cluster.running.filter((node) => node !== home);
	if (!first || !second) {
		throw new Error('a fault needs three nodes');
	}
	const notes: string[] = [];
	await audience.mark();
	await sleep(CALM_MS);
	const calm = await audience.report();
	const scene: Scene = { cluster, audience, home, others: [first, second, ...more], before: calm.listeners, tree: await treeOf(cluster, audience.room), note: (text) => notes.push(text) };
	notes.push(`tree: ${[...scene.tree].map(([edge, upstream]) => `${edge} < ${upstream}`).join(', ')}; home ${home.name}`);
	await audience.mark();
	const struckAtMs = monotonicMs();
	const struck = await fault.strike(scene);
	if (fault.mend) {
		await sleep(fault.watchMs);
		const { listeners, atMs } = await audience.report();
		const deaf = listeners.filter((listener) => !hearsNow(listener, atMs));
		if (deaf.length > 0) {
			notes.push(`${deaf.length} hear nothing before it is mended: ${[...new Set(deaf.map(({ shard }) => shard))].join(', ')}`);
		}
		const mendedAtMs = monotonicMs();
		await fault.mend(scene);
		notes.push(`mended after ${Math.round(mendedAtMs - struckAtMs)} ms`);
		await untilHealed(audience, fault.mendedMs ?? 2_000, notes, 'after it was mended');
	} else {
		await untilHealed(audience, fault.watchMs, notes, 'after the fault');
	}
	const report = await audience.report();
	const figures = figuresOf(fault, struck, calm, report, struckAtMs, notes, slack);
	try {
		await fault.check?.(scene);
	} catch (error) {
		figures.missed.push(error instanceof Error ? error.message : String(error));
	}
	return figures;
}

async function untilHealed(audience: Audience, atLeastMs: number, notes: string[], when: string): Promise<void> {
	const startedAtMs = monotonicMs();
	for (;;) {
		const { listeners, atMs, speaker } = await audience.report();
		const deaf = listeners.filter((listener) => !hearsNow(listener, atMs) || listener.losses.some(({ backAtMs }) => backAtMs === undefined));
		const watchedMs = monotonicMs() - startedAtMs;
		if (deaf.length === 0 && watchedMs >= atLeastMs) {
			return;
		}
		if (watchedMs > atLeastMs + HEAL_WITHIN_MS) {
			notes.push(`${deaf.length} do not hear ${Math.round(watchedMs)} ms ${when}: ${JSON.stringify(deaf[0])}, speaker ${JSON.stringify(speaker)}`);
			return;
		}
		await sleep(LOOK_MS);
	}
}

function figuresOf(fault: Fault, struck: Struck, calm: AudienceReport, { listeners, speaker, atMs, lagMs }: AudienceReport, struckAtMs: number, notes: string[], slack: number): FaultFigures {
	const earlier = new Map(calm.listeners.map((listener) => [listener.id, listener]));
	const groups = { dead: [] as ListenerReport[], behind: [] as ListenerReport[], others: [] as ListenerReport[] };
	for (const listener of listeners) {
		const was = earlier.get(listener.id) ?? listener;
		groups[struck.dead(was) ? 'dead' : struck.behind?.(was) === true ? 'behind' : 'others'].push(listener);
	}
	const gaps = (group: readonly ListenerReport[]) => group.map(({ gapMs }) => Math.max(0, gapMs));
	const p = (numbers: readonly number[], ratio: number) => Math.round(percentile(numbers, ratio));
	const lost = (group: readonly ListenerReport[]) => group.reduce((sum, { losses }) => sum + losses.length, 0);
	const healedAtMs = Math.max(0, ...listeners.flatMap(({ silences }) => silences.filter(({ fromMs, toMs }) => toMs - fromMs > INAUDIBLE_MS).map(({ toMs }) => Math.min(toMs, atMs))));
	for (const loss of speaker?.losses ?? []) {
		notes.push(`speaker: ${loss.what} (+${Math.round(loss.atMs - struckAtMs)} ms)`);
	}
	for (const refusal of summary(listeners.flatMap(({ refusals }) => refusals.map(({ what }) => what)))) {
		notes.push(`refused: ${refusal}`);
	}
	const figures: FaultFigures = {
		fault: fault.name,
		listeners: listeners.length,
		sessionsLost: lost(listeners),
		gapP50Ms: p(gaps(listeners), 0.5),
		gapP99Ms: p(gaps(listeners), 0.99),
		healMs: Math.round(Math.max(0, healedAtMs - struckAtMs)),
		affected: groups.dead.length,
		backP95Ms: p(groups.dead.flatMap((listener) => backMs(listener, atMs)), 0.95),
		rejoinedP95Ms: p(groups.dead.flatMap(({ losses }) => losses.map(({ noticedAtMs, backAtMs }) => (backAtMs ?? atMs) - noticedAtMs)), 0.95),
		affectedGapP99Ms: p(gaps(groups.dead), 0.99),
		behind: groups.behind.length,
		behindGapP99Ms: p(gaps(groups.behind), 0.99),
		others: groups.others.length,
		othersSessionsLost: lost([...groups.others, ...groups.behind]),
		othersGapP99Ms: p(gaps(groups.others), 0.99),
		othersMissingMs: Math.round(Math.max(0, ...groups.others.map(({ missingMs }) => missingMs))),
		calmGapP99Ms: p(gaps(calm.listeners), 0.99),
		clientLagMs: Math.round(lagMs),
		missed: [],
		notes,
	};
	figures.missed.push(...missedBars(fault, figures, slack, groups.dead.some((listener) => !hearsNow(listener, atMs))));
	return figures;
}

/** From each loss that was noticed to the first sound after it. */
function backMs({ losses, silences, gapMs }: ListenerReport, atMs: number): number[] {
	return losses.map(({ noticedAtMs, backAtMs }) => {
		const silence = silences.find(({ fromMs, toMs }) => fromMs <= noticedAtMs && toMs > noticedAtMs);
		return Math.min(silence?.toMs ?? backAtMs ?? (gapMs > 0 ? atMs : noticedAtMs), atMs) - noticedAtMs;
	});
}

function missedBars({ bars }: Fault, figures: FaultFigures, slack: number, deadStillDeaf: boolean): string[] {
	const missed: string[] = [];
	const bar = (what: string, value: number, limit: number | undefined): void => {
		if (limit !== undefined && value > limit) {
			missed.push(`${what} ${value} > ${limit}`);
		}
	};
	const times = (limit: number | undefined) => (limit === undefined ? undefined : limit * slack);
	bar('sessions lost that were not on the dead thing:', figures.othersSessionsLost, 0);
	// Hundreds of clients on the servers' own cores stand still themselves while some of them join anew, and hear late what came in
	// time: so long as no speech is missing (the next bar), their own lag is taken off.
	const excusedMs = bars.othersMissingMs === undefined ? 0 : figures.clientLagMs;
	bar('ms without sound of those not on the dead thing, p99, less the lag of the clients:', figures.othersGapP99Ms - excusedMs, bars.othersGapMs * slack);
	bar('ms of speech missing for those not on the dead thing:', figures.othersMissingMs, bars.othersMissingMs);
	bar('ms without sound of those behind the dead thing, p99:', figures.behindGapP99Ms, times(bars.behindGapMs));
	bar('ms until listeners of the dead thing were back, p95:', figures.backP95Ms, times(bars.backP95Ms));
	bar('ms until listeners of the dead thing had another session, p95:', figures.rejoinedP95Ms, times(bars.rejoinedP95Ms));
	bar('ms without sound of those on the dead thing, p99:', figures.affectedGapP99Ms, times(bars.deadGapMs));
	if (figures.listeners === 0 || deadStillDeaf || figures.notes.some((note) => note.includes('do not hear'))) {
		missed.push('not everybody hears in the end');
	}
	return missed;
}

function summary(texts: readonly string[]): string[] {
	const counts = new Map<string, number>();
	for (const text of texts) {
		counts.set(text, (counts.get(text) ?? 0) + 1);
	}
	return [...counts].map(([text, count]) => `${count} × ${text}`);
}
