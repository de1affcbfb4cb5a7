import { computed, signal } from '@preact/signals';
import { faceOf, takeLinkToken } from '../api/link-token.ts';
import type { RoomSummary, RosterEntry } from '../../../stage/protocol.ts';
// Not by way of listen.ts, which would bring what plays the overflow stream.
import { EventFeed } from '../sdk/event-feed.ts';
import { Microphone, MicrophoneError, type MicrophoneTrouble, StageSession, type StageView } from '../sdk/stage.ts';
import { roomFromPath } from './room-path.ts';

export type MicrophoneState = 'closed' | 'asking' | 'open' | 'gone' | MicrophoneTrouble;

const TALKING_LEVEL = 0.55;
/** Speaking this long while muted is worth a word. */
const TALKING_TICKS = 8;
const TICK_MS = 100;

/** What the stage page shows: preparing, then a StageSession's view. */
export class StageModel {
	readonly roomId = roomFromPath();
	readonly token = takeLinkToken(this.roomId);
	readonly face = this.token === undefined ? undefined : faceOf(this.token);
	readonly summary = signal<RoomSummary | null>(null);
	readonly microphoneState = signal<MicrophoneState>('closed');
	readonly devices = signal<readonly MediaDeviceInfo[]>([]);
	readonly deviceId = signal<string | undefined>(undefined);
	readonly heard = signal(false);
	readonly view = signal<StageView | null>(null);
	readonly talkingWhileMuted = signal(false);
	readonly blocked = signal(false);
	/** The last action that failed. */
	readonly failure = signal<unknown>(null);
	readonly level = (): number => this.#microphone.level();
	readonly room = computed(() => this.view.value?.room ?? this.summary.value);
	readonly self = computed<RosterEntry | undefined>(() => {
		const view = this.view.value;
		return view?.roster.find(({ id }) => id === view.participantId);
	});
	/** Muting oneself must work even while the connection is lost; unmuting needs the server's word. */
	readonly canToggleMute = computed(() => {
		const view = this.view.value;
		return this.microphoneState.value === 'open' && (view?.state === 'on-stage' || (view?.state === 'reconnecting' && !view.muted));
	});
	/** Doors, going live, ending and invitations are the host's; a co-host moderates. */
	readonly host = computed(() => this.view.value?.role === 'host');
	readonly moderator = computed(() => ['host', 'cohost'].includes(this.view.value?.role ?? ''));

	#microphone = new Microphone();
	#session: StageSession | undefined;
	#feed: EventFeed | undefined;
	#talkingTicks = 0;

	constructor() {
		this.#followMicrophone();
		if (this.token !== undefined) {
			this.#feed = new EventFeed({ room: this.roomId, token: this.token });
			this.#feed.on('room', (room) => {
				this.summary.value = room;
			});
			this.#feed.start();
		}
		setInterval(() => this.#listenToSelf(), TICK_MS);
	}

	/** In a user's click, so that the browser asks and the meter runs. */
	async openMicrophone(deviceId?: string): Promise<void> {
		this.microphoneState.value = 'asking';
		try {
			await (this.#session === undefined ? this.#microphone.open(deviceId) : this.#session.setMicrophone(deviceId));
			this.microphoneState.value = 'open';
			this.deviceId.value = this.#microphone.deviceId;
		} catch (error) {
			if (this.#microphone.track === undefined) {
				this.microphoneState.value = error instanceof MicrophoneError ? error.trouble : 'failed';
			} else {
				// The one before still works.
				this.microphoneState.value = 'open';
				this.failure.value = error;
			}
		}
	}

	/** In a user's click. */
	join(): void {
		if (this.token === undefined || this.#session !== undefined) {
			return;
		}
		const session = new StageSession({ room: this.roomId, token: this.token, microphone: this.#microphone });
		this.#session = session;
		session.on('change', (view) => this.#changed(session, view));
		session.on('blocked', () => {
			this.blocked.value = true;
		});
		session.join();
		this.#feed?.close();
	}

	/** After having left: back to preparing. */
	prepareAgain(): void {
		this.#session = undefined;
		this.view.value = null;
		this.#microphone = new Microphone();
		this.microphoneState.value = 'closed';
		this.heard.value = false;
		this.#followMicrophone();
		this.#feed?.start();
	}

	toggleMute(): void {
		const session = this.#session;
		if (session !== undefined && this.canToggleMute.value) {
			this.attempt(session.view.muted ? session.unmute() : session.mute());
		}
	}

	unblock(): void {
		this.blocked.value = false;
		this.#session?.play();
	}

	leave(): void {
		void this.#session?.leave();
	}
	command(command: 'open' | 'start' | 'end'): void {
		this.attempt(this.#session?.command(command));
	}
	muteOther(id: string): void {
		this.attempt(this.#session?.muteOther(id));
	}
	muteAll(): void {
		this.attempt(this.#session?.muteAll());
	}
	kick(id: string): void {
		this.attempt(this.#session?.kick(id));
	}

	attempt(action: Promise<void> | undefined): void {
		this.failure.value = null;
		action?.catch((error: unknown) => {
			this.failure.value = error;
		});
	}

	#changed(session: StageSession, view: StageView): void {
		if (this.#session !== session) {
			return;
		}
		this.view.value = view;
		this.summary.value = view.room ?? this.summary.value;
		if (view.state === 'left') {
			this.microphoneState.value = 'closed';
		}
	}

	#followMicrophone(): void {
		const microphone = this.#microphone;
		microphone.on('changed', () => {
			this.devices.value = microphone.devices;
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
