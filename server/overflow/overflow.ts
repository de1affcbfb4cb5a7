import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Homes } from '../cluster/homes.ts';
import type { PeerHandlers, Peers } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import type { Room } from '../rooms/room.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import { whyNoFfmpeg } from './ffmpeg-check.ts';
import { answerFollower, FollowSource } from './follow-source.ts';
import { HomeSource, type TapMedia } from './home-source.ts';
import { MASTER_NAME } from './playlists.ts';
import { RoomStream, type StreamSource } from './room-stream.ts';
import type { Position } from './stream-window.ts';
import { warmRooms } from './warm-rooms.ts';

export interface OverflowOptions {
	config: Config['overflow'];
	/** Where people reach this node, without a slash at the end; undefined when that is not configured: then addresses are paths. */
	publicUrl: string | undefined;
	rooms: Pick<RoomDirectory, 'get' | 'list' | 'on' | 'off'>;
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'homeOf' | 'listenersIn'>;
	homes: Pick<Homes, 'epochOf' | 'on' | 'off'>;
	peers: Peers;
	media: TapMedia;
	supervisor: Pick<Supervisor, 'shard' | 'on' | 'off'>;
	/** Milliseconds since the epoch. */
	now: () => number;
	/** Any fresh id; what is neither letter nor digit is left out. */
	randomId: () => string;
	schedule: (ms: number, task: () => void) => () => void;
	/** The stream of a room that lives here begins. */
	onStarted?: (roomId: string) => void;
	log: Logger;
}

export type OverflowRequest = 'master' | 'playlist' | 'init' | 'segment' | 'part';

/** Since the start, and at present. */
export interface OverflowFigures {
	streams: Record<StreamSource['kind'], number>;
	bytes: number;
	/** Estimated; see `RequestRates`. */
	players: number;
	requests: Readonly<Record<OverflowRequest, number>>;
	/** Encoders and taps that took another one's place in mid-stream. */
	restarts: number;
	/** Parts made here, and such as were had from the homes of their rooms. */
	parts: { encoded: number; followed: number };
}

const LOOK_MS = 1_000;
/** How long a stream that ended can still be played to its end. */
const ENDED_KEPT_MS = 60_000;
/** Of rooms on one node. */
const MAX_STREAMS = 64;
const MAX_REMEMBERED = 1_000;

/**
 * The overflow streams that this node gives: made here for rooms that live here, copied from their homes for others. Each begins with
 * the first request for it (or before, when places run out) and ends some time after the last one.
 */
export class Overflow {
	readonly #options: OverflowOptions;
	readonly #log: Logger;
	readonly #streams = new Map<string, RoomStream>();
	/** Where streams stood that are no more: the next one of the room goes on from there. */
	readonly #positions = new Map<string, Position>();
	readonly #requests: Record<OverflowRequest, number> = { master: 0, playlist: 0, init: 0, segment: 0, part: 0 };
	readonly #parts = { encoded: 0, followed: 0 };
	readonly #timer: NodeJS.Timeout;
	/** Resolves when it is known whether there is an ffmpeg; until then it is taken for granted. */
	readonly checked: Promise<void>;
	#restarts = 0;
	#whyNot: string | undefined;
	#closed = false;

	static create(options: OverflowOptions): Overflow {
		return new Overflow(options);
	}

	private constructor(options: OverflowOptions) {
		this.#options = options;
		this.#whyNot = options.config.enabled ? undefined : 'disabled by the configuration';
		this.#log = options.log.child({ part: 'overflow' });
		options.rooms.on('changed', this.#onRoomChanged);
		options.rooms.on('removed', this.#onRoomRemoved);
		options.homes.on('gained', this.#onHomeChanged);
		options.homes.on('lost', this.#onHomeChanged);
		this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
		this.checked = options.config.enabled ? this.#check() : Promise.resolve();
	}

	/** Why rooms that live here have no stream; undefined when they have. */
	get whyNot(): string | undefined {
		return this.#whyNot;
	}
	get isEnabled(): boolean {
		return this.#options.config.enabled;
	}
	get bitrateKbps(): number {
		return this.#options.config.bitrateKbps;
	}

	/**
	 * Where a room can be heard by HLS, for somebody who is turned away; undefined when it cannot. Makes the stream ready. From memory, and cheap.
	 */
	hlsFor(room: Pick<Room, 'id' | 'state'>): string | undefined {
		const { id, state } = room;
		if ((state !== 'open' && state !== 'live') || !this.#mayStream(id) || this.#streams.get(id)?.refusal) {
			return undefined;
		}
		const stream = this.#ensure(id);
		stream?.touch(performance.now());
		return stream && `${this.#options.publicUrl ?? ''}/v1/rooms/${id}/hls/${MASTER_NAME}`;
	}

	/**
	 * The room's stream, begun if need be. The caller has seen that the room may be heard.
	 * @throws DomainError `overflow_unavailable`
	 */
	stream(room: Room): RoomStream {
		const known = this.#streams.get(room.id);
		if (known?.refusal) {
			known.touch(performance.now()); // It asks the home again meanwhile.
			throw known.refusal;
		}
		if (!known && !this.#mayStream(room.id)) {
			throw unavailable(`There is no overflow stream here: ${this.#whyNot ?? 'disabled'}`);
		}
		const stream = known ?? this.#ensure(room.id);
		if (!stream) {
			throw unavailable('This node gives as many overflow streams as it may');
		}
		stream.touch(performance.now());
		return stream;
	}

	/** The stream of a room that may have ended, if it is still there. */
	kept(roomId: string): RoomStream | undefined {
		return this.#streams.get(roomId);
	}

	count(kind: OverflowRequest): void {
		this.#requests[kind]++;
	}

	/** Players of a room that ask this node, estimated. */
	playersOf(roomId: string): number {
		return this.#streams.get(roomId)?.rates.players(performance.now()) ?? 0;
	}

	figures(): OverflowFigures {
		const streams = { home: 0, follower: 0 };
		let bytes = 0;
		let players = 0;
		const nowMs = performance.now();
		for (const stream of this.#streams.values()) {
			if (stream.sourceKind) {
				streams[stream.sourceKind]++;
			}
			bytes += stream.window.bytes;
			players += stream.rates.players(nowMs);
		}
		return { streams, bytes, players, requests: this.#requests, restarts: this.#restarts, parts: this.#parts };
	}

	/** What other nodes may ask. */
	readonly handlers: Pick<PeerHandlers, 'followOverflow'> = {
		followOverflow: async ({ roomId, after }) => {
			const { homes, rooms } = this.#options;
			const ended = this.#streams.get(roomId);
			if (ended?.endedAtMs !== undefined) {
				return answerFollower(ended, after);
			}
			if (homes.epochOf(roomId) === undefined) {
				throw new DomainError('not_home', 'This room does not live on this node.', { retryAfterSeconds: 1 });
			}
			const room = rooms.get(roomId);
			if (room?.state !== 'open' && room?.state !== 'live') {
				throw new DomainError(room?.state === 'ended' ? 'room_ended' : 'room_not_open', 'This room is not to be heard now');
			}
			return answerFollower(this.stream(room), after);
		},
	};

	/** Idempotent. */
	close(): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		clearInterval(this.#timer);
		const { rooms, homes } = this.#options;
		rooms.off('changed', this.#onRoomChanged);
		rooms.off('removed', this.#onRoomRemoved);
		homes.off('gained', this.#onHomeChanged);
		homes.off('lost', this.#onHomeChanged);
		for (const stream of this.#streams.values()) {
			stream.close();
		}
		this.#streams.clear();
	}

	async #check(): Promise<void> {
		const whyNot = await whyNoFfmpeg(this.#options.config.ffmpegPath);
		if (whyNot === undefined || this.#closed) {
			return;
		}
		this.#whyNot = whyNot;
		this.#log.warn({ why: whyNot }, 'no overflow by HLS from this node: rooms that live here cannot be heard where there is no place for WebRTC; everything else works');
		for (const roomId of this.#streams.keys()) {
			this.#onHomeChanged(roomId);
		}
	}

	/** Whether a stream can be had as far as this node knows: the homes of others speak for themselves. */
	#mayStream(roomId: string): boolean {
		const { config, homes } = this.#options;
		return !this.#closed && config.enabled && (this.#whyNot === undefined || homes.epochOf(roomId) === undefined);
	}

	#ensure(roomId: string): RoomStream | undefined {
		const known = this.#streams.get(roomId);
		if (known || this.#streams.size >= MAX_STREAMS) {
			return known;
		}
		const stream = new RoomStream(roomId, performance.now(), this.#positions.get(roomId));
		this.#streams.set(roomId, stream);
		stream.setSource(() => this.#sourceFor(stream));
		return stream;
	}

	#sourceFor(stream: RoomStream): StreamSource {
		const { homes, rooms, view, peers, media, supervisor, config, now, randomId, schedule } = this.#options;
		const { roomId, window } = stream;
		const log = this.#log.child({ room: roomId });
		stream.refuse(undefined);
		const epoch = homes.epochOf(roomId);
		if (epoch === undefined) {
			return new FollowSource({
				roomId, window, view, peers, schedule, log,
				onRefused: (error) => stream.refuse(error),
				onParts: (count) => {
					stream.refuse(undefined);
					this.#parts.followed += count;
				},
			});
		}
		if (this.#whyNot !== undefined) {
			stream.refuse(unavailable(`There is no overflow stream here: ${this.#whyNot}`));
			return { kind: 'home', look() {}, close() {} };
		}
		this.#options.onStarted?.(roomId);
		const room = rooms.get(roomId);
		return new HomeSource({
			roomId, createdAtMs: room === undefined ? now() : Date.parse(room.createdAt), epoch, window, media, supervisor, now, log,
			encoding: { ffmpegPath: config.ffmpegPath, bitrateKbps: config.bitrateKbps },
			newId: () => randomId().toLowerCase().replace(/[^a-z0-9]/g, '').slice(0, 12),
			onPart: () => void this.#parts.encoded++,
			onRestart: () => void this.#restarts++,
		});
	}

	#look(): void {
		const { config, rooms, homes, view } = this.#options;
		const nowMs = performance.now();
		if (this.#whyNot === undefined) {
			const here = rooms.list({ limit: Number.MAX_SAFE_INTEGER, states: ['open', 'live'] }).filter(({ id }) => homes.epochOf(id) !== undefined);
			for (const roomId of here.length > 0 ? warmRooms(here, view.nodes(), (id) => view.listenersIn(id), config.warmAtFill) : []) {
				this.#ensure(roomId)?.touch(nowMs);
			}
		}
		for (const [roomId, stream] of this.#streams) {
			const over = stream.endedAtMs === undefined ? stream.idleMs(nowMs) > config.lingerMs : nowMs - stream.endedAtMs > ENDED_KEPT_MS;
			if (over) {
				this.#drop(roomId, stream);
			} else {
				stream.look();
			}
		}
	}

	#drop(roomId: string, stream: RoomStream): void {
		this.#streams.delete(roomId);
		const { position } = stream.window;
		stream.close();
		this.#positions.delete(roomId);
		if (position && stream.endedAtMs === undefined) {
			this.#positions.set(roomId, position);
			const oldest = this.#positions.keys().next();
			if (this.#positions.size > MAX_REMEMBERED && !oldest.done) {
				this.#positions.delete(oldest.value);
			}
		}
		this.#log.info({ room: roomId }, 'overflow stream over: nobody asks for it');
	}

	readonly #onRoomChanged = (room: Room): void => {
		if (room.state === 'ended') {
			this.#streams.get(room.id)?.end(performance.now());
		}
	};

	readonly #onRoomRemoved = (room: Room): void => {
		this.#streams.get(room.id)?.close();
		this.#streams.delete(room.id);
		this.#positions.delete(room.id);
	};

	/** The stream goes on from another source, where it stands. */
	readonly #onHomeChanged = (roomId: string): void => {
		const stream = this.#streams.get(roomId);
		stream?.setSource(() => this.#sourceFor(stream));
	};
}

const unavailable = (detail: string): DomainError => new DomainError('overflow_unavailable', detail, { retryAfterSeconds: 10 });
