/** Somebody who waits. */
export interface Waiting {
	/** Milliseconds since the epoch: the order of the line. */
	readonly firstArrivalMs: number;
	/** Served, refused or gone: it only waits to be swept out. */
	isOver: boolean;
}

/**
 * People in the order of their first arrival, whenever they joined the line. Nearly everybody joins at its end and leaves from its
 * front, so it is an array with a moving front; who leaves from the middle is marked, and swept out when an end comes by.
 */
export class WaitingLine<T extends Waiting> {
	#line: T[] = [];
	#front = 0;
	/** The same people in the order in which they began to wait. */
	#since: T[] = [];
	#sinceFront = 0;
	#size = 0;

	get size(): number {
		return this.#size;
	}

	add(waiting: T): void {
		const line = this.#line;
		let place = line.length;
		if (place > this.#front && (line[place - 1]?.firstArrivalMs ?? 0) > waiting.firstArrivalMs) {
			place = this.#placeAfter(waiting.firstArrivalMs);
		}
		if (place === line.length) {
			line.push(waiting);
		} else {
			line.splice(place, 0, waiting);
		}
		this.#since.push(waiting);
		this.#size++;
	}

	/** Who came first. */
	get oldest(): T | undefined {
		for (; this.#front < this.#line.length; this.#front++) {
			const waiting = this.#line[this.#front];
			if (waiting && !waiting.isOver) {
				break;
			}
		}
		// Let go of those who left, now and then: each costs one move at most.
		if (this.#front > 1_000 && this.#front * 2 > this.#line.length) {
			this.#line = this.#line.slice(this.#front);
			this.#front = 0;
		}
		return this.#line[this.#front];
	}

	/** Who has waited longest. */
	get longest(): T | undefined {
		while (this.#since[this.#sinceFront]?.isOver === true) {
			this.#sinceFront++;
		}
		if (this.#sinceFront > 1_000 && this.#sinceFront * 2 > this.#since.length) {
			this.#since = this.#since.slice(this.#sinceFront);
			this.#sinceFront = 0;
		}
		return this.#since[this.#sinceFront];
	}

	/** Who came last. */
	get youngest(): T | undefined {
		while (this.#line.length > this.#front && this.#line.at(-1)?.isOver === true) {
			this.#line.pop();
		}
		return this.#line.length > this.#front ? this.#line.at(-1) : undefined;
	}

	/** Out of the line, wherever in it. Idempotent. */
	leave(waiting: T): void {
		if (!waiting.isOver) {
			waiting.isOver = true;
			this.#size--;
		}
	}

	/** How many in it came by that time: all of them are before somebody who came then and is not in it. */
	until(firstArrivalMs: number): number {
		// Those who left from the middle are few; counting them exactly would cost a look at each.
		return this.oldest ? Math.min(this.#size, this.#placeAfter(firstArrivalMs) - this.#front) : 0;
	}

	/** Index of the first who came later. */
	#placeAfter(firstArrivalMs: number): number {
		let low = this.#front;
		let high = this.#line.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if ((this.#line[middle]?.firstArrivalMs ?? Infinity) > firstArrivalMs) {
				high = middle;
			} else {
				low = middle + 1;
			}
		}
		return low;
	}
}
