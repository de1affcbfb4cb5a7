import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

export type LeaseChildEvent =
	| { name: 'started' }
	| { name: 'gained'; room: string; epoch: number }
	| { name: 'lost'; room: string; epoch: number; reason: string }
	| { name: 'behind'; room: string }
	| { name: 'nodeUp'; node: string }
	| { name: 'nodeDown'; node: string; reason: string }
	| { name: 'redis'; state: string }
	| { name: 'answer'; room: string; epoch: number | undefined; home: string | undefined };

export interface LeaseChildOrder {
	ask?: string;
	release?: string;
	close?: true;
}

/** A process with one node's registry and leases. */
export class LeaseProcess {
	readonly nodeId: string;
	readonly #child: ChildProcess;
	readonly #events: (LeaseChildEvent & { atMs: number })[] = [];

	static async start(nodeId: string, redisUrl: string, rooms: string[]): Promise<LeaseProcess> {
		const node = new LeaseProcess(nodeId, fork(new URL('lease-child.ts', import.meta.url), [nodeId, redisUrl, ...rooms]));
		await node.event('started');
		return node;
	}

	private constructor(nodeId: string, child: ChildProcess) {
		this.nodeId = nodeId;
		this.#child = child;
		child.on('message', (event: LeaseChildEvent) => this.#events.push({ ...event, atMs: performance.now() }));
	}

	/** The first such event after that moment; waits for it. */
	async event<N extends LeaseChildEvent['name']>(name: N, afterMs = 0): Promise<LeaseChildEvent & { name: N; atMs: number }> {
		for (;;) {
			const found = this.#events.find((event) => event.name === name && event.atMs >= afterMs);
			if (found) return found as LeaseChildEvent & { name: N; atMs: number };
			await once(this.#child, 'message');
		}
	}

	has(name: LeaseChildEvent['name'], afterMs = 0): boolean {
		return this.#events.some((event) => event.name === name && event.atMs >= afterMs);
	}

	/** What it believes of a room at this moment. */
	async ask(room: string): Promise<LeaseChildEvent & { name: 'answer' }> {
		const nowMs = performance.now();
		this.tell({ ask: room });
		return this.event('answer', nowMs);
	}

	tell(order: LeaseChildOrder): void {
		this.#child.send(order);
	}
	pause(): void {
		this.#child.kill('SIGSTOP');
	}
	resume(): void {
		this.#child.kill('SIGCONT');
	}
	get running(): boolean {
		return this.#child.exitCode === null && this.#child.signalCode === null;
	}
	async kill(): Promise<void> {
		if (!this.running) return;
		const exited = once(this.#child, 'exit');
		this.#child.kill('SIGKILL');
		await exited;
	}
	async close(): Promise<void> {
		const exited = once(this.#child, 'exit');
		this.tell({ close: true });
		await exited;
	}
}
