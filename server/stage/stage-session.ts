import type { Static } from 'typebox';
import type { WebSocket } from 'ws';
import { DomainError, type DomainErrorCode } from '../errors.ts';
import { FrameGuard } from './frame-guard.ts';
import { readFrame, type StageRequest } from './frame-reader.ts';
import type { IceServer, StageServerFrame } from './protocol.ts';
import { encodeEvent, STAGE_ENDINGS, type StageConnection, type StageEnding } from './stage-connection.ts';
import type { StagePrincipal } from './stage-policy.ts';
import { carryOut, type StageRequestContext } from './stage-requests.ts';
import type { StageLog } from './stage-log.ts';
import type { StagePlace, StageService } from './stage-service.ts';

export interface StageSocketLimits {
	/** More frames than this in one second end the socket with 4429. */
	framesPerSecond: number;
	/** So do more frames than this that cannot be carried out. */
	badFramesPerSecond: number;
	/** Requests that wait for the ones before them. */
	maxQueuedRequests: number;
	/** A client that reads so slowly that this much waits for it is cut off; it may come back. */
	maxBufferedBytes: number;
	pingEveryMs: number;
	/** A client hears something at least this often, so that it notices a host that vanished. Default 1,000. */
	pulseEveryMs?: number;
	/** So many pings without an answer, and the socket counts as lost. */
	missedPings: number;
	/** How long a client may take to answer a close. */
	closeTimeoutMs: number;
}

export interface StageSessionOptions {
	socket: WebSocket;
	principal: StagePrincipal;
	roomId: string;
	iceServers: Static<typeof IceServer>[];
	stages: StageRequestContext['stages'] & Pick<StageService, 'enter' | 'socketLost'>;
	media: StageRequestContext['media'];
	now: () => Date;
	schedule: (ms: number, task: () => void) => () => void;
	limits: StageSocketLimits;
	/** Told of each request that was carried out or refused. */
	audit?: (request: StageRequest, error?: DomainError) => void;
	log: StageLog;
}

const UNSUPPORTED_DATA = 1003;
const PULSE_EVERY_MS = 1_000;
const PULSE = encodeEvent('pulse', {});

/** One socket on one stage: reads frames, carries them out in order, writes frames, notices when the other side is gone. */
export class StageSession implements StageConnection {
	readonly #options: StageSessionOptions;
	readonly #guard: FrameGuard;
	readonly #queue: StageRequest[] = [];
	#place: StagePlace | null = null;
	#working = false;
	/** No more frames go out. */
	#ended = false;
	#unansweredPings = 0;
	#cancelPing: () => void = () => {};
	#sentAtMs = 0;
	#cancelPulse: () => void = () => {};
	#cancelCloseTimeout: () => void = () => {};

	private constructor(options: StageSessionOptions) {
		this.#options = options;
		this.#guard = new FrameGuard(options.limits);
	}

	/** Call in the same turn in which the socket opened, or its first frames are missed. */
	static open(options: StageSessionOptions): StageSession {
		const session = new StageSession(options);
		session.#listen();
		session.#pingLater();
		void session.#enter();
		return session;
	}

	get iceServers(): Static<typeof IceServer>[] {
		return this.#options.iceServers;
	}

	get pulseEveryMs(): number {
		return this.#options.limits.pulseEveryMs ?? PULSE_EVERY_MS;
	}

	deliver(frame: string): void {
		const { socket, limits, log, roomId, now } = this.#options;
		if (this.#ended || socket.readyState !== socket.OPEN) return;
		if (socket.bufferedAmount > limits.maxBufferedBytes) {
			log.warn({ room: roomId, participant: this.#place?.participantId, bufferedBytes: socket.bufferedAmount }, 'stage socket reads too slowly and is cut off');
			this.#ended = true;
			// A close frame would wait behind all the rest.
			socket.terminate();
			return;
		}
		socket.send(frame);
		this.#sentAtMs = now().getTime();
	}

	end(ending: StageEnding, detail?: string): void {
		const { closeCode, reconnect, detail: usualDetail } = STAGE_ENDINGS[ending];
		if (ending !== 'left') this.deliver(encodeEvent('bye', { code: ending, detail: detail ?? usualDetail, reconnect }));
		this.#close(closeCode, ending);
	}

	/** The person may not be here any more: their place goes at once, not when it has waited for them. */
	dismiss(ending: StageEnding): void {
		this.end(ending);
		if (!this.#place) return;
		const { stages, log, roomId } = this.#options;
		stages.leave(this.#place).catch((err: unknown) => {
			if (!(err instanceof DomainError)) log.error({ room: roomId, err }, 'somebody who was sent away keeps their place until it has waited long enough');
		});
	}

	#listen(): void {
		const { socket } = this.#options;
		socket.on('message', (data: Buffer, isBinary) => {
			if (isBinary) this.#refuse(new DomainError('invalid_request', 'Frames are text.'), UNSUPPORTED_DATA);
			else this.#read(data.toString('utf8'));
		});
		socket.on('pong', () => {
			this.#unansweredPings = 0;
		});
		// ws itself has begun to close (a frame too large, not UTF-8, not WebSocket); the other side may never answer.
		socket.on('error', () => this.#closeSoon());
		socket.on('close', () => {
			this.#ended = true;
			this.#queue.length = 0;
			this.#cancelPing();
			this.#cancelPulse();
			this.#cancelCloseTimeout();
			if (this.#place) this.#options.stages.socketLost(this.#place);
		});
	}

	async #enter(): Promise<void> {
		const { stages, principal, roomId, socket } = this.#options;
		try {
			const { participant } = await stages.enter(principal, roomId, this);
			this.#place = { roomId, participantId: participant.id, connection: this };
			if (socket.readyState === socket.CLOSED) {
				stages.socketLost(this.#place);
			} else {
				this.#pulseLater(this.pulseEveryMs);
				await this.#work();
			}
		} catch (error) {
			this.#refuse(this.#domainError(error, 'entering a stage failed'));
		}
	}

	#read(text: string): void {
		if (this.#ended) return;
		const { now, limits } = this.#options;
		if (!this.#guard.frame(now().getTime())) {
			this.#refuse(new DomainError('too_many_requests', 'Too many frames in one second.'));
			return;
		}
		const frame = readFrame(text);
		if (frame.kind === 'broken') {
			this.#refuse(new DomainError('invalid_request', frame.detail));
		} else if (frame.kind === 'refused') {
			if (this.#guard.bad()) this.#answer(frame.id, frame.error);
			else this.#refuse(new DomainError('too_many_requests', 'Too many requests that cannot be carried out.'));
		} else if (this.#queue.length >= limits.maxQueuedRequests) {
			this.#refuse(new DomainError('too_many_requests', 'Too many requests wait for the ones before them.'));
		} else {
			this.#queue.push(frame.request);
			void this.#work();
		}
	}

	async #work(): Promise<void> {
		if (this.#working || !this.#place) return;
		const { principal, stages, media } = this.#options;
		const context = { principal, place: this.#place, stages, media };
		this.#working = true;
		for (let request = this.#queue.shift(); request; request = this.#queue.shift()) {
			try {
				const result = await carryOut(context, request);
				this.#options.audit?.(request);
				this.#send({ id: request.id, result });
				if (request.method === 'leave') this.#close(STAGE_ENDINGS.left.closeCode, 'left');
			} catch (error) {
				const refusal = this.#domainError(error, 'stage request failed', request.method);
				this.#options.audit?.(request, refusal);
				this.#answer(request.id, refusal);
			}
		}
		this.#working = false;
	}

	#answer(id: number, { code, title, message, retryable }: DomainError): void {
		this.#send({ id, error: { code, title, detail: message, retryable } });
	}

	#send(frame: StageServerFrame): void {
		this.deliver(JSON.stringify(frame));
	}

	/** What is not a refusal is our own trouble: into the log with it, and nothing of it to the client. */
	#domainError(error: unknown, message: string, method?: string): DomainError {
		if (error instanceof DomainError) return error;
		const { log, roomId } = this.#options;
		log.error({ room: roomId, participant: this.#place?.participantId, method, err: error }, message);
		return new DomainError('internal_error', 'The server could not do this.');
	}

	#refuse(error: DomainError, closeCode: number = error.closeCode): void {
		const code: DomainErrorCode = error.code;
		this.deliver(encodeEvent('bye', { code, detail: error.message, reconnect: error.retryable }));
		this.#close(closeCode, code);
	}

	#close(closeCode: number, reason: string): void {
		if (this.#ended) return;
		this.#ended = true;
		this.#queue.length = 0;
		this.#options.socket.close(closeCode, reason);
		this.#closeSoon();
	}

	#closeSoon(): void {
		const { socket, schedule, limits } = this.#options;
		this.#ended = true;
		this.#cancelCloseTimeout();
		this.#cancelCloseTimeout = schedule(limits.closeTimeoutMs, () => socket.terminate());
	}

	/** From the welcome on. @param ms until nothing will have been sent for a whole period */
	#pulseLater(ms: number): void {
		const { schedule, now } = this.#options;
		this.#cancelPulse = schedule(ms, () => {
			if (this.#ended) return;
			const quietMs = now().getTime() - this.#sentAtMs;
			// A clock that was set back says nothing.
			const due = quietMs >= this.pulseEveryMs || quietMs < 0;
			if (due) this.deliver(PULSE);
			this.#pulseLater(due ? this.pulseEveryMs : this.pulseEveryMs - quietMs);
		});
	}

	#pingLater(): void {
		const { socket, schedule, limits } = this.#options;
		this.#cancelPing = schedule(limits.pingEveryMs, () => {
			if (this.#unansweredPings >= limits.missedPings) {
				socket.terminate();
				return;
			}
			this.#unansweredPings += 1;
			if (socket.readyState === socket.OPEN) socket.ping();
			this.#pingLater();
		});
	}
}
