export type Quality = 'good' | 'fair' | 'poor';

/** Sums over all voices of a session, as getStats() counts them (W3C webrtc-stats, inbound-rtp). */
export interface ReceiveTotals {
	packetsReceived: number;
	packetsLost: number;
	/** The worst voice's jitter. */
	jitterMs: number;
	totalSamples: number;
	concealedSamples: number;
	/** Concealed with silence: nothing that anybody could hear. */
	silentConcealedSamples: number;
}

export const NO_TOTALS: ReceiveTotals = {
	packetsReceived: 0,
	packetsLost: 0,
	jitterMs: 0,
	totalSamples: 0,
	concealedSamples: 0,
	silentConcealedSamples: 0,
};

/** Below this many packets a single lost keep-alive would read as a bad line. */
const MIN_PACKETS = 25;

/**
 * Grades what a listener hears between two readings, mostly by the share of samples that had to be made up.
 * The bounds are where concealment becomes audible (about 1 %) and speech starts to break (about 5 %).
 */
export const qualityBetween = (before: ReceiveTotals, after: ReceiveTotals): Quality => {
	const samples = after.totalSamples - before.totalSamples;
	const concealed =
		after.concealedSamples - before.concealedSamples - (after.silentConcealedSamples - before.silentConcealedSamples);
	const concealedRatio = samples > 0 ? Math.max(0, concealed) / samples : 0;
	const lost = Math.max(0, after.packetsLost - before.packetsLost);
	const packets = Math.max(0, after.packetsReceived - before.packetsReceived) + lost;
	const lossRatio = packets >= MIN_PACKETS ? lost / packets : 0;
	if (concealedRatio > 0.05 || lossRatio > 0.1 || after.jitterMs > 150) {
		return 'poor';
	}
	return concealedRatio > 0.01 || lossRatio > 0.03 || after.jitterMs > 60 ? 'fair' : 'good';
};

interface InboundAudio {
	type: string;
	kind?: string;
	mid?: string;
	ssrc?: number;
	packetsReceived?: number;
	packetsLost?: number;
	jitter?: number;
	totalSamplesReceived?: number;
	concealedSamples?: number;
	silentConcealedSamples?: number;
}

/** Reads a stats report: totals for the grade, and packets by voice for the stall detector. */
export const readReceiveStats = (report: Iterable<InboundAudio>): { totals: ReceiveTotals; packets: Map<string, number> } => {
	const totals = { ...NO_TOTALS };
	const packets = new Map<string, number>();
	for (const stat of report) {
		if (stat.type !== 'inbound-rtp' || stat.kind !== 'audio') {
			continue;
		}
		packets.set(stat.mid ?? String(stat.ssrc), stat.packetsReceived ?? 0);
		totals.packetsReceived += stat.packetsReceived ?? 0;
		totals.packetsLost += stat.packetsLost ?? 0;
		totals.jitterMs = Math.max(totals.jitterMs, (stat.jitter ?? 0) * 1_000);
		totals.totalSamples += stat.totalSamplesReceived ?? 0;
		totals.concealedSamples += stat.concealedSamples ?? 0;
		totals.silentConcealedSamples += stat.silentConcealedSamples ?? 0;
	}
	return { totals, packets };
};
