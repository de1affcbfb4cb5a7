import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import type { PackingMs } from '../../sfu/contract/media-types.ts';
import type { ParamsOf, ShardRequestName } from '../../sfu/contract/shard-protocol.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import { Supervisor, type SupervisorOptions } from '../../sfu/supervisor/supervisor.ts';
import type { PressureLadderOptions } from '../../server/placement/pressure-ladder.ts';
import type { Programmes } from '../../server/programme/programmes.ts';
import type { Room } from '../../server/rooms/room.ts';
import { programmesAlone } from './alone.ts';
import { RtcListener, type RtcListenerOptions } from './rtc/listener.ts';
import { loopbackShards } from './supervisor-options.ts';
import { RtcSpeaker, type RtcSpeakerOptions } from './rtc/speaker.ts';

export interface MediaPlaneOptions extends Partial<Omit<SupervisorOptions, 'mediaPort' | 'log'>> {
	/**
	 * The first of 100 ports that belong to this plane alone: shards from here on, links from 20 further on. Below 32768,
	 * for the kernel gives any client the ports above.
	 */
	mediaPort: number;
	/** Audience from which `auto` packs 60 ms. Default 200. */
	thresholdListeners?: number;
	/** What gives way under pressure. Default: nothing. */
	pressure?: PressureLadderOptions;
}

const LINK_TIMEOUT_MS = 5_000;

/** A listener with the session it has. */
export interface SeatedListener {
	listener: RtcListener;
	sessionId: string;
	etag: string;
	/** Index of its shard. */
	shard: number;
}

/** A speaker on stage, who comes back by itself when the origin does, as the stage tells real ones to. */
export interface StagedSpeaker {
	speaker: RtcSpeaker;
	participantId: string;
	number: number;
	sessionId: () => string;
}

/**
 * Everything below HTTP: a supervisor with real shards and workers, rooms' programmes, and real WebRTC clients on
 * 127.0.0.1. What it hands out it closes.
 */
export class MediaPlane {
	readonly supervisor: Supervisor;
	readonly programmes: Programmes;
	readonly #listeners = new Set<RtcListener>();
	readonly #speakers = new Map<string, { room: Room; participantId: string; number: number; speaker: RtcSpeaker }>();
	/** Everything that shards were asked, in order, each with its answer. */
	readonly asked: { shard: number; name: ShardRequestName; params: ParamsOf<ShardRequestName>; answered: Promise<unknown> }[] = [];
	#rooms = 0;

	static async start({ mediaPort, thresholdListeners = 200, pressure, ...options }: MediaPlaneOptions): Promise<MediaPlane> {
		const log = pino({ level: process.env['ROSTRUM_TEST_LOG'] ?? 'silent' });
		const shards = { ...loopbackShards(mediaPort), ...options };
		const { maxListenersPerShard } = shards;
		const supervisor = await Supervisor.start({ ...shards, log });
		const autoPacking = { thresholdListeners, smallMs: 20, largeMs: 60 } as const;
		return new MediaPlane(supervisor, programmesAlone({ supervisor, maxListenersPerShard, autoPacking, log, ...(pressure && { pressure }), ...(options.maxDownstreams !== undefined && { maxFanOut: options.maxDownstreams }) }));
	}

	private constructor(supervisor: Supervisor, programmes: Programmes) {
		this.supervisor = supervisor;
		this.programmes = programmes;
		for (const shard of supervisor.shards()) {
			this.#overhear(shard);
		}
		supervisor.on('shardUp', (shard) => this.#overhear(shard));
		programmes.on('originReady', ({ roomId }) => {
			for (const staged of this.#speakers.values()) {
				if (staged.room.id === roomId) {
					void this.#comeBack(staged);
				}
			}
		});
	}

	/** A live room; nothing of it is stored anywhere. */
	async room(settings: Partial<Room> = {}): Promise<Room> {
		const room: Room = {
			id: `room-${++this.#rooms}`,
			title: 'A room',
			voices: 3,
			packingMs: 20,
			visibility: 'public',
			record: false,
			state: 'live',
			createdAt: '2023-05-24T22:00:00Z',
			version: 1,
			...settings,
		};
		await this.programmes.roomChanged(room);
		return room;
	}

	/** Seats a listener. Resolves when the room's programme reaches their shard, so that nothing said afterwards is missed. */
	async listen(room: Room, { packingMs, ...options }: RtcListenerOptions & { packingMs?: PackingMs } = {}): Promise<SeatedListener> {
		let session = { sessionId: '', etag: '' };
		const listener = await RtcListener.join(async (offer) => {
			const { sdp, ...made } = await this.programmes.listen(room, offer, packingMs);
			session = made;
			return sdp;
		}, options);
		this.#listeners.add(listener);
		const shard = Number(session.sessionId.split('-')[0]);
		await this.#linked(room.id, shard);
		return { listener, ...session, shard };
	}

	/** On stage under this number, and connected. */
	async speak(room: Room, number: number, options: RtcSpeakerOptions = {}): Promise<StagedSpeaker> {
		const participantId = `speaker-${number}`;
		let sessionId = '';
		await this.programmes.addSpeaker(room, participantId, number);
		const speaker = await RtcSpeaker.publish(async (offer) => {
			const created = await this.programmes.publish(room, participantId, offer);
			sessionId = created.sessionId;
			return created.sdp;
		}, options);
		this.#speakers.set(`${room.id}/${participantId}`, { room, participantId, number, speaker });
		return { speaker, participantId, number, sessionId: () => sessionId };
	}

	async removeSpeaker(room: Room, { participantId, speaker }: StagedSpeaker): Promise<void> {
		this.#speakers.delete(`${room.id}/${participantId}`);
		speaker.close();
		await this.programmes.removeSpeaker(room.id, participantId);
	}

	/** The link over which this room's programme was last connected to the shard. */
	linkOf(roomId: string, shard: number): string {
		const connected = this.#lastLink(roomId, shard);
		return connected && 'linkId' in connected.params ? connected.params.linkId : '';
	}

	async close(): Promise<void> {
		for (const { speaker } of this.#speakers.values()) {
			speaker.close();
		}
		for (const listener of this.#listeners) {
			listener.close();
		}
		this.#speakers.clear();
		this.programmes.close('the test is over');
		await this.supervisor.close('the test is over', 2_000);
	}

	#lastLink(roomId: string, index: number): (typeof this.asked)[number] | undefined {
		return this.asked.findLast(({ shard, name, params }) => shard === index && name === 'upstream.connect' && 'roomId' in params && params.roomId === roomId);
	}

	async #linked(roomId: string, shard: number): Promise<void> {
		for (const deadlineMs = performance.now() + LINK_TIMEOUT_MS; performance.now() < deadlineMs; await sleep(2)) {
			const link = this.#lastLink(roomId, shard);
			if (link) {
				await link.answered;
				return;
			}
		}
		throw new Error(`${roomId} was not linked to shard ${shard} within ${LINK_TIMEOUT_MS} ms`);
	}

	#overhear(shard: Shard): void {
		const request = shard.request.bind(shard);
		shard.request = (name, params) => {
			const answered = request(name, params);
			this.asked.push({ shard: shard.assignment?.index ?? -1, name, params, answered });
			return answered;
		};
	}

	async #comeBack({ room, participantId, number, speaker }: { room: Room; participantId: string; number: number; speaker: RtcSpeaker }): Promise<void> {
		try {
			await this.programmes.addSpeaker(room, participantId, number);
			await speaker.connect();
		} catch (error) {
			console.error(`speaker ${number} could not come back`, error);
		}
	}
}
