import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Writable } from 'node:stream';
import { createWorker, type types } from 'mediasoup';

/** What a worker reads its requests from, as the worker's own start-up has it. */
const REQUESTS_FD = 3;

const requestPipes = new WeakMap<types.Worker, Writable>();

/** As mediasoup's `createWorker`; what is asked of this worker can be gathered by {@link gatherRequests}. */
export async function startWorker(settings: types.WorkerSettings): Promise<types.Worker> {
	const started: ChildProcess[] = [];
	const onProcess = (message: unknown): void => {
		started.push((message as { process: ChildProcess }).process);
	};
	// Node tells of every process that is begun; mediasoup keeps to itself which pipe it writes to.
	subscribe('child_process', onProcess);
	try {
		const worker = await createWorker(settings);
		const pipe = started.find(({ pid }) => pid === worker.pid)?.stdio[REQUESTS_FD];
		if (pipe instanceof Writable) {
			requestPipes.set(worker, pipe);
		}
		return worker;
	} finally {
		unsubscribe('child_process', onProcess);
	}
}

/**
 * What is asked of the worker from here to the end of this turn goes out in one write. Each write is a system call, and mostly
 * wakes the worker up: for the five requests of a join they were a seventh of what it costs the shard.
 */
export function gatherRequests(worker: types.Worker): void {
	const pipe = requestPipes.get(worker);
	if (pipe && pipe.writableCorked === 0) {
		pipe.cork();
		process.nextTick(() => pipe.uncork());
	}
}
