import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const ROOT = path.resolve(import.meta.dirname, '../../..');
export const ADMIN_TOKEN = 'test-admin-token-0123456789-abcdefghij';

export interface RostrumProcessOptions {
	/** First media port; every test file uses a range of its own. */
	mediaPort: number;
	env?: Record<string, string>;
	/** Kept by the caller, so that a restart finds it again; otherwise made and removed. */
	dataDir?: string;
	/** Of a test host; what it starts runs in that network namespace. */
	netns?: string;
	/** How its API is reached; another than the test's own where the test is not on its network. */
	fetch?: typeof fetch;
}

/** A log line of the server. */
export interface LogLine {
	level: number;
	msg: string;
	[field: string]: unknown;
}

interface RoomSettings {
	id?: string;
	title?: string;
	[member: string]: unknown;
}

/** `server/main.ts` as a process of its own, the way `npm start` runs it, with what tests ask of its API. */
export class RostrumProcess extends EventEmitter<{ log: [LogLine]; text: [string]; exit: [number | null, NodeJS.Signals | null] }> {
	readonly child: ChildProcess;
	readonly dataDir: string;
	readonly #ownsDataDir: boolean;
	readonly #fetch: typeof fetch;
	readonly #lines: LogLine[] = [];
	/** What is not a log line: the welcome text, above all. */
	text = '';
	url = '';

	static async start(options: RostrumProcessOptions): Promise<RostrumProcess> {
		const server = new RostrumProcess(options);
		const up = await server.waitForLog((line) => line.msg === 'Rostrum is up');
		server.url = String(up['url']);
		return server;
	}

	private constructor({ mediaPort, env, dataDir, netns, fetch: fetchFromThere = fetch }: RostrumProcessOptions) {
		super();
		this.#fetch = fetchFromThere;
		this.#ownsDataDir = dataDir === undefined;
		this.dataDir = dataDir ?? mkdtempSync(path.join(tmpdir(), 'rostrum-test-'));
		const command = [path.join(ROOT, 'node_modules/.bin/node'), 'server/main.ts'];
		const [program = '', ...args] = netns === undefined ? command : ['ip', 'netns', 'exec', netns, ...command];
		this.child = spawn(program, args, {
			cwd: ROOT,
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {
				...process.env,
				ROSTRUM_HTTP_PORT: '0',
				ROSTRUM_DATA_DIR: this.dataDir,
				ROSTRUM_ADMIN_TOKEN: ADMIN_TOKEN,
				ROSTRUM_MEDIA_PORT: String(mediaPort),
				ROSTRUM_SFU_LINK_PORT_MIN: String(mediaPort + 20),
				ROSTRUM_SFU_LINK_PORT_MAX: String(mediaPort + 99),
				ROSTRUM_LISTENER_SHARDS: '2',
				ROSTRUM_SFU_REHEARSAL_JOINS: '0',
				ROSTRUM_LOG_PRETTY: 'false',
				LOG_LEVEL: 'info',
				...env,
			},
		});
		for (const stream of [this.child.stdout, this.child.stderr]) {
			if (stream) {
				createInterface({ input: stream }).on('line', (line) => this.#onLine(line));
			}
		}
		this.child.once('exit', (code, signal) => this.emit('exit', code, signal));
	}

	get pid(): number {
		if (this.child.pid === undefined) {
			throw new Error('the server did not start');
		}
		return this.child.pid;
	}
	get logLines(): readonly LogLine[] {
		return this.#lines;
	}

	/** The first line that fits, said already or to come. Rejects when the process ends without it. */
	waitForLog(fits: (line: LogLine) => boolean): Promise<LogLine> {
		const said = this.#lines.find(fits);
		if (said) {
			return Promise.resolve(said);
		}
		return new Promise((resolve, reject) => {
			const onLog = (line: LogLine) => {
				if (fits(line)) {
					this.off('log', onLog);
					this.off('exit', onExit);
					resolve(line);
				}
			};
			const onExit = (code: number | null) => reject(new Error(`the server ended with ${code}: ${this.text || JSON.stringify(this.#lines.at(-1))}`));
			this.on('log', onLog);
			this.once('exit', onExit);
		});
	}

	/** A call to the API as admin (or with another token, or none: null). */
	call(method: string, target: string, body?: unknown, token: string | null = ADMIN_TOKEN): Promise<Response> {
		return this.#fetch(new URL(target, this.url), {
			method,
			headers: {
				...(token === null ? {} : { authorization: `Bearer ${token}` }),
				...(body === undefined ? {} : { 'content-type': 'application/json' }),
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
	}

	/** As `call`, for an answer that must be good. */
	async json<T>(method: string, target: string, body?: unknown, token?: string): Promise<T> {
		const response = await this.call(method, target, body, token);
		if (!response.ok) {
			throw new Error(`${method} ${target}: ${response.status} ${await response.text()}`);
		}
		return (await response.json()) as T;
	}

	/** Makes a room and brings it into a state. */
	async room(settings: RoomSettings, state: 'scheduled' | 'open' | 'live' = 'live'): Promise<string> {
		const { id } = await this.json<{ id: string }>('POST', '/v1/rooms', { title: 'Test room', visibility: 'public', ...settings });
		if (state !== 'scheduled') {
			await this.json('POST', `/v1/rooms/${id}/open`);
		}
		if (state === 'live') {
			await this.json('POST', `/v1/rooms/${id}/start`);
		}
		return id;
	}

	token(room: string, role: string, name: string, more: object = {}): Promise<{ token: string; url: string }> {
		return this.json('POST', `/v1/rooms/${room}/tokens`, { role, name, ...more });
	}

	/** The shard's and its worker's process ids, from the operating system: children of the server. */
	async shardPids(): Promise<Map<number, { pid: number; workerPid: number; role: 'stage' | 'listener' }>> {
		const pids = new Map<number, { pid: number; workerPid: number; role: 'stage' | 'listener' }>();
		for (const line of this.#lines) {
			if (line.msg === 'shard up' && typeof line['shard'] === 'number') {
				pids.set(line['shard'], { pid: Number(line['shardProcess']), workerPid: Number(line['workerProcess']), role: line['role'] === 'stage' ? 'stage' : 'listener' });
			}
		}
		return pids;
	}

	/** Ends the process (politely unless told otherwise) and waits until it is gone. */
	async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
		if (this.child.exitCode === null && this.child.signalCode === null) {
			const exited = once(this, 'exit');
			this.child.kill(signal);
			await exited;
		}
		if (this.#ownsDataDir) {
			rmSync(this.dataDir, { recursive: true, force: true });
		}
		return this.child.exitCode;
	}

	#onLine(line: string): void {
		if (line.startsWith('{')) {
			try {
				const parsed = JSON.parse(line) as LogLine;
				this.#lines.push(parsed);
				this.emit('log', parsed);
				return;
			} catch {
				// Not a log line after all.
			}
		}
		this.text += `${line}\n`;
		this.emit('text', line);
	}
}
