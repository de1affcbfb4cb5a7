import { Emitter } from './emitter.ts';
import { asProblem, ProblemError } from './problem.ts';
import { readReceiveStats, type ReceiveTotals } from './quality.ts';
import type { Reporting } from './ice-links.ts';
import { placeOf, type SessionPlace } from './move-plan.ts';
import type { ContributingSource } from './speaker-tracker.ts';
import { deleteSession, postOffer } from './whep.ts';

export interface ListenConnectionEvents {
	connected: Record<string, never>;
	/** The transport will not come back by itself. */
	dead: { reason: string };
}

export interface CloseOptions {
	/** Whether to leave there, too (default); needless where the server has ended the session. */
	tellServer?: boolean;
	/** Without waiting for the server's answer: the page is about to be gone. */
	atOnce?: boolean;
}

/** An endpoint that answers must also let media through within this time. */
const CONNECT_TIMEOUT_MS = 8_000;

/** One WHEP session from offer to DELETE. It never heals itself: `ListenSession` replaces it. */
export class ListenConnection extends Emitter<ListenConnectionEvents> {
	readonly #peer: RTCPeerConnection;
	readonly #token: string | undefined;
	#sessionUrl: string | null = null;
	#alternates: readonly string[] = [];
	#reporting: Reporting | null = null;
	#closed = false;
	#connected = false;
	#timer: ReturnType<typeof setTimeout> | undefined;

	/**
	 * Its tracks exist at once, so that a click can start their playing before any answer came.
	 * @param voices receive-only audio m-lines to offer
	 */
	static create(voices: number, token: string | undefined): ListenConnection {
		return new ListenConnection(voices, token);
	}

	private constructor(voices: number, token: string | undefined) {
		super();
		this.#token = token;
		this.#peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
		for (let voice = 0; voice < voices; voice++) {
			this.#peer.addTransceiver('audio', { direction: 'recvonly' });
		}
		this.#peer.addEventListener('connectionstatechange', () => this.#peerChanged());
	}

	get connected(): boolean {
		return this.#connected && !this.#closed;
	}

	get tracks(): MediaStreamTrack[] {
		return this.#active().map(({ receiver }) => receiver.track);
	}

	/** Where the session is, once the server has answered. */
	get place(): SessionPlace | undefined {
		return placeOf(this.#sessionUrl);
	}

	/** Base URLs of other servers, as the answer told them. */
	get alternates(): readonly string[] {
		return this.#alternates;
	}

	/** Where a part of all listeners is asked to tell how it sounds, as the answer said. */
	get reporting(): Reporting | null {
		return this.#reporting;
	}

	/**
	 * Resolves once the answer is applied; `connected` follows.
	 * The local description is set only after the answer came, since the answer may name the TURN servers to
	 * gather from. The server is ICE-lite, so it needs no candidates of ours.
	 * @throws ProblemError
	 */
	async connect(url: string, postTimeoutMs: number): Promise<void> {
		try {
			const offer = await this.#peer.createOffer();
			const answer = await postOffer(url, offer.sdp ?? '', this.#token, AbortSignal.timeout(postTimeoutMs));
			this.#sessionUrl = answer.sessionUrl;
			this.#alternates = answer.alternates;
			this.#reporting = answer.reporting;
			if (this.#closed) {
				void this.#deleteSession();
				return;
			}
			if (answer.iceServers.length > 0) {
				this.#peer.setConfiguration({ bundlePolicy: 'max-bundle', iceServers: answer.iceServers });
			}
			await this.#peer.setLocalDescription(offer);
			await this.#peer.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
			this.#watchGoodbye();
			this.#timer = setTimeout(() => this.#die('media did not get through'), CONNECT_TIMEOUT_MS);
			this.#peerChanged();
		} catch (error) {
			if (this.#closed) {
				return;
			}
			if (error instanceof ProblemError) {
				throw error;
			}
			// The browser refuses the answer: trying the same again cannot help.
			const problem = asProblem(error);
			throw new ProblemError({ status: 400, code: 'invalid_answer', title: 'The answer cannot be used', cause: problem.cause });
		}
	}

	async read(): Promise<{ totals: ReceiveTotals; packets: Map<string, number> }> {
		const report = await this.#peer.getStats();
		return readReceiveStats(report.values());
	}

	contributingSources(): Map<string, ContributingSource[]> {
		return new Map(
			this.#active().map(({ receiver, mid }, index) => [mid ?? String(index), receiver.getContributingSources()] as const),
		);
	}

	/** Whether any voice has delivered something to its player. */
	get delivering(): boolean {
		return this.#active().some(({ receiver }) => receiver.getSynchronizationSources().length > 0);
	}

	/** Twice is once. */
	close({ tellServer = true, atOnce = false }: CloseOptions = {}): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		clearTimeout(this.#timer);
		for (const track of this.tracks) {
			track.stop();
		}
		const told = tellServer ? this.#deleteSession() : Promise.resolve();
		if (atOnce) {
			this.#peer.close();
		} else {
			// Closing says goodbye over DTLS, which ends the session there; a DELETE that came later would find nothing.
			void told.then(() => this.#peer.close());
		}
	}

	#active(): RTCRtpTransceiver[] {
		const all = this.#peer.getTransceivers();
		// Before the answer no direction is settled; afterwards the server may have refused some m-lines.
		return this.#peer.remoteDescription === null ? all : all.filter(({ currentDirection }) => currentDirection === 'recvonly');
	}

	/**
	 * A server that ends the session says so over DTLS. Chromium's `connectionState` stays `connected` all the same
	 * until ICE gives up seconds later; the transport knows at once.
	 */
	#watchGoodbye(): void {
		const transport = this.#active()[0]?.receiver.transport;
		transport?.addEventListener('statechange', () => {
			if (transport.state === 'closed' || transport.state === 'failed') {
				this.#die('the server ended the session');
			}
		});
	}

	#peerChanged(): void {
		if (this.#closed) {
			return;
		}
		const state = this.#peer.connectionState;
		if (state === 'connected' && !this.#connected) {
			this.#connected = true;
			clearTimeout(this.#timer);
			this.emit('connected', {});
		} else if (state === 'failed' || state === 'closed') {
			this.#die(`peer connection ${state}`);
		}
	}

	#die(reason: string): void {
		if (!this.#closed) {
			this.emit('dead', { reason });
		}
	}

	async #deleteSession(): Promise<void> {
		const url = this.#sessionUrl;
		this.#sessionUrl = null;
		if (url !== null) {
			await deleteSession(url, this.#token);
		}
	}
}
