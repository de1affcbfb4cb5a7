import type { Page } from 'playwright-core';

/** What a page's receivers tell, summed over its voices. */
export interface HeardStats {
	/** RFC 8451-style: sum of squared samples, so that silence adds nothing. */
	energy: number;
	packets: number;
	lost: number;
	samples: number;
	/** Filled in by the decoder because something was missing, and that one could hear. */
	concealed: number;
	concealmentEvents: number;
	jitterBufferMs: number;
	sessions: number;
}

/** Somebody talking without a pause of note, as the packets' contributing source tells; `Date.now()`. */
export interface Spurt {
	/** In the stage roster. */
	number: number;
	fromMs: number;
	toMs: number;
}

interface ProbedWindow {
	rostrumPeers: RTCPeerConnection[];
	rostrumSpurts: Spurt[];
	/** Every moment at which somebody was being heard, about 50 ms apart. */
	rostrumHeardAt: number[];
}

/**
 * Lets a test look at the page's peer connections without the page's knowledge: call before `goto`.
 * Notes every contributing source that any receiver shows.
 */
export async function probe(page: Page): Promise<void> {
	await page.addInitScript(() => {
		const probed = globalThis as unknown as ProbedWindow & { RTCPeerConnection: typeof RTCPeerConnection };
		probed.rostrumPeers = [];
		probed.rostrumSpurts = [];
		probed.rostrumHeardAt = [];
		probed.RTCPeerConnection = class extends probed.RTCPeerConnection {
			constructor(...args: ConstructorParameters<typeof RTCPeerConnection>) {
				super(...args);
				probed.rostrumPeers.push(this);
			}
		};
		const since = (timestamp: number) => (timestamp > 1e12 ? performance.timeOrigin : 0) + performance.now() - timestamp;
		setInterval(() => {
			for (const peer of probed.rostrumPeers) {
				for (const receiver of peer.getReceivers()) {
					for (const { source, timestamp } of receiver.getContributingSources()) {
						if (since(timestamp) > 150) {
							continue; // The browser remembers sources for ten seconds.
						}
						const nowMs = Date.now();
						probed.rostrumHeardAt.push(nowMs);
						const spurt = probed.rostrumSpurts.findLast(({ number }) => number === source);
						if (spurt && nowMs - spurt.toMs < 400) {
							spurt.toMs = nowMs;
						} else {
							probed.rostrumSpurts.push({ number: source, fromMs: nowMs, toMs: nowMs });
						}
					}
				}
			}
		}, 50);
	});
}

/** Sums over the page's living peer connections. */
export function heard(page: Page): Promise<HeardStats> {
	return page.evaluate(async () => {
		const sum = { energy: 0, packets: 0, lost: 0, samples: 0, concealed: 0, concealmentEvents: 0, jitterBufferMs: 0, sessions: 0 };
		for (const peer of (globalThis as unknown as ProbedWindow).rostrumPeers) {
			if (peer.connectionState === 'closed') {
				continue;
			}
			let receives = false;
			for (const stat of (await peer.getStats()).values()) {
				if (stat.type === 'inbound-rtp') {
					receives = true;
					sum.energy += stat.totalAudioEnergy;
					sum.packets += stat.packetsReceived;
					sum.lost += stat.packetsLost;
					sum.samples += stat.totalSamplesReceived ?? 0;
					sum.concealed += (stat.concealedSamples ?? 0) - (stat.silentConcealedSamples ?? 0);
					sum.concealmentEvents += stat.concealmentEvents ?? 0;
					sum.jitterBufferMs = Math.max(sum.jitterBufferMs, Math.round((1_000 * stat.jitterBufferDelay) / Math.max(1, stat.jitterBufferEmittedCount)));
				}
			}
			sum.sessions += receives ? 1 : 0;
		}
		return sum;
	});
}

/** Who was heard when, in the order of their beginnings. */
export function spurtsHeard(page: Page): Promise<Spurt[]> {
	return page.evaluate(() => (globalThis as unknown as ProbedWindow).rostrumSpurts);
}

/** Resolves once the page has received this much more audio energy; how many milliseconds that took. */
export async function hearsSound(page: Page, more = 0.001, timeoutMs = 20_000): Promise<number> {
	const started = Date.now();
	let last = (await heard(page)).energy;
	for (let gained = 0; ; ) {
		const { energy } = await heard(page);
		// A page that rejoins counts from nothing again.
		gained += energy >= last ? energy - last : energy;
		last = energy;
		if (gained > more) {
			return Date.now() - started;
		}
		if (Date.now() - started > timeoutMs) {
			throw new Error(`no sound within ${timeoutMs} ms: ${JSON.stringify(await heard(page))}`);
		}
		await page.waitForTimeout(25);
	}
}

/** The longest time within the window in which nobody was heard, as the packets' contributing sources tell. */
export async function longestGapMs(page: Page, fromMs: number, toMs: number): Promise<number> {
	const times = await page.evaluate(() => (globalThis as unknown as ProbedWindow).rostrumHeardAt);
	const inside = [fromMs, ...times.filter((at) => at > fromMs && at < toMs), toMs];
	return Math.max(...inside.slice(1).map((at, i) => at - (inside[i] ?? at)));
}
