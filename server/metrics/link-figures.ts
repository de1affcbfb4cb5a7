import type { Registry } from '@prometheus-io/client';
import type { LinkStats } from '../../sfu/contract/shard-protocol.ts';
import { addFigure, one } from './figure.ts';

export interface LinkSources {
	/** Links that end on this node. */
	links: () => readonly LinkStats[];
	/** Why edges here looked for another upstream, and how often. */
	relinks: () => Readonly<Record<string, number>>;
}

/** Of one link: [name, help, value]. */
const LINK_FIGURES: readonly [name: string, help: string, value: (link: LinkStats) => number][] = [
	['rostrum_link_loss_ratio', 'Part of its packets that a link has lost since it began', lossRatio],
	['rostrum_link_jitter_seconds', 'Interarrival jitter of a link (RFC 3550), its worst stream', ({ jitterMs }) => jitterMs / 1000],
	['rostrum_link_lag_seconds', 'How much later than the fastest packet of the last minute the latest ones came', ({ lagMs }) => lagMs / 1000],
	['rostrum_link_silent_seconds', 'Since anything came over a link, keep-alives included', ({ silentMs }) => silentMs / 1000],
];

/** 0 to 1, of all packets that were sent over the link as far as its end can tell. */
export function lossRatio({ packetsTotal, lostTotal }: LinkStats): number {
	return lostTotal > 0 ? lostTotal / (packetsTotal + lostTotal) : 0;
}

/**
 * Links that end on this node, all together: links come and go with rooms and edges, so a series for each would have no
 * bound. `stat="sum"` divided by `rostrum_links` is the mean; which link it is that fares badly, the admin API says.
 */
export function addLinkFigures(registers: Registry[], { links, relinks }: LinkSources): void {
	const totals = new LinkTotals();
	addFigure(registers, { name: 'rostrum_links', help: 'Links that end on this node', kind: 'gauge', read: () => one(links().length) });
	for (const [name, help, value] of LINK_FIGURES) {
		addFigure(registers, {
			name, help: `${help}: the worst link’s (max) and all together (sum)`, kind: 'gauge', labels: ['stat'],
			read: () => {
				const values = links().map(value);
				return [[{ stat: 'max' }, Math.max(0, ...values)], [{ stat: 'sum' }, values.reduce((sum, each) => sum + each, 0)]];
			},
		});
	}
	addFigure(registers, {
		name: 'rostrum_link_packets_received_total', help: 'RTP packets that came over links, as seen by scrapes', kind: 'counter', read: () => one(totals.update(links()).packets),
	});
	addFigure(registers, {
		name: 'rostrum_link_packets_lost_total', help: 'RTP packets lost on links, as seen by scrapes', kind: 'counter', read: () => one(totals.update(links()).lost),
	});
	addFigure(registers, {
		name: 'rostrum_relinks_total', help: 'Times that an edge of this node looked for another upstream, by reason', kind: 'counter', labels: ['reason'],
		read: () => Object.entries(relinks()).map(([reason, count]) => [{ reason }, count]),
	});
}

/** Adds up the counters of links that come and go, so that what is summed never falls. */
class LinkTotals {
	#packets = 0;
	#lost = 0;
	#seen = new Map<string, LinkStats>();

	update(links: readonly LinkStats[]): { packets: number; lost: number } {
		const seen = new Map<string, LinkStats>();
		for (const link of links) {
			const before = this.#seen.get(link.linkId);
			this.#packets += Math.max(0, link.packetsTotal - (before?.packetsTotal ?? 0));
			this.#lost += Math.max(0, link.lostTotal - (before?.lostTotal ?? 0));
			seen.set(link.linkId, link);
		}
		this.#seen = seen;
		return { packets: this.#packets, lost: this.#lost };
	}
}
