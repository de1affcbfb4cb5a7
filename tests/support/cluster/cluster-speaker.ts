import { retryDelayMs, STAGE_BACKOFF } from '../../../server/web/browser/sdk/backoff.ts';
import { StageSocket } from '../../../server/web/browser/sdk/stage-socket.ts';
import type { StageEvent } from '../../../server/stage/protocol.ts';
import { RtcSpeaker } from '../rtc/speaker.ts';
import type { SpokenAudio } from '../speech/speech.ts';
import type { SpeakerReport } from './client-protocol.ts';
import { monotonicMs } from './monotonic.ts';
import { answerFor, type StageTransport, speakingParameters } from './stage-sdp.ts';

export interface ClusterSpeakerOptions {
	room: string;
	token: string;
	/** Where the page came from; other servers it learns of from this one. */
	baseUrl: string;
	/** Own address of this host. */
	address: string;
	audio: SpokenAudio;
}

/**
 * Somebody who talks without a pause, on stage by the page's own socket with libdatachannel's media: comes back by
 * itself, and makes its media anew when the server says that they are gone.
 */
export class ClusterSpeaker {
	readonly #socket: StageSocket;
	readonly #media: RtcSpeaker;
	#number = 0;
	#closed = false;
	#ended: string | undefined;
	#mediaTimer: NodeJS.Timeout | undefined;
	#mediaGeneration = 0;
	#mediaAttempt = 0;
	#sending = false;
	#sockets: SpeakerReport['sockets'] = [];
	#losses: SpeakerReport['losses'] = [];
	#onSending: (() => void)[] = [];

	constructor({ room, token, baseUrl, address, audio }: ClusterSpeakerOptions) {
		this.#socket = new StageSocket({ room, token, baseUrl, random: Math.random });
		this.#media = new RtcSpeaker((offer) => this.#exchange(offer), { bindAddress: address });
		this.#media.talk(audio);
		this.#socket.on('welcome', (welcome) => this.#welcomed(welcome));
		this.#socket.on('media', ({ ready }) => {
			if (ready) {
				void this.#connectMedia();
			} else {
				this.#lose('media');
				this.#sending = false;
			}
		});
		this.#socket.on('lost', ({ code }) => this.#lose(`socket ${code ?? ''}`.trim()));
		this.#socket.on('ended', ({ code, detail }) => {
			this.#ended = `${code} ${detail}`;
			this.#lose(`socket for good: ${this.#ended}`);
		});
		this.#socket.open();
	}

	get number(): number {
		return this.#number;
	}

	/** On stage with a connected microphone. */
	whenSending(): Promise<void> {
		return this.#sending ? Promise.resolve() : new Promise((resolve) => this.#onSending.push(resolve));
	}

	mark(): void {
		this.#losses = [];
		this.#sockets = [];
	}

	report(): SpeakerReport {
		return {
			number: this.#number,
			onStage: this.#socket.ready,
			sending: this.#sending && this.#media.state === 'connected',
			sockets: this.#sockets,
			losses: this.#losses,
			...(this.#ended === undefined ? {} : { ended: this.#ended }),
		};
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearTimeout(this.#mediaTimer);
		this.#media.close();
		if (this.#socket.ready) {
			await this.#socket.request('leave', {}, 1_500).catch(() => undefined);
		}
		this.#socket.close();
	}

	#lose(what: string): void {
		this.#losses.push({ atMs: monotonicMs(), what });
	}

	#welcomed({ number, resumed, mediaReady, roster, participantId }: StageEvent<'welcome'>): void {
		this.#number = number;
		this.#sockets.push({ atMs: monotonicMs(), resumed, number });
		const held = this.#media.state === 'connected' && roster.some(({ id, mediaId }) => id === participantId && mediaId !== null);
		if (mediaReady && !(resumed && held)) {
			void this.#connectMedia();
		}
	}

	async #connectMedia(): Promise<void> {
		const generation = ++this.#mediaGeneration;
		clearTimeout(this.#mediaTimer);
		this.#sending = false;
		try {
			await this.#media.connect();
			if (generation === this.#mediaGeneration) {
				this.#mediaAttempt = 0;
				this.#sending = true;
				for (const resolve of this.#onSending.splice(0)) {
					resolve();
				}
			}
		} catch (error) {
			// A lost socket ends in a welcome, which begins this anew.
			if (generation === this.#mediaGeneration && this.#socket.ready && !this.#closed) {
				this.#lose(`media: ${String(error)}`);
				this.#mediaTimer = setTimeout(() => void this.#connectMedia(), retryDelayMs(this.#mediaAttempt++, Math.random, STAGE_BACKOFF));
			}
		}
	}

	/** What mediasoup-client does to send, with the answer that the transport's parameters amount to. */
	async #exchange(offer: string): Promise<string> {
		const transport = (await this.#socket.request('transport.create', { direction: 'send' })) as StageTransport;
		const { dtlsParameters, rtpParameters } = speakingParameters(offer);
		await this.#socket.request('transport.connect', { transportId: transport.id, dtlsParameters });
		await this.#socket.request('produce', { transportId: transport.id, rtpParameters });
		return answerFor(offer, transport);
	}
}
