import type { VirtualTime } from './virtual-time.ts';

type Done = () => void;

const STEP_MS = 1;
/** Lags of a second, sorted into classes of half a power of two from 0.25 ms on. */
const LAG_CLASSES = 40;
const lagClass = (lagMs: number) => (lagMs <= 0.25 ? 0 : Math.min(LAG_CLASSES - 1, Math.ceil(2 * Math.log2(lagMs / 0.25))));
const lagOf = (index: number) => (index === 0 ? 0.25 : 0.25 * 2 ** (index / 2));

/** One process with one busy thread: work waits in a line, and what must be done every moment (media) comes first. */
export class SimulatedProcess {
	/** Waiting work, in ms of one core. */
	backlogMs = 0;
	/** Steady work, of one core. */
	steadyRatio = 0;
	/** Steady work that should have been done by now, in ms: packets leave so much later. */
	lateMs = 0;
	readonly #processors: Processors;
	#costs: number[] = [];
	#done: Done[] = [];
	#first = 0;
	/** Of the first one. */
	#leftMs = 0;
	#usedMs = 0;
	readonly #lags = new Uint32Array(LAG_CLASSES);
	#looks = 0;

	constructor(processors: Processors) {
		this.#processors = processors;
	}

	/** Work of so many ms of one core; `done` is told when it is through. */
	add(costMs: number, done: Done): void {
		if (this.#first === this.#costs.length) {
			this.#leftMs = costMs;
		}
		this.#costs.push(costMs);
		this.#done.push(done);
		this.backlogMs += costMs;
		this.#processors.wake();
	}

	/** Its work is gone with it. */
	clear(): void {
		this.#costs = [];
		this.#done = [];
		this.#first = 0;
		this.backlogMs = 0;
		this.lateMs = 0;
	}

	get wantsMs(): number {
		return Math.min(STEP_MS, this.backlogMs + this.lateMs + this.steadyRatio * STEP_MS);
	}

	/** One step, with so much of a core. */
	work(budgetMs: number): void {
		const steadyMs = this.lateMs + this.steadyRatio * STEP_MS;
		const onTimeMs = Math.min(steadyMs, budgetMs);
		this.lateMs = steadyMs - onTimeMs;
		let leftMs = budgetMs - onTimeMs;
		this.#usedMs += onTimeMs;
		while (this.backlogMs > 0 && leftMs > 0) {
			if (this.#leftMs > leftMs) {
				this.#leftMs -= leftMs;
				this.backlogMs -= leftMs;
				this.#usedMs += leftMs;
				break;
			}
			leftMs -= this.#leftMs;
			this.backlogMs -= this.#leftMs;
			this.#usedMs += this.#leftMs;
			this.#next();
		}
		this.#lags[lagClass(budgetMs > 0 ? (this.backlogMs + this.lateMs) / (budgetMs / STEP_MS) : this.backlogMs)]!++;
		this.#looks++;
	}

	/** So long nothing happened but the steady work. */
	rest(durationMs: number): void {
		this.#usedMs += Math.min(1, this.steadyRatio) * durationMs;
		this.#lags[0]! += durationMs;
		this.#looks += durationMs;
	}

	/** Since the last time this was asked: share of one core, and the 99th percentile of the event loop's lag. */
	takeEffort(durationMs: number): { cpuRatio: number; lagMs: number } {
		const cpuRatio = this.#usedMs / durationMs;
		this.#usedMs = 0;
		let above = this.#looks / 100;
		let index = LAG_CLASSES - 1;
		for (; index > 0 && above >= this.#lags[index]!; index--) {
			above -= this.#lags[index]!;
		}
		this.#lags.fill(0);
		this.#looks = 0;
		return { cpuRatio, lagMs: lagOf(index) };
	}

	#next(): void {
		const done = this.#done[this.#first]!;
		this.#first++;
		if (this.#first === this.#costs.length) {
			this.#costs = [];
			this.#done = [];
			this.#first = 0;
			this.backlogMs = 0;
		} else {
			this.#leftMs = this.#costs[this.#first]!;
		}
		if (this.#first > 4_096) {
			this.#costs = this.#costs.slice(this.#first);
			this.#done = this.#done.slice(this.#first);
			this.#first = 0;
		}
		done();
	}
}

/** The cores of one host and the processes that share them, each with at most one core: when all want more than there is, each gets its part. */
export class Processors {
	readonly #time: VirtualTime;
	readonly #cores: number;
	readonly #processes: SimulatedProcess[] = [];
	#awake = false;
	#steppedMs: number;
	#stopped = false;

	constructor(time: VirtualTime, cores: number) {
		this.#time = time;
		this.#cores = cores;
		this.#steppedMs = time.nowMs();
	}

	add(): SimulatedProcess {
		const process = new SimulatedProcess(this);
		this.#processes.push(process);
		return process;
	}

	wake(): void {
		if (!this.#awake && !this.#stopped) {
			this.#awake = true;
			this.catchUp();
			this.#time.at(this.#time.nowMs() + STEP_MS, this.#step);
		}
	}

	/** Books what was done since the last step, while nobody waited for anything. */
	catchUp(): void {
		const nowMs = this.#time.nowMs();
		if (nowMs > this.#steppedMs) {
			for (const process of this.#processes) {
				process.rest(nowMs - this.#steppedMs);
			}
			this.#steppedMs = nowMs;
		}
	}

	stop(): void {
		this.#stopped = true;
		this.#processes.forEach((process) => process.clear());
	}

	readonly #step = (): void => {
		if (this.#stopped) {
			return;
		}
		this.#steppedMs = this.#time.nowMs();
		let wanted = 0;
		for (const process of this.#processes) {
			wanted += process.wantsMs;
		}
		const share = wanted > this.#cores * STEP_MS ? (this.#cores * STEP_MS) / wanted : 1;
		for (const process of this.#processes) {
			process.work(share < 1 ? process.wantsMs * share : STEP_MS);
		}
		// Callbacks may have given others work; and where media is late, every step counts.
		this.#awake = this.#processes.some(({ backlogMs, lateMs, steadyRatio }) => backlogMs > 0 || lateMs > 0 || steadyRatio > 1);
		if (this.#awake) {
			this.#time.at(this.#steppedMs + STEP_MS, this.#step);
		}
	};
}
