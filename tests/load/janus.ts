import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';

const PROGRAM = '/usr/bin/janus';
const LIBRARIES = path.join('/usr/lib', process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu', 'janus');
const START_MS = 10_000;
const KEEP_ALIVE_MS = 20_000;
const MOUNTPOINT = 1;
const PAYLOAD_TYPE = 111;

export interface JanusOptions {
	/** The first of 100 ports: WebSocket, then one for each talker's RTP. Media takes others, above them. */
	port: number;
	talkers: number;
}

interface JanusMessage {
	janus: string;
	transaction?: string;
	sender?: number;
	data?: { id: number };
	jsep?: { type: string; sdp: string };
	error?: { reason: string };
	plugindata?: { data: { error?: string } };
}

/**
 * Janus from Debian's package with a mountpoint of its streaming plugin, set up as its documentation advises for many
 * viewers (a few event loops for all of them, and no thread for each), and nothing loaded that is not needed.
 */
export class Janus {
	readonly #process: ChildProcess;
	readonly #folder: string;
	readonly #port: number;
	readonly #waiting = new Map<string, (message: JanusMessage) => void>();
	#socket: WebSocket | undefined;
	#session = 0;
	#keepAlive: NodeJS.Timeout | undefined;

	static get isInstalled(): boolean {
		return existsSync(PROGRAM);
	}

	static version(): string {
		return /version: \d+ \(([^)]+)\)/.exec(spawnSync(PROGRAM, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 'unknown';
	}

	static async start(options: JanusOptions): Promise<Janus> {
		const janus = new Janus(options);
		try {
			await janus.#connect();
			return janus;
		} catch (error) {
			janus.close();
			throw error;
		}
	}

	private constructor({ port, talkers }: JanusOptions) {
		this.#port = port;
		this.#folder = mkdtempSync(path.join(os.tmpdir(), 'janus-'));
		const inFolder = (name: string): string => path.join(this.#folder, name);
		const media = Array.from({ length: talkers }, (_, index) => `{ type = "audio", mid = "voice-${index}", label = "voice", port = ${this.rtpPort(index)}, pt = ${PAYLOAD_TYPE}, codec = "opus" }`);
		// Of plugins and transports one each is loaded; the folders of all others are empty.
		for (const [kind, file] of [['plugins', 'libjanus_streaming.so'], ['transports', 'libjanus_websockets.so']] as const) {
			mkdirSync(inFolder(kind));
			symlinkSync(path.join(LIBRARIES, kind, file), path.join(inFolder(kind), file));
		}
		const folders = `plugins_folder = "${inFolder('plugins')}", transports_folder = "${inFolder('transports')}", events_folder = "${this.#folder}", loggers_folder = "${this.#folder}"`;
		writeFileSync(
			inFolder('janus.jcfg'),
			`general: { debug_level = 2, event_loops = ${os.availableParallelism()}, ${folders} }\nmedia: { rtp_port_range = "${port + 100}-${port + 4_000}" }\nnat: { ice_lite = true }\n`,
		);
		writeFileSync(inFolder('janus.transport.websockets.jcfg'), `general: { json = "compact", ws = true, ws_port = ${port}, ws_ip = "127.0.0.1", wss = false }\n`);
		writeFileSync(inFolder('janus.plugin.streaming.jcfg'), `hall: { type = "rtp", id = ${MOUNTPOINT}, media = (${media.join(', ')}) }\n`);
		this.#process = spawn(PROGRAM, ['-F', this.#folder, '-C', inFolder('janus.jcfg')], { stdio: ['ignore', 'ignore', 'inherit'] });
	}

	get pid(): number {
		return this.#process.pid ?? 0;
	}

	/** Where a talker's plain RTP goes. */
	rtpPort(talker: number): number {
		return this.#port + 1 + talker;
	}

	/** Janus makes the offer; the viewer's answer starts the stream. */
	async invite(): Promise<{ offer: string; accept: (answer: string) => Promise<void> }> {
		const { data } = await this.#ask({ janus: 'attach', plugin: 'janus.plugin.streaming' });
		const handle = data?.id ?? 0;
		const { jsep } = await this.#tell(handle, { request: 'watch', id: MOUNTPOINT });
		return {
			offer: jsep?.sdp ?? '',
			accept: async (answer) => void (await this.#tell(handle, { request: 'start' }, { type: 'answer', sdp: answer })),
		};
	}

	close(): void {
		clearInterval(this.#keepAlive);
		this.#socket?.terminate();
		this.#process.kill('SIGKILL');
		rmSync(this.#folder, { recursive: true, force: true });
	}

	async #connect(): Promise<void> {
		const untilMs = performance.now() + START_MS;
		for (;;) {
			try {
				this.#socket = await open(`ws://127.0.0.1:${this.#port}`);
				break;
			} catch (error) {
				if (performance.now() > untilMs || this.#process.exitCode !== null) {
					throw new Error('Janus did not start', { cause: error });
				}
				await sleep(100);
			}
		}
		this.#socket.on('message', (text: Buffer) => {
			const message = JSON.parse(text.toString()) as JanusMessage;
			if (message.janus === 'ack' || message.transaction === undefined) {
				return; // The event that answers a request comes after its "ack".
			}
			this.#waiting.get(message.transaction)?.(message);
			this.#waiting.delete(message.transaction);
		});
		const { data } = await this.#ask({ janus: 'create' });
		this.#session = data?.id ?? 0;
		this.#keepAlive = setInterval(() => void this.#ask({ janus: 'keepalive' }).catch(() => undefined), KEEP_ALIVE_MS);
	}

	#tell(handle: number, body: object, jsep?: { type: string; sdp: string }): Promise<JanusMessage> {
		return this.#ask({ janus: 'message', handle_id: handle, body, ...(jsep && { jsep }) });
	}

	#ask(request: { janus: string } & Record<string, unknown>): Promise<JanusMessage> {
		const transaction = randomUUID();
		return new Promise((resolve, reject) => {
			this.#waiting.set(transaction, (message) => {
				const error = message.error?.reason ?? message.plugindata?.data.error;
				if (error === undefined) {
					resolve(message);
				} else {
					reject(new Error(`Janus: ${error}`));
				}
			});
			this.#socket?.send(JSON.stringify({ ...request, transaction, ...(this.#session > 0 && { session_id: this.#session }) }));
		});
	}
}

function open(url: string): Promise<WebSocket> {
	return new Promise((resolve, reject) => {
		const socket = new WebSocket(url, 'janus-protocol');
		socket.once('open', () => resolve(socket));
		socket.once('error', reject);
	});
}
