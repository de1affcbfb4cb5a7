import { computed, signal } from '@preact/signals';
import { embedCode } from '../api/embed-code.ts';
import { faceOf, takeLinkToken } from '../api/link-token.ts';
import { RoomsApi } from '../api/rooms-api.ts';
import type { HandEntry, RoomSummary, StageParams } from '../../../stage/protocol.ts';
// Not by way of listen.ts, which would bring what plays the overflow stream.
import { EventFeed } from '../sdk/event-feed.ts';
import { StageSession } from '../sdk/stage.ts';
import { AirModel } from './air-model.ts';
import { roomFromPath } from './room-path.ts';

/** What the stage page shows: preparing, then a StageSession's view. */
export class StageModel extends AirModel {
	readonly roomId = roomFromPath();
	readonly token = takeLinkToken(this.roomId);
	readonly face = this.token === undefined ? undefined : faceOf(this.token);
	readonly summary = signal<RoomSummary | null>(null);
	readonly room = computed(() => this.view.value?.room ?? this.summary.value);
	/** Shown before one joins: whoever speaks is recorded. */
	readonly recording = computed(() => this.view.value?.recording ?? this.#recordingOf(this.summary.value));
	/** Doors, going live, ending and invitations are the host's; a co-host moderates. */
	readonly host = computed(() => this.view.value?.role === 'host');
	readonly moderator = computed(() => ['host', 'cohost'].includes(this.view.value?.role ?? ''));
	/** Hands behind the head of the queue, as far as they were asked for. */
	readonly furtherHands = signal<readonly HandEntry[]>([]);
	readonly hands = computed<readonly HandEntry[]>(() => {
		const head = this.view.value?.hands?.hands ?? [];
		const shown = new Set(head.map(({ id }) => id));
		return [...head, ...this.furtherHands.value.filter(({ id }) => !shown.has(id))];
	});
	readonly handCount = computed(() => this.view.value?.hands?.total ?? 0);

	/** Of a room that everybody may hear, for its host to pass on; null: it has none, or they are not read yet. */
	readonly openLinks = signal<{ listenUrl: string; embedCode: string } | null>(null);

	#feed: EventFeed | undefined;

	constructor() {
		super();
		if (this.token !== undefined) {
			this.#feed = new EventFeed({ room: this.roomId, token: this.token });
			this.#feed.on('room', (room) => {
				this.summary.value = room;
			});
			this.#feed.start();
		}
		this.view.subscribe((view) => {
			this.summary.value = view?.room ?? this.summary.peek();
		});
		this.host.subscribe((host) => {
			if (host) {
				void this.#readLinks();
			}
		});
	}

	/** In a user's click. */
	join(): void {
		if (this.token === undefined || this.session !== undefined) {
			return;
		}
		this.take(new StageSession({ room: this.roomId, token: this.token, microphone: this.microphone }));
		this.#feed?.close();
	}

	/** After having left: back to preparing. */
	prepareAgain(): void {
		this.reset();
		this.furtherHands.value = [];
		this.#feed?.start();
	}

	command(command: 'open' | 'start' | 'end'): void {
		this.attempt(this.session?.command(command));
	}
	muteOther(id: string): void {
		this.attempt(this.session?.muteOther(id));
	}
	muteAll(): void {
		this.attempt(this.session?.muteAll());
	}
	askToUnmute(id: string): void {
		this.attempt(this.session?.askToUnmute(id));
	}
	kick(id: string): void {
		this.attempt(this.session?.kick(id));
	}
	ban(id: string): void {
		this.attempt(this.session?.ban(id));
	}
	invite(id: string): void {
		this.attempt(this.session?.invite(id));
	}
	promote(id: string, role?: StageParams<'participant.promote'>['role']): void {
		this.#forgetFurther(id);
		this.attempt(this.session?.promote(id, role));
	}
	demote(id: string, role?: StageParams<'participant.demote'>['role']): void {
		this.attempt(this.session?.demote(id, role));
	}
	lowerHand(id: string): void {
		this.#forgetFurther(id);
		this.attempt(this.session?.lowerHand(id));
	}
	setStage(settings: StageParams<'stage.set'>): void {
		this.attempt(this.session?.setStage(settings));
	}

	/** One place up or down among those on stage. */
	move(id: string, by: -1 | 1): void {
		const order = (this.view.value?.roster ?? []).map((entry) => entry.id);
		const at = order.indexOf(id);
		const other = order[at + by];
		if (at < 0 || other === undefined) {
			return;
		}
		order[at] = other;
		order[at + by] = id;
		this.setStage({ order });
	}

	/** The next ones behind those that are shown. */
	moreHands(): void {
		const after = this.hands.value.at(-1)?.id;
		const asked = this.session?.hands(after).then(({ hands }) => {
			this.furtherHands.value = [...this.furtherHands.value, ...hands];
		});
		this.attempt(asked);
	}

	async #readLinks(): Promise<void> {
		try {
			const { visibility, links } = await new RoomsApi(this.token).read(this.roomId);
			this.openLinks.value = visibility === 'public' ? { listenUrl: links.listen, embedCode: embedCode(links.listen, this.roomId) } : null;
		} catch {
			// The page works without; it is read again with the next place on stage.
		}
	}

	#forgetFurther(id: string): void {
		this.furtherHands.value = this.furtherHands.value.filter((hand) => hand.id !== id);
	}

	/** The room's own summary may say so, too. */
	#recordingOf(room: (RoomSummary & { recording?: boolean }) | null): boolean {
		return room?.recording === true;
	}
}
