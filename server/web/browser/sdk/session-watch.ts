import { Emitter } from './emitter.ts';
import type { Connection } from './listen-parts.ts';
import { NO_TOTALS, type Quality, qualityBetween } from './quality.ts';
import { SpeakerTracker } from './speaker-tracker.ts';
import { StallDetector } from './stall-detector.ts';

export interface SessionWatchEvents {
	/** Packets have come since the last look. */
	flow: { nowMs: number };
	/** It has stopped, or (not `all`) one of its voices has; told with every look for as long as it lasts. */
	stall: { all: boolean };
	/** Something has reached a player. */
	delivers: Record<string, never>;
	/** Only when that changes. */
	speakers: { numbers: readonly number[] };
	/** Only when that changes. */
	quality: { quality: Quality };
}

const LOOK_MS = 250;
const SPEAKERS_MS = 100;
const QUALITY_MS = 2_000;

/** Looks at the session that plays: whether it flows, how well, and who speaks. */
export class SessionWatch extends Emitter<SessionWatchEvents> {
	readonly #tracker = new SpeakerTracker();
	#connection: Connection | undefined;
	#timers: ReturnType<typeof setInterval>[] = [];
	#detector = new StallDetector(0);
	#quality: Quality = 'good';
	#totals = { atMs: 0, totals: NO_TOTALS };
	#packets = 0;
	#speaking: readonly number[] = [];

	get quality(): Quality {
		return this.#quality;
	}
	get speaking(): readonly number[] {
		return this.#speaking;
	}

	/** This one from now on, and no other. */
	watch(connection: Connection): void {
		const nowMs = performance.now();
		this.#connection = connection;
		this.#detector = new StallDetector(nowMs);
		this.#totals = { atMs: nowMs, totals: NO_TOTALS };
		this.#packets = 0;
		if (this.#timers.length === 0) {
			this.#timers = [setInterval(() => void this.look(), LOOK_MS), setInterval(() => this.#lookWhoSpeaks(), SPEAKERS_MS)];
		}
	}

	/** Twice is once. */
	stop(): void {
		for (const timer of this.#timers) {
			clearInterval(timer);
		}
		this.#timers = [];
		this.#connection = undefined;
		this.#tracker.clear();
		this.#setSpeaking([]);
	}

	/** Looks at once: the page may have been asleep. */
	async look(): Promise<void> {
		const connection = this.#connection;
		if (connection === undefined || !connection.connected) {
			return;
		}
		const { totals, packets } = await connection.read();
		if (connection !== this.#connection) {
			return;
		}
		const nowMs = performance.now();
		const grew = totals.packetsReceived > this.#packets;
		this.#packets = totals.packetsReceived;
		const stall = this.#detector.observe(nowMs, packets);
		if (stall !== 'none') {
			this.emit('stall', { all: stall === 'all' });
			return;
		}
		if (grew) {
			this.emit('flow', { nowMs });
		}
		if (nowMs - this.#totals.atMs >= QUALITY_MS) {
			// Totals start at zero with each session, and starting up is not the line's fault.
			const quality = this.#totals.totals === NO_TOTALS ? 'good' : qualityBetween(this.#totals.totals, totals);
			this.#totals = { atMs: nowMs, totals };
			if (quality !== this.#quality) {
				this.#quality = quality;
				this.emit('quality', { quality });
			}
		}
	}

	#lookWhoSpeaks(): void {
		const connection = this.#connection;
		if (connection !== undefined) {
			if (connection.delivering) {
				this.emit('delivers', {});
			}
			this.#setSpeaking(this.#tracker.observe(performance.now(), connection.contributingSources()));
		}
	}

	#setSpeaking(numbers: readonly number[]): void {
		if (numbers.length !== this.#speaking.length || numbers.some((number, index) => number !== this.#speaking[index])) {
			this.#speaking = numbers;
			this.emit('speakers', { numbers });
		}
	}
}
