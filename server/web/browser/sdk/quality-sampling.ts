import type { Reporting } from './ice-links.ts';
import type { ListenEvents } from './listen-events.ts';
import type { Connection } from './listen-parts.ts';

/** What happened that no statistics tell. */
export interface Heard {
	first: ListenEvents['firstaudio'] | undefined;
	gapsMs: number[];
}

/** Draws whether this listener is one of the few who tell the server how they hear. The rest never loads what they need for it. */
export class QualitySampling {
	readonly #random: () => number;
	readonly #token: string | undefined;
	readonly #current: () => Connection | undefined;
	#heard: Heard = { first: undefined, gapsMs: [] };
	/** One draw for all sessions of this listener, or those who rejoin often would be heard more. */
	readonly #lot: number;
	#reporting: Reporting | null = null;
	#stop: (() => void) | undefined;

	/** @param current the session that plays */
	constructor(random: () => number, token: string | undefined, current: () => Connection | undefined) {
		this.#random = random;
		this.#token = token;
		this.#current = current;
		this.#lot = random();
	}

	sounded(event: ListenEvents['firstaudio']): void {
		this.#heard.first = event;
	}

	missed(gapMs: number): void {
		this.#heard.gapsMs.push(gapMs);
	}

	/** With every session: the part that is asked, and where to, may be another one by now. */
	asked(reporting: Reporting | null): void {
		this.#reporting = reporting;
		if (reporting === null || this.#lot >= reporting.rate) {
			this.#stop?.();
			this.#stop = undefined;
		} else if (this.#stop === undefined) {
			void this.#start(reporting.everyMs);
		}
	}

	/** Twice is once. */
	stop(): void {
		this.asked(null);
		this.#heard = { first: undefined, gapsMs: [] };
	}

	async #start(everyMs: number): Promise<void> {
		let wanted = true;
		this.#stop = () => {
			wanted = false;
		};
		try {
			const { startReporting } = await import('./quality-reporter.ts');
			if (wanted) {
				const url = () => this.#reporting?.url;
				this.#stop = startReporting({ url, everyMs, token: this.#token, heard: this.#heard, current: this.#current, random: this.#random });
			}
		} catch {
			// Nobody misses it.
		}
	}
}
