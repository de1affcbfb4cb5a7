import { EventEmitter } from 'node:events';
import type { RawData, WebSocket } from 'ws';

export interface SocketRelayLimits {
	/** When this much waits for either side, the client is cut off; it may come back. */
	maxBufferedBytes: number;
	/** How often the other node is asked for a sign of life. */
	pingEveryMs: number;
	/** So many of these without an answer, and the other node counts as gone. */
	missedPings: number;
	/** How long either side may take to answer a close. */
	closeTimeoutMs: number;
}

export interface SocketRelayOptions {
	/** Whoever came to this node. */
	client: WebSocket;
	/** Towards the node that serves them; opened with `autoPong: false`. */
	home: WebSocket;
	limits: SocketRelayLimits;
	schedule: (ms: number, task: () => void) => () => void;
}

/** RFC 6455 registry: "service restart". For clients a loss to be healed, not a refusal. */
export const SERVICE_RESTART = 1012;
const GOING_AWAY = 1001;
const NO_STATUS = 1005;
const ABNORMAL = 1006;

/** Two WebSockets as one: frames, pings and close codes pass both ways, and neither outlives the other. */
export class SocketRelay extends EventEmitter<{ closed: [why: 'closed' | 'node down' | 'home lost' | 'too slow' | 'shutting down'] }> {
	readonly home: WebSocket;
	readonly #options: SocketRelayOptions;
	#missed = 0;
	#closed = false;
	#cancelPing: () => void = () => {};

	static join(options: SocketRelayOptions): SocketRelay {
		const relay = new SocketRelay(options);
		relay.#listen();
		relay.#pingLater();
		return relay;
	}

	private constructor(options: SocketRelayOptions) {
		super();
		this.#options = options;
		this.home = options.home;
	}

	/** The home is gone, with whatever it would have said. */
	homeLost(why: 'node down' | 'home lost'): void {
		if (this.#close(why)) this.#closeClient(SERVICE_RESTART, 'home_lost');
		this.home.terminate();
	}

	/** This node is going. @param bye a last frame for the client */
	end(bye: string): void {
		const { client } = this.#options;
		if (client.readyState === client.OPEN) client.send(bye);
		if (this.#close('shutting down')) this.#closeClient(GOING_AWAY, 'shutting_down');
		// Not closed: at home the place is to be kept for the client's next socket.
		this.home.terminate();
	}

	#listen(): void {
		const { client, home } = this.#options;
		client.on('message', (data, isBinary) => this.#pass(home, data, isBinary));
		home.on('message', (data, isBinary) => {
			this.#missed = 0;
			this.#pass(client, data, isBinary);
		});
		home.on('ping', (data) => {
			if (client.readyState === client.OPEN) client.ping(data);
		});
		client.on('pong', (data) => {
			if (home.readyState === home.OPEN) home.pong(data);
		});
		home.on('pong', () => {
			this.#missed = 0;
		});
		client.on('close', (code, reason) => {
			this.#close('closed');
			this.#closeHome(code, reason.toString());
		});
		home.on('close', (code, reason) => {
			if (code === ABNORMAL) this.homeLost('home lost');
			else if (this.#close('closed')) this.#closeClient(code, reason.toString());
		});
		// A frame that breaks the protocol; ws closes that socket by itself, with the right code.
		client.on('error', () => this.#options.schedule(this.#options.limits.closeTimeoutMs, () => client.terminate()));
		// It may have gone before anybody listened.
		if (home.readyState === home.CLOSED) this.homeLost('home lost');
	}

	#pass(to: WebSocket, data: RawData, binary: boolean): void {
		if (to.readyState !== to.OPEN) return;
		if (to.bufferedAmount > this.#options.limits.maxBufferedBytes) {
			// A close frame would wait behind all the rest.
			this.#close('too slow');
			this.#options.client.terminate();
			this.home.terminate();
			return;
		}
		// Without fragments a message is one buffer; ws gives nothing else unless asked to.
		to.send(data as Buffer, { binary });
	}

	#pingLater(): void {
		const { limits, schedule } = this.#options;
		this.#cancelPing = schedule(limits.pingEveryMs, () => {
			if (this.#closed) return;
			if (this.#missed++ >= limits.missedPings) {
				this.homeLost('home lost');
				return;
			}
			this.home.ping();
			this.#pingLater();
		});
	}

	/** Whether this is the first time. */
	#close(why: Parameters<typeof this.homeLost>[0] | 'closed' | 'too slow' | 'shutting down'): boolean {
		if (this.#closed) return false;
		this.#closed = true;
		this.#cancelPing();
		this.emit('closed', why);
		return true;
	}

	#closeClient(code: number, reason: string): void {
		const { client, limits, schedule } = this.#options;
		if (code === NO_STATUS) client.close();
		else client.close(code, reason);
		const cancel = schedule(limits.closeTimeoutMs, () => client.terminate());
		client.once('close', cancel);
	}

	#closeHome(code: number, reason: string): void {
		const { home } = this;
		const { limits, schedule } = this.#options;
		if (home.readyState === home.CLOSED) return;
		// A client that vanished: the home is to see just that.
		if (code === ABNORMAL) {
			home.terminate();
			return;
		}
		if (code === NO_STATUS) home.close();
		else home.close(code, reason);
		const cancel = schedule(limits.closeTimeoutMs, () => home.terminate());
		home.once('close', cancel);
	}
}
