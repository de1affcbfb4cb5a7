import type { Device, types } from 'mediasoup-client';
import type { RosterEntry, StageParams } from '../../../stage/protocol.ts';
import { retryDelayMs, STAGE_BACKOFF } from './backoff.ts';
import { trusted } from './boundary.ts';
import { Emitter } from './emitter.ts';
import { asProblem } from './problem.ts';
import type { StageSocket } from './stage-socket.ts';

interface Heard {
	mediaId: string;
	/** Undefined while it is being made. */
	consumer: types.Consumer | undefined;
	element: HTMLAudioElement;
}

/** Plays everybody else on stage at 20 ms: one consumer and one `<audio>` element for each who has media. */
export class StageHearing extends Emitter<{ blocked: Record<string, never>; complete: Record<string, never> }> {
	readonly #socket: StageSocket;
	readonly #random: () => number;
	readonly #heard = new Map<string, Heard>();
	#through: { device: Device; transport: types.Transport } | undefined;
	#roster: readonly RosterEntry[] = [];
	#ownId = '';
	#volume = 1;

	constructor(socket: StageSocket, random: () => number) {
		super();
		this.#socket = socket;
		this.#random = random;
	}

	set volume(volume: number) {
		this.#volume = volume;
		for (const { element } of this.#heard.values()) {
			element.volume = volume;
		}
	}

	/** Everybody who has media comes by way of the stage, as far as negotiation goes. */
	get complete(): boolean {
		const reached = this.#through !== undefined && (this.#heard.size === 0 || this.#through.transport.connectionState === 'connected');
		return reached && [...this.#wanted().keys()].every((id) => this.#heard.get(id)?.consumer !== undefined);
	}

	/** Hears everybody in the roster who has media, and nobody else. */
	follow(roster: readonly RosterEntry[], ownId: string): void {
		this.#roster = roster;
		this.#ownId = ownId;
		this.#reconcile();
	}

	/** A new transport to hear through; what came through an older one is given up. */
	use(device: Device, transport: types.Transport): void {
		this.stop();
		this.#through = { device, transport };
		transport.on('connectionstatechange', () => this.#tellIfComplete());
		this.#reconcile();
		this.#tellIfComplete();
	}

	stop(): void {
		this.#through = undefined;
		for (const [id, heard] of this.#heard) {
			this.#drop(id, heard);
		}
	}

	/** In a user's click, after `blocked`. */
	play(): void {
		for (const { element } of this.#heard.values()) {
			this.#sound(element);
		}
	}

	/** Participant → media. */
	#wanted(): Map<string, string> {
		return new Map(this.#roster.flatMap(({ id, mediaId }) => (id !== this.#ownId && mediaId !== null ? [[id, mediaId]] : [])));
	}

	#tellIfComplete(): void {
		if (this.complete) {
			this.emit('complete', {});
		}
	}

	#reconcile(): void {
		const wanted = this.#wanted();
		for (const [id, heard] of this.#heard) {
			if (wanted.get(id) !== heard.mediaId) {
				this.#drop(id, heard);
			}
		}
		for (const [id, mediaId] of wanted) {
			if (!this.#heard.has(id)) {
				void this.#hear(id, mediaId, 0);
			}
		}
	}

	async #hear(participantId: string, mediaId: string, attempt: number): Promise<void> {
		const through = this.#through;
		if (through === undefined || through.transport.closed) {
			return;
		}
		const element = new Audio();
		element.autoplay = true;
		element.volume = this.#volume;
		const heard: Heard = { mediaId, consumer: undefined, element };
		this.#heard.set(participantId, heard);
		const wanted = () => this.#heard.get(participantId) === heard;
		try {
			const { consumerId, producerId, rtpParameters } = await this.#socket.request('consume', {
				participantId,
				rtpCapabilities: trusted<StageParams<'consume'>['rtpCapabilities']>(through.device.recvRtpCapabilities),
			});
			if (!wanted()) {
				return;
			}
			const consumer = await through.transport.consume({
				id: consumerId,
				producerId,
				kind: 'audio',
				rtpParameters: trusted<types.RtpParameters>(rtpParameters),
				// A stream of its own, or the browser holds one speaker back to be in step with another.
				streamId: participantId,
			});
			if (!wanted()) {
				consumer.close();
				return;
			}
			heard.consumer = consumer;
			element.srcObject = new MediaStream([consumer.track]);
			this.#sound(element);
			this.#tellIfComplete();
		} catch (error) {
			if (wanted()) {
				this.#heard.delete(participantId);
				this.#tryAgain(participantId, mediaId, attempt, error);
			}
		}
	}

	/** Whoever left, or whose media went meanwhile, comes back with another roster; a lost socket with a welcome. */
	#tryAgain(participantId: string, mediaId: string, attempt: number, error: unknown): void {
		const { code } = asProblem(error);
		const through = this.#through;
		if (code === 'participant_not_found' || code === 'not_connected') {
			return;
		}
		setTimeout(
			() => {
				const stillThere = this.#roster.some((entry) => entry.id === participantId && entry.mediaId === mediaId);
				if (stillThere && this.#through === through && !this.#heard.has(participantId)) {
					void this.#hear(participantId, mediaId, attempt + 1);
				}
			},
			retryDelayMs(attempt, this.#random, STAGE_BACKOFF),
		);
	}

	#sound(element: HTMLAudioElement): void {
		element.play().catch((error: unknown) => {
			if (error instanceof DOMException && error.name === 'NotAllowedError') {
				this.emit('blocked', {});
			}
		});
	}

	#drop(id: string, { consumer, element }: Heard): void {
		this.#heard.delete(id);
		consumer?.close();
		element.pause();
		element.srcObject = null;
	}
}
