import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** Below 32768: a connection of some other process can never happen to have such a port as its own end. */
const FIRST_PORT = 27_600;
/** Ports for each test file that runs at the same time: a server that a test has killed finds its port free when it comes back. */
const PORTS = 50;
const SLICES = 6;
const SLICE_PORT = FIRST_PORT + PORTS * (Number(process.env['VITEST_POOL_ID'] ?? 0) % SLICES);
const START_ATTEMPTS = 20;

export interface RedisServerOptions {
	/** Default: any free one of this test file's slice of 27600 to 27899. */
	port?: number;
	/** Address to listen on and to be reached at; default 127.0.0.1. */
	host?: string;
	/** Further arguments, e.g. `['--requirepass', 'secret']`. */
	args?: readonly string[];
	/** First argument of all: a configuration file the server may rewrite (a Sentinel needs one). */
	configFile?: string;
	/** Name of the network namespace it runs in. */
	netns?: string;
	/** Its log says this once it answers. */
	readyWhen?: RegExp;
}

/** A port of this machine that nobody listens on at this moment, and no other test file takes. */
export async function freeRedisPort(host = '127.0.0.1'): Promise<number> {
	const offset = Math.floor(Math.random() * PORTS);
	for (let step = 0; step < PORTS; step++) {
		const port = SLICE_PORT + ((offset + step) % PORTS);
		if (await isFree(host, port)) return port;
	}
	throw new Error(`no free port from ${SLICE_PORT} to ${SLICE_PORT + PORTS - 1}`);
}

function isFree(host: string, port: number): Promise<boolean> {
	const probe = createServer();
	return new Promise((resolve) => {
		probe.once('error', () => resolve(false));
		probe.listen({ host, port }, () => probe.close(() => resolve(true)));
	});
}

/**
 * A real `redis-server` that keeps nothing on disk. It dies with the process that started it, however that ends.
 * What comes back after `kill()` and `restart()` is empty.
 */
export class RedisServer {
	readonly host: string;
	readonly port: number;
	readonly #options: RedisServerOptions;
	readonly #folder: string;
	#child: ChildProcess;

	static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
		const host = options.host ?? '127.0.0.1';
		for (let attempt = 1; ; attempt++) {
			const port = options.port ?? (options.netns === undefined ? await freeRedisPort(host) : FIRST_PORT);
			const folder = mkdtempSync(path.join(tmpdir(), 'rostrum-redis-'));
			try {
				return new RedisServer(options, host, port, folder, await run(options, host, port, folder));
			} catch (error) {
				rmSync(folder, { recursive: true, force: true });
				// Somebody else took the port between the look and the start.
				if (options.port !== undefined || attempt === START_ATTEMPTS || !String(error).includes('in use')) throw error;
			}
		}
	}

	private constructor(options: RedisServerOptions, host: string, port: number, folder: string, child: ChildProcess) {
		this.#options = options;
		this.host = host;
		this.port = port;
		this.#folder = folder;
		this.#child = child;
	}

	get url(): string {
		return `redis://${this.host}:${this.port}`;
	}
	get pid(): number {
		if (this.#child.pid === undefined) throw new Error('redis-server did not start');
		return this.#child.pid;
	}
	get running(): boolean {
		return this.#child.exitCode === null && this.#child.signalCode === null;
	}

	/** It stays connected and answers nobody. */
	pause(): void {
		process.kill(this.pid, 'SIGSTOP');
	}
	resume(): void {
		process.kill(this.pid, 'SIGCONT');
	}

	/** What `redis-cli` prints; the way in for tests that want to look from outside or to spoil something. */
	async cli(...args: string[]): Promise<string> {
		const command = inNamespace(this.#options.netns, ['redis-cli', '-h', this.host, '-p', String(this.port), ...args]);
		const { stdout } = await promisify(execFile)(command[0]!, command.slice(1), { encoding: 'utf8', maxBuffer: 64 << 20 });
		return stdout.trimEnd();
	}

	async flush(): Promise<void> {
		await this.cli('FLUSHALL');
	}

	/** Gone at once, with all data; the port stays its own for `restart()`. */
	async kill(): Promise<void> {
		if (!this.running) return;
		const exited = once(this.#child, 'exit');
		this.#child.kill('SIGKILL');
		await exited;
	}

	/** On the same port, empty. */
	async restart(): Promise<void> {
		await this.kill();
		this.#child = await run(this.#options, this.host, this.port, this.#folder);
	}

	/** For good. There is nothing on disk to save, so this is `kill()`. */
	async stop(): Promise<void> {
		await this.kill();
		rmSync(this.#folder, { recursive: true, force: true });
	}
}

function inNamespace(netns: string | undefined, command: string[]): string[] {
	return netns === undefined ? command : ['ip', 'netns', 'exec', netns, ...command];
}

/** Resolves when it answers; rejects with its last words when it ends instead. */
async function run(options: RedisServerOptions, host: string, port: number, folder: string): Promise<ChildProcess> {
	// The kernel kills it when its parent is gone; `setpriv` and `ip netns exec` become the server themselves, so the pid is its own.
	const settings = { port, bind: host, dir: folder, save: '', appendonly: 'no', 'protected-mode': 'no' };
	const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
	const file = options.configFile === undefined ? [] : [options.configFile];
	const server = ['setpriv', '--pdeathsig', 'KILL', 'redis-server', ...file, ...args, ...(options.args ?? [])];
	const command = inNamespace(options.netns, server);
	const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
	const ready = options.readyWhen ?? /Ready to accept connections/;
	const said: string[] = [];
	return new Promise((resolve, reject) => {
		child.once('error', (error) => reject(new Error('redis-server cannot be started; is it installed?', { cause: error })));
		child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${said.join('\n')}`)));
		for (const stream of [child.stdout, child.stderr]) {
			createInterface({ input: stream }).on('line', (line) => {
				if (said.push(line) > 20) said.shift();
				if (ready.test(line)) resolve(child);
			});
		}
	});
}
