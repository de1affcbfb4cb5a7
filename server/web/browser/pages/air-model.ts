import { computed, signal } from '@preact/signals';
import type { RosterEntry } from '../../../stage/protocol.ts';
import { Microphone, MicrophoneError, type MicrophoneTrouble } from '../sdk/microphone.ts';
// As a type only: the listening page loads what is behind it when somebody goes on stage.
import type { StageSession, StageView } from '../sdk/stage-session.ts';

export type MicrophoneState = 'closed' | 'asking' | 'open' | 'gone' | MicrophoneTrouble;

const TALKING_LEVEL = 0.55;
/** Speaking this long while muted is worth a word. */
const TALKING_TICKS = 8;
const TICK_MS = 100;

/** One's own microphone and place on stage, on whichever page. */
export class AirModel {
	readonly microphoneState = signal<MicrophoneState>('closed');
	readonly devices = signal<readonly MediaDeviceInfo[]>([]);
	readonly deviceId = signal<string | undefined>(undefined);
	readonly heard = signal(false);
	/** Null until one has asked to go on stage. */
	readonly view = signal<StageView | null>(null);
	readonly talkingWhileMuted = signal(false);
	readonly blocked = signal(false);
	/** The last action that failed. */
	readonly failure = signal<unknown>(null);
	readonly level = (): number => this.#microphone.level();
	readonly self = computed<RosterEntry | undefined>(() => {
		const view = this.view.value;
		return view?.roster.find(({ id }) => id === view.participantId);
	});
	/** Muting oneself must work even while the connection is lost; unmuting needs the server's word. */
	readonly canToggleMute = computed(() => {
		const view = this.view.value;
		return this.microphoneState.value === 'open' && (view?.state === 'on-stage' || (view?.state === 'reconnecting' && !view.muted));
	});

	readonly #makeMicrophone: () => Microphone;
	#microphone: Microphone;
	#session: StageSession | undefined;
	#talkingTicks = 0;
	#timer: ReturnType<typeof setInterval> | undefined;

	constructor(makeMicrophone: () => Microphone = () => new Microphone()) {
		this.#makeMicrophone = makeMicrophone;
		this.#microphone = makeMicrophone();
		this.#followMicrophone();
	}

	get microphone(): Microphone {
		return this.#microphone;
	}
	get session(): StageSession | undefined {
		return this.#session;
	}

	/** In a user's click, so that the browser asks and the meter runs. Whether it is open then. */
	async openMicrophone(deviceId?: string): Promise<boolean> {
		this.microphoneState.value = 'asking';
		try {
			await (this.#session === undefined ? this.#microphone.open(deviceId) : this.#session.setMicrophone(deviceId));
			this.microphoneState.value = 'open';
			this.deviceId.value = this.#microphone.deviceId;
			return true;
		} catch (error) {
			if (this.#microphone.track === undefined) {
				this.microphoneState.value = error instanceof MicrophoneError ? error.trouble : 'failed';
				return false;
			}
			// The one before still works.
			this.microphoneState.value = 'open';
			this.failure.value = error;
			return true;
		}
	}

	/** In a user's click, or with one's consent given before. */
	take(session: StageSession): void {
		this.#session = session;
		session.on('change', (view) => {
			if (this.#session === session) {
				this.view.value = view;
				if (view.state === 'left') {
					this.microphoneState.value = 'closed';
				}
			}
		});
		session.on('blocked', () => {
			this.blocked.value = true;
		});
		this.#timer ??= setInterval(() => this.#listenToSelf(), TICK_MS);
		session.join();
	}

	/** Lets the microphone go, and what was on stage. Ready for another time. */
	reset(): void {
		this.#session = undefined;
		this.#microphone.close();
		this.view.value = null;
		this.blocked.value = false;
		this.failure.value = null;
		this.#microphone = this.#makeMicrophone();
		this.microphoneState.value = 'closed';
		this.heard.value = false;
		this.talkingWhileMuted.value = false;
		clearInterval(this.#timer);
		this.#timer = undefined;
		this.#followMicrophone();
	}

	toggleMute(): void {
		const session = this.#session;
		if (session !== undefined && this.canToggleMute.value) {
			this.attempt(session.view.muted ? session.unmute() : session.mute());
		}
	}

	/** The answer to somebody who asks one to unmute. */
	answerUnmute(yes: boolean): void {
		const session = this.#session;
		session?.declineUnmute();
		if (yes && session?.view.muted === true) {
			this.attempt(session.unmute());
		}
	}

	unblock(): void {
		this.blocked.value = false;
		this.#session?.play();
	}

	leave(): void {
		void this.#session?.leave();
	}

	attempt(action: Promise<unknown> | undefined): void {
		this.failure.value = null;
		action?.catch((error: unknown) => {
			this.failure.value = error;
		});
	}

	#followMicrophone(): void {
		const microphone = this.#microphone;
		microphone.on('changed', () => {
			this.devices.value = microphone.devices;
			// Before one joins, too: a bar that moves is how people know that they will be heard.
			this.#timer ??= setInterval(() => this.#listenToSelf(), TICK_MS);
		});
		microphone.on('ended', () => {
			this.microphoneState.value = 'gone';
		});
	}

	#listenToSelf(): void {
		const talking = this.#microphone.level() > TALKING_LEVEL;
		this.heard.value ||= talking;
		// Fades slower than it grows, so that a pause between words does not hide the warning.
		this.#talkingTicks = talking ? Math.min(this.#talkingTicks + 1, 30) : Math.max(0, this.#talkingTicks - 0.4);
		this.talkingWhileMuted.value = this.view.value?.muted === true && this.#talkingTicks > TALKING_TICKS;
	}
}
