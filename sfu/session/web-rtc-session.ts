import { randomUUID } from 'node:crypto';
import type { types } from 'mediasoup';
import { SfuError } from '../contract/sfu-error.ts';
import type { SessionPatchResult } from '../contract/shard-protocol.ts';
import type { Session, SessionTable } from './session-table.ts';
import { asSfuError } from '../whep/as-sfu-error.ts';
import { isIceRestart, parseTrickleFragment, writeIceRestartFragment } from '../whep/trickle.ts';

export interface WebRtcSessionOptions {
	id: string;
	transport: types.WebRtcTransport;
	sessions: SessionTable;
	/** The client's ICE credentials, by which a restart is told from a trickle. */
	remote: { readonly iceUfrag: string; readonly icePwd: string };
	/** Of the section that carries the ICE transport. */
	mid: string;
	onConnected?: () => void;
	onClosed: (reason: string) => void;
}

/** The resource behind `/v1/sessions/:id`: one WebRTC transport made by one POST (WHEP or WHIP). */
export class WebRtcSession implements Session {
	readonly id: string;
	readonly connectByMs: number;
	readonly #options: WebRtcSessionOptions;
	#remote: { readonly iceUfrag: string; readonly icePwd: string };
	#etag = newEtag();
	#connected = false;
	#closed = false;

	constructor(options: WebRtcSessionOptions) {
		this.#options = options;
		this.#remote = options.remote;
		this.id = options.id;
		this.connectByMs = performance.now() + options.sessions.connectTimeoutMs;
		options.sessions.add(this);
		const { transport } = options;
		transport.on('icestatechange', (state) => {
			if (state === 'disconnected' || state === 'closed') {
				this.close('connection lost');
			}
		});
		transport.on('dtlsstatechange', (state) => {
			if (state === 'connected') {
				this.#connected = true;
				options.sessions.connected(this.id);
				options.onConnected?.();
			} else if (state === 'closed' || state === 'failed') {
				this.close(state === 'failed' ? 'DTLS failed' : 'left');
			}
		});
		transport.observer.once('close', () => this.close('transport closed'));
	}

	get etag(): string {
		return this.#etag;
	}
	get isConnected(): boolean {
		return this.#connected;
	}

	/** Trickle is accepted and needs nothing: we are ICE-lite and answer where checks come from (RFC 8445 §6.1.1). */
	async patch(fragmentText: string, ifMatch: string | undefined): Promise<SessionPatchResult> {
		const fragment = asSfuError('bad_fragment', () => parseTrickleFragment(fragmentText));
		const restart = isIceRestart(fragment, this.#remote);
		// RFC 9725 §4.3.1: a restart comes with `If-Match: *`, a trickle with the tag of the ICE session.
		if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== this.#etag) {
			throw new SfuError('etag_mismatch', 'the ICE session has been restarted since; use its latest ETag, or "*" to restart it');
		}
		if (!restart || !fragment.credentials) {
			return { etag: this.#etag };
		}
		const { transport, mid } = this.#options;
		const iceParameters = await transport.restartIce().catch((error: unknown) => {
			throw this.#closed ? new SfuError('session_unknown', 'the session ended meanwhile', { cause: error }) : error;
		});
		this.#remote = fragment.credentials;
		this.#etag = newEtag();
		return { etag: this.#etag, fragment: writeIceRestartFragment({ iceParameters, iceCandidates: transport.iceCandidates, mid }) };
	}

	/** Idempotent. */
	close(reason: string): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		this.#options.sessions.remove(this.id, reason === 'left');
		this.#options.transport.close();
		this.#options.onClosed(reason);
	}
}

/** Node keeps random bytes for these in store; asking for some each time costs a join 20 µs. */
const newEtag = () => randomUUID();
