import nodeDataChannel from 'node-datachannel';
import type { Track } from 'node-datachannel';
import { parseSessionId } from '../../../sfu/contract/session-id.ts';
import { deleteSession, postOffer } from '../../../server/web/browser/sdk/whep.ts';
import { Peer } from '../rtc/peer.ts';
import { monotonicMs } from './monotonic.ts';
import { type HeardAudio, VoiceStream } from './voice-stream.ts';

const { Audio, RtcpReceivingSession } = nodeDataChannel;

const VOICES = 3;

/** One WHEP session of one listener, from the POST to its end. Heals nothing: the listener makes another. */
export class ListenerSession {
	/** '' until the answer came. */
	id = '';
	url: string | null = null;
	/** Base URLs of other servers, as the answer told them. */
	alternates: readonly string[] = [];
	/** Whether another node than the one asked answered. */
	handedOn = false;
	connected = false;
	/** Of anything, keep-alives included; 0: none came. */
	firstPacketAtMs = 0;
	lastPacketAtMs = 0;
	readonly #peer: Peer;
	/** Kept, because libdatachannel forgets a track that nobody holds. */
	readonly #tracks: Track[] = [];
	readonly #onAudio: (audio: HeardAudio, atMs: number) => void;
	#closed = false;

	constructor(address: string, onAudio: (audio: HeardAudio, atMs: number) => void) {
		this.#peer = new Peer({ bindAddress: address });
		this.#onAudio = onAudio;
		for (let index = 0; index < VOICES; index++) {
			this.#addVoice(index);
		}
	}

	/** The server, or the network, ended it. */
	get isOver(): boolean {
		return this.connected && this.#peer.isOver;
	}
	/** `node.shard`; `.shard` at a node that is alone. */
	get shard(): string {
		const address = parseSessionId(this.id);
		return address ? `${address.nodeId ?? ''}.${address.shardIndex}` : '';
	}

	/** @throws ProblemError when the server refuses or gives no answer, another Error when media do not get through */
	async connect(listenUrl: string, postTimeoutMs: number): Promise<void> {
		await this.#peer.connect(async (offer) => {
			const { sdp, sessionUrl, alternates } = await postOffer(listenUrl, offer, undefined, AbortSignal.timeout(postTimeoutMs));
			this.url = sessionUrl;
			this.alternates = alternates;
			this.id = sessionUrl?.split('/').at(-1) ?? '';
			this.handedOn = sessionUrl !== null && new URL(sessionUrl).origin !== new URL(listenUrl).origin;
			return sdp;
		});
		this.connected = true;
		this.lastPacketAtMs = monotonicMs();
	}

	/** Leaves there as well, as pages do whatever became of the session. */
	async close(): Promise<void> {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		if (this.url !== null) {
			await deleteSession(this.url, undefined);
		}
		this.#peer.close();
	}

	#addVoice(index: number): void {
		const audio = new Audio(`voice-${index}`, 'RecvOnly');
		audio.addOpusCodec(111, 'minptime=10;useinbandfec=1');
		const track = this.#peer.connection.addTrack(audio);
		track.setMediaHandler(new RtcpReceivingSession());
		const stream = new VoiceStream();
		track.onMessage((message) => {
			const heard = stream.take(message);
			if (heard !== 'other' && !this.#closed) {
				this.lastPacketAtMs = monotonicMs();
				this.firstPacketAtMs ||= this.lastPacketAtMs;
				if (heard !== 'silence') {
					this.#onAudio(heard, this.lastPacketAtMs);
				}
			}
		});
		this.#tracks.push(track);
	}
}
