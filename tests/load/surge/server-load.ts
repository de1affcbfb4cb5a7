import { samplesOf } from '../../support/scrape.ts';
import { monotonicMs } from '../../support/cluster/monotonic.ts';

/** One shard at one moment, as `/metrics` of the node asked tells it. */
export interface ShardSample {
	atMs: number;
	shard: string;
	role: string;
	listeners: number;
	/** Of one core. */
	workerCpuRatio: number;
	nodeCpuRatio: number;
	eventLoopLagMs: number;
}

const EVERY_MS = 1_000;

/** Reads the server's own figures while a run lasts, where they may be read. */
export class ServerLoad {
	readonly samples: ShardSample[] = [];
	/** Why there are none; undefined: there are. */
	unreadable: string | undefined;
	readonly #url: URL;
	readonly #token: string | undefined;
	readonly #timer: NodeJS.Timeout;

	constructor(url: string, token: string | undefined) {
		this.#url = new URL('/metrics', url);
		this.#token = token;
		this.#timer = setInterval(() => void this.#read(), EVERY_MS);
		void this.#read();
	}

	close(): void {
		clearInterval(this.#timer);
	}

	async #read(): Promise<void> {
		try {
			const headers = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
			const response = await fetch(this.#url, { headers, signal: AbortSignal.timeout(5_000) });
			if (!response.ok) throw new Error(`/metrics answers ${response.status}`);
			this.#take(samplesOf(await response.text()));
			this.unreadable = undefined;
		} catch (error) {
			this.unreadable = this.samples.length > 0 ? undefined : error instanceof Error ? error.message : String(error);
		}
	}

	#take(samples: ReadonlyMap<string, number>): void {
		const atMs = monotonicMs();
		for (const [name, listeners] of samples) {
			const labels = /^rostrum_shard_listeners(\{.*\})$/.exec(name)?.[1];
			if (labels === undefined) continue;
			const of = (figure: string): number => samples.get(`rostrum_shard_${figure}${labels}`) ?? 0;
			this.samples.push({
				atMs,
				shard: /shard="(\d+)"/.exec(labels)?.[1] ?? '?',
				role: /role="(\w+)"/.exec(labels)?.[1] ?? '?',
				listeners,
				workerCpuRatio: of('worker_cpu_ratio'),
				nodeCpuRatio: of('node_cpu_ratio'),
				eventLoopLagMs: of('event_loop_lag_seconds') * 1_000,
			});
		}
	}
}
