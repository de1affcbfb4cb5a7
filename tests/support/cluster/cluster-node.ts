import { isRunning } from '../processes.ts';
import { RostrumProcess } from '../process/rostrum-process.ts';
import type { ClusterClient } from './cluster-client.ts';
import type { ClusterNetwork } from './network.ts';
import { until } from './until.ts';

const HTTP_PORT = 3_000;
/** Each host has its ports for itself. */
const MEDIA_PORT = 26_000;
const ORPHANS_MS = 10_000;

export interface ClusterNodeOptions {
	name: string;
	network: ClusterNetwork;
	/** A client on another host, by which the node's API is reached. */
	client: ClusterClient;
	dataDir: string;
	env: Record<string, string>;
}

/** One host of the cluster and the node on it: started, killed, paused, started again. */
export class ClusterNode {
	readonly name: string;
	readonly address: string;
	/** Where people reach it. */
	readonly base: string;
	readonly #options: ClusterNodeOptions;
	#process: RostrumProcess | undefined;
	#paused: number[] = [];

	constructor(options: ClusterNodeOptions) {
		this.#options = options;
		this.name = options.name;
		this.address = options.network.address(options.name);
		this.base = `http://${this.address}:${HTTP_PORT}`;
	}

	get process(): RostrumProcess {
		if (!this.#process) {
			throw new Error(`${this.name} was not started`);
		}
		return this.#process;
	}
	get running(): boolean {
		return this.#process !== undefined && isRunning(this.#process.pid);
	}

	async start(): Promise<void> {
		const { name, network, client, dataDir, env } = this.#options;
		// What a killed node process leaves ends by itself, and gives its ports free with it.
		await until(`${name} is empty`, ORPHANS_MS, async () => network.pids(name).length === 0 || network.pids(name).join());
		this.#process = await RostrumProcess.start({
			mediaPort: MEDIA_PORT,
			dataDir,
			netns: network.netns(name),
			fetch: client.fetch,
			env: { ROSTRUM_HTTP_HOST: this.address, ROSTRUM_HTTP_PORT: String(HTTP_PORT), ROSTRUM_MEDIA_ADDRESS: this.address, ROSTRUM_ROOMS_DEMO: 'false', ...env },
		});
		// Where it listens, whatever it tells people.
		this.#process.url = this.base;
	}

	/** Shards by index; a replaced one's newest process. */
	async shards(): Promise<Map<number, { pid: number; workerPid: number; role: 'stage' | 'listener' }>> {
		return this.process.shardPids();
	}

	/** `kill -9` of a shard's process, the worker's last words included: as if the machine's memory had run out. */
	async killShard(index: number): Promise<void> {
		const shard = (await this.shards()).get(index);
		if (!shard) {
			throw new Error(`${this.name} has no shard ${index}`);
		}
		process.kill(shard.pid, 'SIGKILL');
	}

	async stageShard(): Promise<number> {
		for (const [index, { role }] of await this.shards()) {
			if (role === 'stage') {
				return index;
			}
		}
		throw new Error(`${this.name} has no stage shard`);
	}

	/** `kill -9` of the node process alone: what it started ends by itself. */
	async killProcess(): Promise<void> {
		await this.#process?.stop('SIGKILL');
	}

	/** The power plug: everything on the host at once, and nothing says goodbye. */
	async killHost(): Promise<void> {
		this.#options.network.isolate(this.name);
		for (const pid of this.#options.network.pids(this.name)) {
			kill(pid, 'SIGKILL');
		}
		await this.#process?.stop('SIGKILL');
	}

	/** Stops the node process, or everything on the host, in mid-step. */
	pause(what: 'process' | 'host'): void {
		this.#paused = what === 'process' ? [this.process.pid] : this.#options.network.pids(this.name);
		for (const pid of this.#paused) {
			kill(pid, 'SIGSTOP');
		}
	}
	resume(): void {
		for (const pid of this.#paused.splice(0)) {
			kill(pid, 'SIGCONT');
		}
	}

	/** SIGTERM, and its end. */
	async stop(): Promise<number | null> {
		return (await this.#process?.stop('SIGTERM')) ?? null;
	}
}

function kill(pid: number, signal: NodeJS.Signals): void {
	try {
		process.kill(pid, signal);
	} catch {
		// It went by itself.
	}
}
