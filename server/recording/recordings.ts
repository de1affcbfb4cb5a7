import path from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Homes } from '../cluster/homes.ts';
import type { PeerHandlers, Peers } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import type { TapMedia } from '../overflow/home-source.ts';
import { isRecording, type Room, type RoomRecording } from '../rooms/room.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import { Finisher } from './finisher.ts';
import { whyNoMix } from './mix.ts';
import type { CaptionLine } from './part-log.ts';
import { RecordingFolders } from './recording-folders.ts';
import type { RecordingRecord } from './recording-record.ts';
import { type FoundRecording, RecordingShelf } from './recording-shelf.ts';
import type { RecordingStorage } from './recording-storage.ts';
import { RoomCapture } from './room-capture.ts';

/** What has been shown to read in rooms that live here; `at` is RFC 3339. */
export interface CaptionSource {
	of(roomId: string): readonly { text: string; speaker?: string; at: string }[];
}

export interface RecordingsOptions {
	config: Config['recording'];
	/** Recordings are below it. */
	dataDir: string;
	rooms: Pick<RoomDirectory, 'get' | 'require' | 'list' | 'setRecording' | 'on' | 'off'>;
	homes: Pick<Homes, 'epochOf' | 'on' | 'off'>;
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'on' | 'off'>;
	peers: Peers;
	media: TapMedia;
	supervisor: Pick<Supervisor, 'shard' | 'on' | 'off'>;
	people: (roomId: string) => readonly { number: number; name: string }[];
	captions?: CaptionSource;
	storage?: RecordingStorage | undefined;
	/** A replay can be heard from now on; told again when a part was added that had been missing. */
	onReady?: (record: RecordingRecord) => void;
	/** Milliseconds since the epoch. */
	now: () => number;
	/** A fresh id: letters, digits and dashes. */
	newId: () => string;
	log: Logger;
}

/** What is left of crashes, and what waits, is looked at this often. */
const SETTLE_MS = 5_000;
const EXPIRE_MS = 600_000;
const DAY_MS = 86_400_000;
/** A room that went live so shortly before its home died was to be recorded, and is not yet. */
const JUST_STARTED_MS = 30_000;

interface Capture {
	id: string;
	capture: RoomCapture;
}

/** Records the rooms that live here, makes replays of what was recorded, and knows where all replays are. */
export class Recordings {
	readonly #options: RecordingsOptions;
	readonly #log: Logger;
	readonly #folders: RecordingFolders;
	readonly #finisher: Finisher;
	readonly shelf: RecordingShelf;
	readonly #captures = new Map<string, Capture>();
	/** Rooms whose recording is being written to its end. */
	readonly #ending = new Set<string>();
	/** The last change under way, by room. */
	readonly #queues = new Map<string, Promise<void>>();
	readonly #timers: NodeJS.Timeout[];
	#expireAtMs = -Infinity;
	/** Resolves when it is known whether there is an ffmpeg; until then it is taken for granted. */
	readonly checked: Promise<void>;
	#whyNot: string | undefined;
	#settling = false;
	#closed = false;

	static create(options: RecordingsOptions): Recordings {
		return new Recordings(options);
	}

	private constructor(options: RecordingsOptions) {
		const { config, dataDir, rooms, homes, view, peers, storage } = options;
		this.#options = options;
		this.#log = options.log.child({ part: 'recording' });
		this.#whyNot = config.enabled ? undefined : 'disabled by the configuration';
		this.#folders = new RecordingFolders(path.resolve(dataDir, 'recordings'));
		this.shelf = new RecordingShelf({ folders: this.#folders, storage, view, peers, isWriting: (roomId) => this.#captures.has(roomId) || this.#ending.has(roomId), log: this.#log });
		this.#finisher = new Finisher({
			config,
			nodeId: view.nodeId,
			folders: this.#folders,
			shelf: this.shelf,
			storage,
			whyNot: () => this.#whyNot,
			onReady: (record) => options.onReady?.(record),
			nowMs: () => performance.now(),
			log: this.#log,
		});
		rooms.on('changed', this.#onRoomChanged);
		rooms.on('removed', this.#onRoomRemoved);
		homes.on('gained', this.#onHomeChanged);
		homes.on('lost', this.#onHomeChanged);
		view.on('nodeUp', this.#onNodeUp);
		this.#timers = [
			// What is left of a crash is nobody's before the nodes have heard of each other, and that takes less.
			setInterval(() => void this.#settle(), SETTLE_MS).unref(),
		];
		this.checked = config.enabled ? this.#check() : Promise.resolve();
		for (const room of rooms.list({ limit: Number.MAX_SAFE_INTEGER, states: ['open', 'live'] })) {
			this.#follow(room.id);
		}
	}

	/** Why rooms that live here cannot be recorded; undefined when they can. */
	get whyNot(): string | undefined {
		return this.#whyNot;
	}
	get isEnabled(): boolean {
		return this.#options.config.enabled;
	}
	/** 0: for ever. */
	get keepDays(): number {
		return this.#options.config.keepDays;
	}
	/** Rooms that are being recorded here. */
	get count(): number {
		return this.#captures.size;
	}

	/** At the room's home. Rejects with `recording_unavailable`, `wrong_room_state`, `room_ended`. */
	async start(roomId: string): Promise<{ recording: RoomRecording; begun: boolean }> {
		const { rooms, view, now } = this.#options;
		if (this.#whyNot !== undefined) {
			throw new DomainError('recording_unavailable', `This room cannot be recorded: ${this.#whyNot}`);
		}
		const startedAtMs = now();
		const fresh: RoomRecording = { id: startedAtMs.toString(36), startedAt: new Date(startedAtMs).toISOString(), nodes: [view.nodeId] };
		const room = await rooms.setRecording(roomId, (before) => {
			if (before.state === 'ended') throw new DomainError('room_ended', 'This room has ended.');
			if (before.state === 'scheduled') throw new DomainError('wrong_room_state', 'A room can be recorded once its doors are open.');
			return before.recording ?? fresh;
		});
		const recording = room.recording ?? fresh;
		return { recording, begun: recording.id === fresh.id };
	}

	/** At the room's home; one that does not run any more is no error. */
	async stop(roomId: string, id: string): Promise<void> {
		await this.#options.rooms.setRecording(roomId, (room) => (room.recording?.id === id ? undefined : room.recording));
		await this.#queues.get(roomId);
	}

	list(room: Room): Promise<FoundRecording[]> {
		return this.shelf.list(room);
	}

	find(room: Room, id: string): Promise<FoundRecording | undefined> {
		return this.shelf.find(room, id);
	}

	/** The folder of a recording that is on this node's disk. */
	folder(roomId: string, id: string): string {
		return this.#folders.folder(roomId, id);
	}

	get storage(): RecordingStorage | undefined {
		return this.#options.storage;
	}

	/** Everywhere; one that runs must be stopped first. Rejects with `wrong_room_state`, `recording_not_found`. */
	async remove(room: Room, id: string): Promise<void> {
		if (isRecording(room) && room.recording?.id === id) {
			throw new DomainError('wrong_room_state', 'This recording is under way: stop it first.');
		}
		await this.#queues.get(room.id);
		if (!(await this.shelf.remove(room.id, id))) {
			throw new DomainError('recording_not_found', 'There is no such recording');
		}
		this.#log.info({ room: room.id, recording: id }, 'a recording was deleted');
	}

	/** What other nodes may ask. */
	get handlers(): Pick<PeerHandlers, 'listRecordings' | 'recordingParts' | 'readRecordingPart' | 'removeRecording'> {
		return this.shelf.handlers;
	}

	/** Deletes what is older than the policy allows; by itself every ten minutes. */
	async expire(): Promise<void> {
		const { config, now, storage } = this.#options;
		if (config.keepDays === 0 || this.#closed) {
			return;
		}
		const before = new Date(now() - config.keepDays * DAY_MS);
		try {
			const known = [...(await this.#folders.list()), ...((await storage?.list({ storedBefore: before })) ?? [])];
			for (const { roomId, id, state, startedAt, endedAt } of known) {
				if (state !== 'capturing' && new Date(endedAt ?? startedAt) < before) {
					await this.#folders.remove(roomId, id);
					await storage?.remove(roomId, id);
					this.#log.info({ room: roomId, recording: id }, 'a recording was deleted: it is older than recordings are kept');
				}
			}
		} catch (error) {
			this.#log.warn({ err: error }, 'old recordings could not be deleted; it is tried again');
		}
	}

	/** What is being recorded is on disk within moments; the next start goes on with it. Idempotent. */
	close(): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		for (const timer of this.#timers) {
			clearInterval(timer);
		}
		const { rooms, homes, view } = this.#options;
		rooms.off('changed', this.#onRoomChanged);
		rooms.off('removed', this.#onRoomRemoved);
		homes.off('gained', this.#onHomeChanged);
		homes.off('lost', this.#onHomeChanged);
		view.off('nodeUp', this.#onNodeUp);
		this.#finisher.close();
		for (const { capture } of this.#captures.values()) {
			void capture.close();
		}
		this.#options.storage?.close();
	}

	async #check(): Promise<void> {
		const whyNot = await whyNoMix(this.#options.config.ffmpegPath);
		if (whyNot !== undefined && !this.#closed) {
			this.#whyNot = whyNot;
			this.#log.warn({ why: whyNot }, 'no recordings on this node; everything else works');
		}
	}

	readonly #onRoomChanged = (room: Room, before: Room | undefined): void => {
		if (room.record && room.state === 'live' && before?.state !== 'live') {
			this.#begin(room);
		}
		this.#follow(room.id);
	};

	readonly #onHomeChanged = (roomId: string): void => {
		const room = this.#options.rooms.get(roomId);
		const { now } = this.#options;
		if (room?.record && room.state === 'live' && !room.recording && now() - Date.parse(room.startedAt ?? '') < JUST_STARTED_MS) {
			this.#begin(room);
		}
		this.#follow(roomId);
	};

	readonly #onRoomRemoved = (room: Room): void => {
		void this.#serially(room.id, async () => {
			await this.#stopCapture(room.id);
			for (const record of await this.#folders.list(room.id)) {
				if (record.roomCreatedAt === room.createdAt) {
					await this.#folders.remove(room.id, record.id);
				}
			}
			for (const record of (await this.#options.storage?.list({ roomId: room.id })) ?? []) {
				if (record.roomCreatedAt === room.createdAt) {
					await this.#options.storage?.remove(room.id, record.id);
				}
			}
		});
	};

	readonly #onNodeUp = (): void => void this.#settle();

	/** A room that is to be recorded went live. */
	#begin(room: Room): void {
		if (this.#options.homes.epochOf(room.id) === undefined) {
			return;
		}
		if (this.#whyNot !== undefined) {
			this.#log.warn({ room: room.id, why: this.#whyNot }, 'a room that is to be recorded cannot be');
			return;
		}
		this.start(room.id).catch((error: unknown) => this.#log.error({ err: error, room: room.id }, 'a room that went live could not be recorded'));
	}

	/** Records the room, or stops, as it should be now. */
	#follow(roomId: string): void {
		void this.#serially(roomId, async () => {
			const { rooms, homes } = this.#options;
			const room = rooms.get(roomId);
			const wanted = room && !this.#closed && homes.epochOf(roomId) !== undefined && isRecording(room) ? room.recording : undefined;
			if (this.#captures.get(roomId)?.id !== wanted?.id) {
				await this.#stopCapture(roomId);
			}
			if (room && wanted && !this.#captures.has(roomId)) {
				await this.#startCapture(room, wanted);
			}
		});
	}

	async #startCapture(room: Room, recording: RoomRecording): Promise<void> {
		const { rooms, view, media, supervisor, people, captions, now, newId } = this.#options;
		const { nodeId } = view;
		const { id: roomId } = room;
		const nodes = recording.nodes.includes(nodeId) ? recording.nodes : [...recording.nodes, nodeId];
		const known = await this.#folders.get(roomId, recording.id);
		await this.#folders.put({
			id: recording.id, roomId, roomCreatedAt: room.createdAt, title: room.title, state: 'capturing', startedAt: recording.startedAt, nodes: [...new Set([...(known?.nodes ?? []), ...nodes])], missing: [],
			durationMs: 0, files: {}, captions: false, speakers: [], chapters: [],
		});
		const log = this.#log.child({ room: roomId, recording: recording.id });
		const capture = RoomCapture.start({
			roomId, nodeId, media, supervisor, now, newId, log,
			partFolder: (partId) => this.#folders.partFolder(roomId, recording.id, partId),
			people: () => people(roomId),
			captions: () => (captions?.of(roomId) ?? []).map(({ text, speaker, at }): CaptionLine => ({ text, ...(speaker !== undefined && { speaker }), atMs: Date.parse(at) })),
		});
		this.#captures.set(roomId, { id: recording.id, capture });
		log.info('a room is being recorded');
		setImmediate(() => void this.#settle()); // The last home may be about to leave.
		if (nodes !== recording.nodes) {
			// Whoever finishes it knows where to ask.
			rooms
				.setRecording(roomId, ({ recording: current }) => (current?.id === recording.id && !current.nodes.includes(nodeId) ? { ...current, nodes: [...current.nodes, nodeId] } : current))
				.catch((error: unknown) => log.warn({ err: error }, 'that a recording goes on here could not be told'));
		}
	}

	async #stopCapture(roomId: string): Promise<void> {
		const current = this.#captures.get(roomId);
		if (!current) {
			return;
		}
		this.#captures.delete(roomId);
		this.#ending.add(roomId);
		await current.capture.close().finally(() => this.#ending.delete(roomId));
		if (this.#closed) {
			return;
		}
		const room = this.#options.rooms.get(roomId);
		if (room && isRecording(room) && room.recording?.id === current.id) {
			this.#log.info({ room: roomId, recording: current.id }, 'a recording goes on at the next home of its room');
			return;
		}
		await this.#markStopped(roomId, current.id, room?.recording?.id === current.id ? room.recording.nodes : []);
	}

	async #markStopped(roomId: string, id: string, nodes: readonly string[]): Promise<void> {
		const record = await this.#folders.get(roomId, id);
		if (record) {
			await this.#folders.put({ ...record, state: 'stopped', nodes: [...new Set([...record.nodes, ...nodes])], endedAt: record.endedAt ?? new Date(this.#options.now()).toISOString() });
			this.#finisher.finish(roomId, id);
		}
	}

	/** Goes through what is on disk: what a crash left, what waits to be finished, what has become whole. */
	async #settle(): Promise<void> {
		if (this.#settling || this.#closed) {
			return;
		}
		this.#settling = true;
		try {
			for (const record of await this.#folders.list()) {
				await this.#settleOne(record);
			}
			await this.#stopOverlong();
			if (performance.now() >= this.#expireAtMs) {
				this.#expireAtMs = performance.now() + EXPIRE_MS;
				await this.expire();
			}
		} catch (error) {
			this.#log.warn({ err: error }, 'recordings on disk could not be looked through; it is tried again');
		} finally {
			this.#settling = false;
		}
	}

	async #settleOne(record: RecordingRecord): Promise<void> {
		const { roomId, id, state, missing } = record;
		const { view, rooms } = this.#options;
		if (state === 'stopped') {
			this.#finisher.finish(roomId, id);
		} else if (state === 'capturing' && this.#captures.get(roomId)?.id === id) {
			await this.#finisher.fetchEarly(record);
		} else if (state === 'capturing') {
			const room = rooms.get(roomId);
			if (room && isRecording(room) && room.recording?.id === id) {
				this.#follow(roomId); // Goes on here, or elsewhere.
			} else if (!this.#queues.has(roomId) && (await this.#isMine(record))) {
				this.#log.info({ room: roomId, recording: id }, 'a recording that was cut off is finished');
				await this.#markStopped(roomId, id, room?.recording?.id === id ? room.recording.nodes : []);
			}
		} else if ((state === 'ready' || state === 'failed') && missing.some((nodeId) => view.nodes().some((node) => node.nodeId === nodeId))) {
			if (await this.#finisher.fetchMissing(record)) {
				await this.#folders.put({ ...record, state: 'stopped' });
				this.#finisher.finish(roomId, id);
			}
		}
	}

	/** Several nodes may hold parts of what nobody stopped: one of them finishes it. */
	async #isMine({ roomId, id }: RecordingRecord): Promise<boolean> {
		const others = await this.shelf.partsElsewhere(roomId, id);
		return others.every(({ nodeId, answer }) => answer.state === null || (answer.state === 'capturing' && nodeId > this.#options.view.nodeId));
	}

	async #stopOverlong(): Promise<void> {
		const { config, rooms, now } = this.#options;
		for (const [roomId, { id }] of this.#captures) {
			const startedAt = rooms.get(roomId)?.recording?.startedAt;
			if (startedAt !== undefined && now() - Date.parse(startedAt) > config.maxHours * 3_600_000) {
				this.#log.warn({ room: roomId, recording: id }, 'a recording is as long as recordings may be; it ends');
				await this.stop(roomId, id);
			}
		}
	}

	#serially(roomId: string, work: () => Promise<void>): Promise<void> {
		const done = (this.#queues.get(roomId) ?? Promise.resolve()).then(work).catch((error: unknown) => {
			this.#log.error({ err: error, room: roomId }, 'a recording could not follow its room');
		});
		this.#queues.set(roomId, done);
		void done.finally(() => this.#queues.get(roomId) === done && this.#queues.delete(roomId));
		return done;
	}
}
