import { once } from 'node:events';
import { EventEmitter } from 'node:events';
import nodeDataChannel from 'node-datachannel';
import type { Track } from 'node-datachannel';
import { isRtcp, StreamTally, Tally } from './stream-tally.ts';

/** A server's offer, and what to do with the answer to it. */
export interface Invitation {
	offer: string;
	accept: (answer: string) => Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
let listeners = 0;

/** A listener at a server that makes the offers itself, as Janus does. */
export class InvitedListener {
	readonly tally = new Tally();
	readonly #connection = new nodeDataChannel.PeerConnection(`invited-${++listeners}`, { iceServers: [], disableAutoNegotiation: true });
	readonly #states = new EventEmitter();
	/** They close when nobody holds them. */
	readonly #tracks: Track[] = [];
	#state = 'new';

	constructor() {
		this.#connection.onStateChange((state) => {
			this.#state = state;
			this.#states.emit(state);
		});
		this.#connection.onGatheringStateChange((state) => this.#states.emit(`gathering ${state}`));
		this.#connection.onTrack((track) => {
			const stream = new StreamTally(this.tally);
			track.onMessage((packet) => {
				if (!isRtcp(packet)) {
					stream.onRtp(packet);
				}
			});
			this.#tracks.push(track);
		});
	}

	get isConnected(): boolean {
		return this.#state === 'connected';
	}

	/** @returns ms from the question to ICE and DTLS being through */
	async join(invite: () => Promise<Invitation>): Promise<number> {
		const startedAtMs = performance.now();
		const { offer, accept } = await invite();
		const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
		const gathered = once(this.#states, 'gathering complete', { signal });
		const connected = once(this.#states, 'connected', { signal });
		this.#connection.setRemoteDescription(offer, 'offer');
		this.#connection.setLocalDescription('answer');
		await gathered;
		await accept(this.#connection.localDescription()?.sdp ?? '');
		await connected;
		return performance.now() - startedAtMs;
	}

	close(): void {
		this.#connection.close();
	}
}
