// A load generator: a process with many listeners. Told what to do by the benchmark over its child-process channel.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Invitation, InvitedListener } from './invited-listener.ts';
import { LoadListener } from './load-listener.ts';
import type { FromGenerator, ToGenerator } from './messages.ts';
import type { Tally } from './stream-tally.ts';

type Listener = LoadListener | InvitedListener;

/** Whoever has heard nothing by then hears nothing. */
const AUDIO_TIMEOUT_MS = 10_000;

const listeners: Listener[] = [];
const answers = new Map<number, { resolve: (answer: string) => void; reject: (error: Error) => void }>();
const lag = monitorEventLoopDelay({ resolution: 10 });
let nextId = 1;
let markedAtMs = performance.now();
let cpuAtMark = process.cpuUsage();

const tell = (message: FromGenerator): void => void process.send?.(message);

/** What the server answers to this message. */
function ask(message: (id: number) => FromGenerator): Promise<{ id: number; answer: string }> {
	const id = nextId++;
	return new Promise((resolve, reject) => {
		answers.set(id, { resolve: (answer) => resolve({ id, answer }), reject });
		tell(message(id));
	});
}

const exchange = async (offer: string): Promise<string> => (await ask((id) => ({ kind: 'offer', id, offer }))).answer;

async function invite(): Promise<Invitation> {
	const { id: of, answer: offer } = await ask((id) => ({ kind: 'offer', id, offer: '' }));
	return { offer, accept: async (answer) => void (await ask((id) => ({ kind: 'accept', id, of, answer }))) };
}

async function join({ count, concurrency, invited, untilAudio }: Extract<ToGenerator, { kind: 'join' }>): Promise<void> {
	let left = count;
	let failed = 0;
	let error: string | undefined;
	const connectMs: number[] = [];
	const firstAudioMs: number[] = [];
	await Promise.all(
		Array.from({ length: concurrency }, async () => {
			while (left-- > 0) {
				const listener = invited ? new InvitedListener() : new LoadListener();
				const startedAtMs = performance.now();
				try {
					connectMs.push(await (listener instanceof InvitedListener ? listener.join(invite) : listener.join(exchange)));
					if (untilAudio) {
						firstAudioMs.push((await heardAtMs(listener)) - startedAtMs);
					}
					listeners.push(listener);
				} catch (reason) {
					failed++;
					error = String(reason);
					listener.close();
				}
			}
		}),
	);
	tell({ kind: 'joined', joined: connectMs.length, failed, connectMs, firstAudioMs, ...(error === undefined ? {} : { error }) });
}

async function heardAtMs({ tally }: Listener): Promise<number> {
	const untilMs = performance.now() + AUDIO_TIMEOUT_MS;
	while (tally.firstAudioAtMs === 0) {
		if (performance.now() > untilMs) {
			throw new Error('heard nothing');
		}
		await sleep(5);
	}
	return tally.firstAudioAtMs;
}

function report(): void {
	const seconds = (performance.now() - markedAtMs) / 1_000;
	const { user, system } = process.cpuUsage(cpuAtMark);
	const sum = (of: (tally: Tally) => number): number => listeners.reduce((total, { tally }) => total + of(tally), 0);
	tell({
		kind: 'report',
		report: {
			listeners: listeners.length,
			connected: listeners.filter(({ isConnected }) => isConnected).length,
			seconds,
			packets: sum(({ packets }) => packets),
			audioPackets: sum(({ audioPackets }) => audioPackets),
			lost: sum(({ lost }) => lost),
			deaf: listeners.filter(({ tally }) => tally.audioPackets === 0).length,
			largestGapMs: Math.max(0, ...listeners.map(({ tally }) => tally.largestGapMs)),
			cpuRatio: (user + system) / 1e6 / seconds,
			eventLoopLagMs: Math.max(0, lag.percentile(99) / 1e6 - 10),
		},
	});
}

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToGenerator) => {
	switch (message.kind) {
		case 'join':
			void join(message);
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
				listener.tally.mark();
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
