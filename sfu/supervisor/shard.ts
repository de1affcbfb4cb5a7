import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { messagesOf, Outbox, type ShardMail } from '../contract/outbox.ts';
import { SFU_ERRORS, SfuError, type SfuErrorCode } from '../contract/sfu-error.ts';
import type {
	ParamsOf,
	ResultOf,
	ShardAssignment,
	ShardEventName,
	ShardEvents,
	ShardMessage,
	ShardRequestName,
	ShardStats,
} from '../contract/shard-protocol.ts';
import { killIfWorker } from './kill-worker.ts';

const ENTRY = path.resolve(import.meta.dirname, '../shard/main.ts');

export interface ShardHandleEvents {
	/** Modules loaded and worker running. */
	ready: [];
	/** Once, whatever the cause; every pending request has been rejected with `shard_gone`. */
	gone: [{ code: number | null; signal: NodeJS.Signals | null }];
	event: [name: ShardEventName, data: ShardEvents[ShardEventName]];
}

export interface ShardOptions {
	log: Logger;
	requestTimeoutMs: number;
	/** Environment of the child beside our own, e.g. MEDIASOUP_WORKER_BIN. */
	env?: Record<string, string>;
}

interface Pending {
	name: ShardRequestName;
	resolve: (result: unknown) => void;
	reject: (error: SfuError) => void;
	timer: NodeJS.Timeout;
}

/** The node's end of one shard process: typed requests with time-outs, events, and its death. */
export class Shard extends EventEmitter<ShardHandleEvents> {
	readonly #child: ChildProcess;
	readonly #log: Logger;
	readonly #requestTimeoutMs: number;
	readonly #pending = new Map<number, Pending>();
	readonly #outbox = new Outbox(
		(mail) => {
			this.#child.send(mail, (error) => {
				if (error) {
					for (const message of messagesOf(mail)) {
						this.#unsent(message, new SfuError('shard_gone', 'the shard cannot be reached', { cause: error }));
					}
				}
			});
		},
		(message, cause) => this.#unsent(message, new SfuError('shard_failed', 'the request holds what cannot be sent to a shard', { cause })),
	);
	#nextId = 1;
	#state: 'starting' | 'ready' | 'gone' = 'starting';
	#workerPid: number | undefined;
	#assignment: ShardAssignment | undefined;
	#stats: ShardStats | undefined;

	static spawn(options: ShardOptions): Shard {
		return new Shard(options);
	}

	private constructor({ log, requestTimeoutMs, env }: ShardOptions) {
		super();
		this.#requestTimeoutMs = requestTimeoutMs;
		this.#child = fork(ENTRY, [], {
			// A small young generation: packets are garbage within a millisecond, so a larger one only makes for cold caches and
			// 40 KB more of memory a listener (measured with `npm run bench`).
			execArgv: ['--max-semi-space-size=2'],
			env: { ...withoutSettings(process.env), ...env },
			serialization: 'advanced',
			// A session of its own: Ctrl-C in the terminal must reach the node alone, which then ends its
			// shards politely. A shard whose node is gone notices the closed channel and leaves.
			detached: true,
			stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
		});
		this.#log = log.child({ shardPid: this.#child.pid });
		this.#child.on('message', (mail) => {
			for (const message of messagesOf(mail as ShardMail)) {
				this.#onMessage(message);
			}
		});
		this.#child.once('exit', (code, signal) => this.#onGone(code, signal));
		// Stays on: a second error without a listener would end the node.
		this.#child.on('error', (error) => {
			this.#log.error({ err: error }, 'a shard process could not be started or reached');
			if (this.#child.pid === undefined) {
				this.#onGone(null, null);
			}
		});
		this.#forwardLog(this.#child.stdout);
		this.#forwardLog(this.#child.stderr);
	}

	get pid(): number | undefined {
		return this.#child.pid;
	}
	get workerPid(): number | undefined {
		return this.#workerPid;
	}
	get isReady(): boolean {
		return this.#state === 'ready';
	}
	get isGone(): boolean {
		return this.#state === 'gone';
	}
	/** What the shard was told to be; undefined while it is a spare. */
	get assignment(): ShardAssignment | undefined {
		return this.#assignment;
	}
	/** The latest figures, at most about a second old. */
	get stats(): ShardStats | undefined {
		return this.#stats;
	}

	async assign(assignment: ShardAssignment): Promise<void> {
		await this.request('shard.assign', assignment);
		this.#assignment = assignment;
	}

	/** Rejects with SfuError: the shard's own, or `shard_timeout`, or `shard_gone`. */
	request<N extends ShardRequestName>(name: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
		return new Promise<ResultOf<N>>((resolve, reject) => {
			if (this.#state === 'gone') {
				reject(new SfuError('shard_gone', 'the shard has gone'));
				return;
			}
			const id = this.#nextId++;
			const timer = setTimeout(() => {
				this.#pending.delete(id);
				reject(new SfuError('shard_timeout', `the shard did not answer ${name} within ${this.#requestTimeoutMs} ms`));
			}, this.#requestTimeoutMs);
			this.#pending.set(id, { name, resolve: resolve as (result: unknown) => void, reject, timer });
			this.#outbox.post({ kind: 'request', id, name, params });
		});
	}

	/** Asks the shard to end its sessions and leave; kills it when it has not left by the deadline. */
	async close(reason: string, deadlineMs: number): Promise<void> {
		if (this.#state === 'gone') {
			return;
		}
		const gone = new Promise<void>((resolve) => this.once('gone', () => resolve()));
		const timer = setTimeout(() => this.kill(), deadlineMs);
		this.request('shard.close', { reason }).catch(() => this.kill());
		await gone;
		clearTimeout(timer);
	}

	/** The worker with it: a hung one would not notice that its shard is gone, and this process may not live to see to it. */
	kill(): void {
		this.#child.kill('SIGKILL');
		if (this.#state !== 'gone' && this.#workerPid !== undefined) {
			killIfWorker(this.#workerPid);
		}
	}

	#onMessage(message: ShardMessage): void {
		if (this.#state === 'gone') {
			return; // Words of the dead may still be in the channel; they are about things that are no more.
		}
		switch (message.kind) {
			case 'result':
				this.#settle(message.id)?.resolve(message.result);
				break;
			case 'error': {
				const code: SfuErrorCode = message.code in SFU_ERRORS ? (message.code as SfuErrorCode) : 'shard_failed';
				this.#settle(message.id)?.reject(new SfuError(code, message.message, message.reason === undefined ? {} : { reason: message.reason }));
				break;
			}
			case 'event':
				this.#onEvent(message.name, message.data as ShardEvents[ShardEventName]);
				break;
			case 'request':
				break; // Shards do not ask the node.
		}
	}

	#onEvent(name: ShardEventName, data: ShardEvents[ShardEventName]): void {
		if (name === 'shard.ready') {
			this.#workerPid = (data as ShardEvents['shard.ready']).workerPid;
			this.#state = 'ready';
			this.emit('ready');
			return;
		}
		if (name === 'shard.stats') {
			this.#stats = data as ShardStats;
		}
		this.emit('event', name, data);
	}

	#unsent(message: ShardMessage, error: SfuError): void {
		if (message.kind === 'request') {
			this.#settle(message.id)?.reject(error);
		}
	}

	#settle(id: number): Pending | undefined {
		const pending = this.#pending.get(id);
		if (pending) {
			this.#pending.delete(id);
			clearTimeout(pending.timer);
		}
		return pending;
	}

	#onGone(code: number | null, signal: NodeJS.Signals | null): void {
		if (this.#state === 'gone') {
			return;
		}
		this.#state = 'gone';
		if (this.#workerPid !== undefined) {
			killIfWorker(this.#workerPid); // It would leave by itself, but it holds the port that the replacement needs.
		}
		for (const id of this.#pending.keys()) {
			this.#settle(id)?.reject(new SfuError('shard_gone', 'the shard died while it was asked'));
		}
		this.emit('gone', { code, signal });
	}

	/** A shard logs JSON lines; they go on through the node's logger, so that one process writes the log. */
	#forwardLog(stream: Readable | null): void {
		if (!stream) {
			return;
		}
		createInterface({ input: stream }).on('line', (line) => {
			const fields = parseLogLine(line);
			if (!fields) {
				this.#log.warn({ line }, 'a shard printed');
				return;
			}
			const { level, msg, time: _time, pid: _pid, hostname: _hostname, ...rest } = fields;
			const write = level >= 50 ? 'error' : level >= 40 ? 'warn' : level >= 30 ? 'info' : 'debug';
			this.#log[write](rest, msg);
		});
	}
}

/** The node's settings, secrets among them, are none of the business of processes that read strangers' packets. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
	return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('ROSTRUM_') && name !== 'REDIS_URL'));
}

function parseLogLine(line: string): ({ level: number; msg: string } & Record<string, unknown>) | undefined {
	try {
		const fields: unknown = JSON.parse(line);
		if (typeof fields === 'object' && fields !== null && 'level' in fields && typeof fields.level === 'number' && 'msg' in fields && typeof fields.msg === 'string') {
			return fields as { level: number; msg: string } & Record<string, unknown>;
		}
	} catch {
		// Not JSON: a crash's stack trace, for example.
	}
	return undefined;
}
