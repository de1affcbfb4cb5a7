// A load generator: a process with many listeners. Told what to do by the benchmark over its child-process channel.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { LoadListener } from './load-listener.ts';
import type { FromGenerator, ToGenerator } from './messages.ts';

const listeners: LoadListener[] = [];
const answers = new Map<number, { resolve: (answer: string) => void; reject: (error: Error) => void }>();
const lag = monitorEventLoopDelay({ resolution: 10 });
let nextId = 1;
let markedAtMs = performance.now();
let cpuAtMark = process.cpuUsage();

const tell = (message: FromGenerator): void => void process.send?.(message);

function exchange(offer: string): Promise<string> {
	const id = nextId++;
	return new Promise((resolve, reject) => {
		answers.set(id, { resolve, reject });
		tell({ kind: 'offer', id, offer });
	});
}

async function join(count: number, concurrency: number): Promise<void> {
	let left = count;
	let failed = 0;
	let error: string | undefined;
	const connectMs: number[] = [];
	await Promise.all(
		Array.from({ length: concurrency }, async () => {
			while (left-- > 0) {
				const listener = new LoadListener();
				try {
					connectMs.push(await listener.join(exchange));
					listeners.push(listener);
				} catch (reason) {
					failed++;
					error = String(reason);
					listener.close();
				}
			}
		}),
	);
	tell({ kind: 'joined', joined: connectMs.length, failed, connectMs, ...(error === undefined ? {} : { error }) });
}

function report(): void {
	const seconds = (performance.now() - markedAtMs) / 1_000;
	const { user, system } = process.cpuUsage(cpuAtMark);
	const sum = (of: (listener: LoadListener) => number): number => listeners.reduce((total, listener) => total + of(listener), 0);
	tell({
		kind: 'report',
		report: {
			listeners: listeners.length,
			connected: listeners.filter(({ isConnected }) => isConnected).length,
			seconds,
			packets: sum(({ packets }) => packets),
			audioPackets: sum(({ audioPackets }) => audioPackets),
			lost: sum(({ lost }) => lost),
			deaf: listeners.filter(({ audioPackets }) => audioPackets === 0).length,
			largestGapMs: Math.max(0, ...listeners.map(({ largestGapMs }) => largestGapMs)),
			cpuRatio: (user + system) / 1e6 / seconds,
			eventLoopLagMs: Math.max(0, lag.percentile(99) / 1e6 - 10),
		},
	});
}

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToGenerator) => {
	switch (message.kind) {
		case 'join':
			void join(message.count, message.concurrency);
			break;
		case 'answer':
			answers.get(message.id)?.resolve(message.answer);
			answers.delete(message.id);
			break;
		case 'refused':
			answers.get(message.id)?.reject(new Error(message.message));
			answers.delete(message.id);
			break;
		case 'mark':
			for (const listener of listeners) {
				listener.mark();
			}
			lag.enable();
			lag.reset();
			markedAtMs = performance.now();
			cpuAtMark = process.cpuUsage();
			tell({ kind: 'marked' });
			break;
		case 'report':
			report();
			break;
		case 'close':
			for (const listener of listeners) {
				listener.close();
			}
			process.exit(0);
	}
});
