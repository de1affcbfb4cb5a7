import type { RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../errors.ts';
import type { RoomMedia } from '../programme/room-media.ts';
import type { KeyedQueue } from '../rooms/keyed-queue.ts';
import type { Room } from '../rooms/room.ts';
import type { StageOrigin } from './stage-origin.ts';
import type { StageLog } from './stage-log.ts';
import type { Seat } from './stage-seat.ts';

export interface SeatMediaOptions {
	roomId: string;
	media: Pick<RoomMedia, 'addSpeaker' | 'removeSpeaker' | 'setMuted'>;
	origin: StageOrigin;
	/** Of all that is done for one person, by participant id. */
	queue: KeyedQueue;
	isMuted: (participantId: string) => boolean;
	schedule: (ms: number, task: () => void) => () => void;
	/** Of the home, for the log. */
	epoch?: () => number | undefined;
	log: StageLog;
}

/** Whoever is sent back to the audience still hears the stage for so long, muted: time to begin to listen. */
const DEMOTED_LINGER_MS = 4_000;

/** That media knows those who are on stage and nobody else, whatever else is under way for them. */
export class SeatMedia {
	readonly #options: SeatMediaOptions;
	/** People whom media may still know although their seat is gone. */
	readonly #unremoved = new Set<string>();

	constructor(options: SeatMediaOptions) {
		this.#options = options;
	}

	/** What media knows of the person is out of date: `remove` is to take it away. */
	outdated(id: string): void {
		this.#unremoved.add(id);
	}

	/** In the person's queue only. Whoever comes first does it: the removal itself, or the next entry of the same person. Never rejects. */
	async remove(id: string): Promise<void> {
		if (!this.#unremoved.delete(id)) return;
		const { roomId, media, epoch, log } = this.#options;
		try {
			await media.removeSpeaker(roomId, id);
		} catch (error) {
			// The origin is gone, and the person's media with it.
			if (error instanceof DomainError) log.debug({ room: roomId, participant: id, epoch: epoch?.(), err: error }, 'speaker already gone from media');
			else log.error({ room: roomId, participant: id, epoch: epoch?.(), err: error }, 'removing a speaker from media failed');
		}
	}

	/** Silent from now on, gone in a while or when the person comes back. Resolves once silent; never rejects. */
	linger(id: string): Promise<void> {
		const { roomId, media, queue, schedule } = this.#options;
		schedule(DEMOTED_LINGER_MS, () => void queue.run(id, () => this.remove(id)));
		return queue.run(id, async () => {
			try {
				if (this.#unremoved.has(id)) await media.setMuted(roomId, id, true);
			} catch {
				// Whom media cannot silence it is not to know at all.
				await this.remove(id);
			}
		});
	}

	/** In the person's queue only. @returns what the origin takes; undefined when it went away meanwhile, which heals by itself for those who wait */
	async add(room: Room, seat: Seat): Promise<RtpCapabilities | undefined> {
		const { origin } = this.#options;
		const { generation } = origin;
		try {
			const rtpCapabilities = await this.#known(room, seat);
			return generation === origin.generation ? rtpCapabilities : undefined;
		} catch (error) {
			// A browser may wait on stage for the new origin; an encoder has nothing to wait with.
			if (seat.kind === 'encoder' || !origin.willHeal(error, generation)) throw error;
			return undefined;
		}
	}

	/** The same at a new origin, for somebody who was at the old one. @returns whether it went well, or will be tried again */
	async addAgain(room: Room, seat: Seat): Promise<boolean> {
		const { origin, epoch, log } = this.#options;
		const { generation } = origin;
		try {
			await this.#known(room, seat);
			return true;
		} catch (error) {
			if (origin.willHeal(error, generation)) return true;
			log.error({ room: room.id, participant: seat.id, epoch: epoch?.(), err: error }, 'adding a speaker to the new origin failed');
			return false;
		}
	}

	async #known(room: Room, { id, number }: Seat): Promise<RtpCapabilities> {
		const { media, isMuted } = this.#options;
		const { rtpCapabilities } = await media.addSpeaker(room, id, number);
		if (isMuted(id)) await media.setMuted(room.id, id, true);
		return rtpCapabilities;
	}
}
