import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { AnswerFrame, CommandFrame, CommandName, CommandParams, CommandResult } from './client-protocol.ts';

const NODE = path.resolve(import.meta.dirname, '../../../node_modules/.bin/node');
const MAIN = path.join(import.meta.dirname, 'client-main.ts');

/** A client process on a host of the test network, from outside. It ends with the process that started it. */
export class ClusterClient {
	readonly #child: ChildProcess;
	readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
	#lastId = 0;

	static start(netns: string, address: string): ClusterClient {
		return new ClusterClient(netns, address);
	}

	private constructor(netns: string, address: string) {
		// `ip netns exec` becomes the program itself, so the channel reaches it.
		this.#child = spawn('ip', ['netns', 'exec', netns, NODE, MAIN, address], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' });
		this.#child.on('message', (frame: AnswerFrame) => {
			const waiting = this.#waiting.get(frame.id);
			this.#waiting.delete(frame.id);
			if ('error' in frame) {
				waiting?.reject(new Error(frame.error));
			} else {
				waiting?.resolve(frame.result);
			}
		});
		this.#child.once('exit', (code, signal) => {
			for (const { reject } of this.#waiting.values()) {
				reject(new Error(`the client process ended (code ${code}, signal ${signal})`));
			}
			this.#waiting.clear();
		});
	}

	/** Rejects when the command fails there, or the process ends. */
	ask<N extends CommandName>(name: N, params: CommandParams<N>): Promise<CommandResult<N>> {
		const id = ++this.#lastId;
		const frame: CommandFrame = { id, name, params };
		return new Promise((resolve, reject) => {
			this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
			this.#child.send(frame);
		});
	}

	/** `fetch` from that host; whole answers with bodies of text alone. */
	readonly fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
		const answer = await this.ask('http', {
			url: input instanceof Request ? input.url : String(input),
			method: init.method ?? 'GET',
			headers: Object.fromEntries(new Headers(init.headers)),
			...(typeof init.body === 'string' ? { body: init.body } : {}),
			...(init.redirect === 'manual' ? { redirect: 'manual' } : {}),
		});
		const bodiless = answer.status === 204 || answer.status === 304;
		return new Response(bodiless ? null : answer.body, { status: answer.status, headers: answer.headers });
	};

	async close(): Promise<void> {
		if (this.#child.exitCode === null && this.#child.signalCode === null) {
			const gone = once(this.#child, 'exit');
			this.#child.kill('SIGKILL');
			await gone;
		}
	}
}
