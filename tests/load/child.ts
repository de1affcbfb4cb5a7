import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';

const CHRT = '/usr/bin/chrt';

/** A process of the benchmark: messages out, messages in, waited for by kind. It ends with the benchmark at the latest. */
export class Child<Out extends { kind: string }, In extends { kind: string }> {
	readonly #process: ChildProcess;
	readonly #messages = new EventEmitter();
	readonly #name: string;

	/** @param yields whether it takes only processor time that nobody else wants (chrt's "idle"), where that can be had */
	static start<Out extends { kind: string }, In extends { kind: string }>(file: string, args: readonly string[] = [], yields = false): Child<Out, In> {
		return new Child<Out, In>(file, args, yields);
	}

	private constructor(file: string, args: readonly string[], yields: boolean) {
		this.#name = file;
		this.#messages.setMaxListeners(0);
		const program = yields && existsSync(CHRT) ? { execPath: CHRT, execArgv: ['--idle', '0', process.execPath] } : { execArgv: [] };
		this.#process = fork(path.join(import.meta.dirname, file), args, { ...program, serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
		this.#process.on('message', (message: In) => this.#messages.emit(message.kind, message));
		this.#process.once('exit', (code, signal) => this.#messages.emit('error', new Error(`${file} ended (code ${code}, signal ${signal})`)));
		this.#messages.on('error', () => undefined); // Whoever waits gets it; else it was meant to end.
	}

	send(message: Out): void {
		this.#process.send(message);
	}

	on<K extends In['kind']>(kind: K, listener: (message: Extract<In, { kind: K }>) => void): void {
		this.#messages.on(kind, listener);
	}

	/** Sends, if anything, and resolves with the next message of this kind; rejects when the process ends or time is up. */
	async expect<K extends In['kind']>(kind: K, message?: Out, timeoutMs = 120_000): Promise<Extract<In, { kind: K }>> {
		const awaited = once(this.#messages, kind, { signal: AbortSignal.timeout(timeoutMs) });
		if (message) {
			this.send(message);
		}
		try {
			return (await awaited)[0] as Extract<In, { kind: K }>;
		} catch (error) {
			throw new Error(`waited for "${kind}" of ${this.#name}`, { cause: error });
		}
	}

	/** Asks it to leave, and kills it when it has not within 6 s. */
	async close(farewell: Out): Promise<void> {
		if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
			return;
		}
		const gone = once(this.#process, 'exit');
		const timer = setTimeout(() => this.#process.kill('SIGKILL'), 6_000);
		this.send(farewell);
		await gone;
		clearTimeout(timer);
	}
}
