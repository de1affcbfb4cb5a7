import { Emitter } from './emitter.ts';
import { LevelMeter } from './level-meter.ts';

/** Why there is no microphone, in terms of what a person can do about it. */
export type MicrophoneTrouble = 'denied' | 'none' | 'busy' | 'insecure' | 'failed';

export class MicrophoneError extends Error {
	readonly trouble: MicrophoneTrouble;

	constructor(trouble: MicrophoneTrouble, cause?: unknown) {
		super(`microphone: ${trouble}`, { cause });
		this.name = 'MicrophoneError';
		this.trouble = trouble;
	}
}

export interface MicrophoneEvents {
	/** Another device is open, or another list of devices is there. */
	changed: Record<string, never>;
	/** The device was unplugged or taken away. */
	ended: Record<string, never>;
}

const TROUBLE: Readonly<Record<string, MicrophoneTrouble>> = {
	NotAllowedError: 'denied',
	SecurityError: 'denied',
	NotFoundError: 'none',
	OverconstrainedError: 'none',
	NotReadableError: 'busy',
	AbortError: 'busy',
};

/** A microphone with its level, before and while it is on air. */
export class Microphone extends Emitter<MicrophoneEvents> {
	#track: MediaStreamTrack | undefined;
	#meter: LevelMeter | undefined;
	#devices: MediaDeviceInfo[] = [];
	#closed = false;
	readonly #devicesChanged = () => void this.#listDevices();

	/** Undefined until `open()`. */
	get track(): MediaStreamTrack | undefined {
		return this.#track;
	}
	get deviceId(): string | undefined {
		return this.#track?.getSettings().deviceId;
	}
	/** Labelled only once a microphone was allowed. */
	get devices(): readonly MediaDeviceInfo[] {
		return this.#devices;
	}

	/** 0 to 1. */
	level(): number {
		return this.#meter?.read() ?? 0;
	}

	/**
	 * Opens a microphone, or changes to another one. The old one goes on until the new one is there.
	 * @throws MicrophoneError
	 */
	async open(deviceId?: string): Promise<void> {
		// Browsers hide mediaDevices from pages that did not come over HTTPS (or from this very machine).
		if (!('mediaDevices' in navigator)) {
			throw new MicrophoneError('insecure');
		}
		this.#meter ??= new LevelMeter();
		let stream: MediaStream;
		try {
			stream = await navigator.mediaDevices.getUserMedia({
				audio: {
					...(deviceId === undefined ? {} : { deviceId: { exact: deviceId } }),
					channelCount: 1,
					echoCancellation: true,
					noiseSuppression: true,
					autoGainControl: true,
				},
			});
		} catch (error) {
			throw new MicrophoneError((error instanceof DOMException ? TROUBLE[error.name] : undefined) ?? 'failed', error);
		}
		const [track] = stream.getAudioTracks();
		if (track === undefined || this.#closed) {
			track?.stop();
			throw new MicrophoneError('failed');
		}
		this.#track?.stop();
		this.#track = track;
		track.addEventListener('ended', () => {
			if (this.#track === track) {
				this.#track = undefined;
				this.emit('ended', {});
			}
		});
		this.#meter.attach([track]);
		navigator.mediaDevices.addEventListener('devicechange', this.#devicesChanged);
		await this.#listDevices();
	}

	close(): void {
		this.#closed = true;
		this.#track?.stop();
		this.#track = undefined;
		this.#meter?.close();
		if ('mediaDevices' in navigator) {
			navigator.mediaDevices.removeEventListener('devicechange', this.#devicesChanged);
		}
	}

	async #listDevices(): Promise<void> {
		try {
			this.#devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === 'audioinput');
		} catch {
			this.#devices = [];
		}
		this.emit('changed', {});
	}
}
