import type { VirtualTime } from './virtual-time.ts';

/** What is due is one number: what, and for whom. */
const KIND = 2 ** 22;

/** What is due for whom and when: one timer for each moment and a number for each entry, however many there are. */
export class Agenda {
	readonly #time: VirtualTime;
	readonly #work: (kind: number, listener: number) => void;
	readonly #due = new Map<number, number[]>();

	constructor(time: VirtualTime, work: (kind: number, listener: number) => void) {
		this.#time = time;
		this.#work = work;
	}

	/** At the next whole millisecond after that, one from now at least. */
	later(delayMs: number, kind: number, listener: number): void {
		const atMs = Math.ceil(this.#time.nowMs() + Math.max(1, delayMs));
		const due = this.#due.get(atMs);
		if (due) {
			due.push(kind * KIND + listener);
			return;
		}
		this.#due.set(atMs, [kind * KIND + listener]);
		this.#time.at(atMs, () => this.#workOff(atMs));
	}

	#workOff(atMs: number): void {
		const due = this.#due.get(atMs) ?? [];
		this.#due.delete(atMs);
		for (const entry of due) {
			this.#work(Math.floor(entry / KIND), entry % KIND);
		}
	}
}
