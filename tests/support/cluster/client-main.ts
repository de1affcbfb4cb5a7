// A client host's process: listeners, a speaker, event streams and plain HTTP, told what to do over its child-process
// channel (client-protocol.ts). It runs inside the clients' network namespace; the test does not.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventFeed } from '../../../server/web/browser/sdk/event-feed.ts';
import type { MovePortions } from '../../../server/web/browser/sdk/move-plan.ts';
import { Servers } from '../../../server/web/browser/sdk/servers.ts';
import { RtcListener } from '../rtc/listener.ts';
import { relentlessSpeech } from '../speech/speech.ts';
import type { AnswerFrame, ClientCommands, CommandFrame, CommandName, CommandParams, CommandResult } from './client-protocol.ts';
import { ClusterListener } from './cluster-listener.ts';
import { ClusterSpeaker } from './cluster-speaker.ts';
import { monotonicMs } from './monotonic.ts';

const address = process.argv[2] ?? '127.0.0.1';
/** POSTs under way at once: a crowd, but one that this process can serve. */
const CONCURRENCY = 6;

const listeners: ClusterListener[] = [];
const lag = monitorEventLoopDelay({ resolution: 10 });
let speaker: ClusterSpeaker | undefined;
/** One reader for all listeners of this process: what the stream says is the same for all. */
let feed: EventFeed | undefined;
let feedServers: Servers | undefined;
let moving: MovePortions = {};
let attended = 0;
let nextId = 0;

type Handlers = { [N in CommandName]: (params: CommandParams<N>) => Promise<CommandResult<N>> };

const handlers: Handlers = {
	async http({ url, method, headers, body, timeoutMs = 10_000, redirect = 'follow' }) {
		const response = await fetch(url, { method, headers, redirect, ...(body === undefined ? {} : { body }), signal: AbortSignal.timeout(timeoutMs) });
		return { status: response.status, headers: [...response.headers], body: await response.text(), url: response.url };
	},
	async offer() {
		const listener = new RtcListener();
		const sdp = await listener.offer();
		listener.close();
		return { sdp };
	},
	async listen({ room, baseUrls, count, withinMs }) {
		const connectMs: number[] = [];
		let left = count;
		const deadline = sleep(withinMs, undefined, { ref: false });
		await Promise.all(
			Array.from({ length: Math.min(CONCURRENCY, count) }, async () => {
				while (left-- > 0) {
					const id = nextId++;
					const startedAtMs = monotonicMs();
					const listener = new ClusterListener({ id, room, baseUrl: baseUrls[id % baseUrls.length] ?? '', address, csrc: () => attended, onServers: (urls, saidBy) => feedServers?.learn(urls, saidBy) });
					listener.move(moving);
					listeners.push(listener);
					await Promise.race([listener.whenConnected().then(() => connectMs.push(monotonicMs() - startedAtMs)), deadline]);
				}
			}),
		);
		return { connected: connectMs.length, connectMs };
	},
	async leave() {
		await Promise.all(listeners.splice(0).map((listener) => listener.close()));
		return {};
	},
	async follow({ room, baseUrl }) {
		feed?.close();
		feedServers = new Servers(baseUrl);
		feed = new EventFeed({ room, servers: feedServers });
		feed.on('move', (portions) => {
			moving = portions;
			for (const listener of listeners) {
				listener.move(portions);
			}
		});
		feed.start();
		return {};
	},
	async speak({ room, token, baseUrl }) {
		const audio = await relentlessSpeech('alto');
		await speaker?.close();
		speaker = new ClusterSpeaker({ room, token, baseUrl, address, audio });
		await speaker.whenSending();
		return { number: speaker.number };
	},
	async hush() {
		await speaker?.close();
		speaker = undefined;
		return {};
	},
	async attend({ number }) {
		attended = number;
		return {};
	},
	async mark() {
		const atMs = monotonicMs();
		lag.enable();
		lag.reset();
		speaker?.mark();
		for (const listener of listeners) {
			listener.mark(atMs);
		}
		return { atMs };
	},
	async report() {
		const atMs = monotonicMs();
		return {
			atMs,
			listeners: listeners.map((listener) => listener.report(atMs)),
			...(speaker ? { speaker: speaker.report() } : {}),
			lagMs: Math.max(0, lag.max / 1e6 - 10),
		};
	},
};

async function answer({ id, name, params }: CommandFrame): Promise<AnswerFrame> {
	try {
		// The frame ties name and parameters; the table's type cannot follow that.
		const handler = handlers[name] as (params: unknown) => Promise<ClientCommands[CommandName][1]>;
		return { id, result: await handler(params) };
	} catch (error) {
		return { id, error: error instanceof Error ? [error.message, ...(error.cause instanceof Error ? [error.cause.message] : [])].join(': ') : String(error) };
	}
}

process.on('message', (frame: CommandFrame) => void answer(frame).then((reply) => process.connected && process.send?.(reply)));
process.on('disconnect', () => process.exit(0));
