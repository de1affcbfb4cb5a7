import { setTimeout as sleep } from 'node:timers/promises';
import nodeDataChannel from 'node-datachannel';
import type { RtcConfig, PeerConnection } from 'node-datachannel';

const { initLogger } = nodeDataChannel;

// libdatachannel warns of every packet that comes after a close; only what breaks a test is of interest.
initLogger('Fatal', (_level, message) => console.error(`libdatachannel: ${message}`));

const GATHERING_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;

/** Sends an offer to the server and brings its answer back; HTTP, or a direct call. */
export type Exchange = (offer: string) => Promise<string>;

export type PeerState = 'new' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

let peers = 0;

/** One libdatachannel peer connection that offers, with its states as promises. Media are added before `connect`. */
export class Peer {
	readonly connection: PeerConnection;
	#state: PeerState = 'new';
	readonly #waiting = new Map<() => boolean, () => void>();

	constructor(config: Partial<RtcConfig> = {}) {
		this.connection = new nodeDataChannel.PeerConnection(`peer-${++peers}`, {
			iceServers: [],
			disableAutoNegotiation: true,
			bindAddress: '127.0.0.1',
			...config,
		});
		this.connection.onStateChange((state) => {
			this.#state = state as PeerState;
			this.#look();
		});
	}

	get state(): PeerState {
		return this.#state;
	}
	/** It was there, or could have been, and is no more. */
	get isOver(): boolean {
		return this.#state === 'disconnected' || this.#state === 'failed' || this.#state === 'closed';
	}

	/** The whole offer, candidates included. */
	async offer(): Promise<string> {
		this.connection.setLocalDescription('offer');
		await this.#gathered();
		return this.connection.localDescription()?.sdp ?? '';
	}

	/** Offer, exchange, answer; resolves when ICE and DTLS are through. */
	async connect(exchange: Exchange, rewriteOffer: (sdp: string) => string = (sdp) => sdp): Promise<void> {
		const answer = await exchange(rewriteOffer(await this.offer()));
		this.connection.setRemoteDescription(answer, 'answer');
		await this.#until(() => this.#state === 'connected' || this.isOver, CONNECT_TIMEOUT_MS, 'did not connect');
		if (this.#state !== 'connected') {
			throw new Error(`the connection ended as "${this.#state}" before it was made`);
		}
	}

	/** Resolves once the connection is over, from whichever side. */
	over(timeoutMs = CONNECT_TIMEOUT_MS): Promise<void> {
		return this.#until(() => this.isOver, timeoutMs, 'the connection did not end');
	}

	/** Resolves once the connection is over, however long that takes; never when nobody ends it. */
	whenOver(): Promise<void> {
		return this.isOver ? Promise.resolve() : new Promise((resolve) => void this.#waiting.set(() => this.isOver, resolve));
	}

	close(): void {
		this.connection.close();
	}

	/** Looks again and again: a callback would stay for as long as the peer, and libuv looks at every one in each turn of its loop. */
	async #gathered(): Promise<void> {
		for (const deadlineMs = performance.now() + GATHERING_TIMEOUT_MS; this.connection.gatheringState() !== 'complete'; ) {
			if (performance.now() > deadlineMs) {
				throw new Error(`ICE gathering did not complete within ${GATHERING_TIMEOUT_MS} ms`);
			}
			await sleep(1);
		}
	}

	#look(): void {
		for (const [isSo, resolve] of this.#waiting) {
			if (isSo()) {
				this.#waiting.delete(isSo);
				resolve();
			}
		}
	}

	#until(isSo: () => boolean, timeoutMs: number, complaint: string): Promise<void> {
		if (isSo()) {
			return Promise.resolve();
		}
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => {
				this.#waiting.delete(isSo);
				reject(new Error(`${complaint} within ${timeoutMs} ms (state "${this.#state}")`));
			}, timeoutMs);
			this.#waiting.set(isSo, () => {
				clearTimeout(timer);
				resolve();
			});
		});
	}
}
