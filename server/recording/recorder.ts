import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Homes } from '../cluster/homes.ts';
import { DomainError } from '../errors.ts';
import type { TapMedia } from '../overflow/home-source.ts';
import { isRecording, type Room, type RoomRecording } from '../rooms/room.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { DiskSpace } from './disk-space.ts';
import type { CaptionLine } from './part-log.ts';
import type { RecordingFolders } from './recording-folders.ts';
import type { RecordingProblems } from './recording-problem.ts';
import type { RecordingRecord } from './recording-record.ts';
import { RoomCapture } from './room-capture.ts';

/** What has been shown to read in rooms that live here; `at` is RFC 3339. */
export interface CaptionSource {
	of(roomId: string): readonly { text: string; speaker?: string; at: string }[];
}

export interface RecorderOptions {
	config: Pick<Config['recording'], 'maxHours'>;
	rooms: Pick<RoomDirectory, 'get' | 'list' | 'setRecording' | 'on' | 'off'>;
	homes: Pick<Homes, 'epochOf' | 'on' | 'off'>;
	view: Pick<ClusterView, 'nodeId'>;
	media: TapMedia;
	supervisor: Pick<Supervisor, 'shard' | 'on' | 'off'>;
	people: (roomId: string) => readonly { number: number; name: string }[];
	captions?: CaptionSource | undefined;
	folders: RecordingFolders;
	space: Pick<DiskSpace, 'require'>;
	problems: RecordingProblems;
	/** Why nothing can be recorded here, whatever the disk says. */
	whyNot: () => string | undefined;
	/** A room begins to be recorded here. */
	onBegun: () => void;
	/** All that there is of a recording is on disk. @param nodes that may have parts of it */
	onStopped: (roomId: string, id: string, nodes: readonly string[]) => Promise<void>;
	/** Milliseconds since the epoch. */
	now: () => number;
	/** A fresh id: letters, digits and dashes. */
	newId: () => string;
	log: Logger;
}

interface Capture {
	id: string;
	capture: RoomCapture;
	/** As it is, or would be, on disk. */
	record: RecordingRecord;
}

const OVERLONG_MS = 5_000;
/** A room that went live so shortly before its home died was to be recorded, and is not yet. */
const JUST_STARTED_MS = 30_000;

/** Records the rooms that live here, for as long as they are to be. */
export class Recorder {
	readonly #options: RecorderOptions;
	readonly #log: Logger;
	readonly #captures = new Map<string, Capture>();
	/** Rooms whose recording is being written to its end. */
	readonly #ending = new Set<string>();
	/** The last change under way, by room. */
	readonly #queues = new Map<string, Promise<void>>();
	readonly #timer: NodeJS.Timeout;
	#closed = false;

	constructor(options: RecorderOptions) {
		const { rooms, homes } = options;
		this.#options = options;
		this.#log = options.log;
		rooms.on('changed', this.#onRoomChanged);
		homes.on('gained', this.#onHomeChanged);
		homes.on('lost', this.#onHomeChanged);
		this.#timer = setInterval(() => void this.#stopOverlong(), OVERLONG_MS).unref();
	}

	/** Takes up what was being recorded. */
	resume(): void {
		for (const { id } of this.#options.rooms.list({ limit: Number.MAX_SAFE_INTEGER, states: ['open', 'live'] })) {
			this.follow(id);
		}
	}

	/** Recordings that run here, and how many of those write nothing at present. */
	get counts(): { running: number; paused: number } {
		const paused = [...this.#captures].filter(([roomId, { id }]) => this.#options.problems.of(roomId, id) !== undefined).length;
		return { running: this.#captures.size, paused };
	}

	/** Whether a room is being recorded here, to the last write; one recording of it, or any. */
	isWriting(roomId: string, id?: string): boolean {
		return id === undefined ? this.#captures.has(roomId) || this.#ending.has(roomId) : this.#captures.get(roomId)?.id === id;
	}

	isBusy(roomId: string): boolean {
		return this.#queues.has(roomId);
	}

	/** What runs, even if the disk has not taken its record. */
	recordOf(roomId: string): RecordingRecord | undefined {
		return this.#captures.get(roomId)?.record;
	}

	/** At the room's home. Rejects with `wrong_room_state`, `room_ended`. */
	async start(roomId: string): Promise<{ recording: RoomRecording; begun: boolean }> {
		const { rooms, view, now } = this.#options;
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
		await this.settled(roomId);
	}

	/** What was to change of a room's recording has. */
	async settled(roomId: string): Promise<void> {
		await this.#queues.get(roomId);
	}

	/** The room is gone: stops, and then does that. */
	end(roomId: string, then: () => Promise<void>): void {
		void this.#serially(roomId, async () => {
			await this.#stopCapture(roomId);
			await then();
		});
	}

	/** What is being recorded is on disk within moments; the next start goes on with it. Idempotent. */
	close(): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		clearInterval(this.#timer);
		const { rooms, homes } = this.#options;
		rooms.off('changed', this.#onRoomChanged);
		homes.off('gained', this.#onHomeChanged);
		homes.off('lost', this.#onHomeChanged);
		for (const { capture } of this.#captures.values()) {
			void capture.close();
		}
	}

	readonly #onRoomChanged = (room: Room, before: Room | undefined): void => {
		if (room.record && room.state === 'live' && before?.state !== 'live') {
			this.#begin(room);
		}
		this.follow(room.id);
	};

	readonly #onHomeChanged = (roomId: string): void => {
		const room = this.#options.rooms.get(roomId);
		const { now } = this.#options;
		if (room?.record && room.state === 'live' && !room.recording && now() - Date.parse(room.startedAt ?? '') < JUST_STARTED_MS) {
			this.#begin(room);
		}
		this.follow(roomId);
	};

	/** A room that is to be recorded went live. */
	#begin(room: Room): void {
		if (this.#options.homes.epochOf(room.id) === undefined) {
			return;
		}
		const why = this.#options.whyNot();
		if (why !== undefined) {
			this.#log.warn({ room: room.id, why }, 'a room that is to be recorded cannot be');
			return;
		}
		// When the disk is full now it may not be in a minute: it begins, and waits.
		this.start(room.id).catch((error: unknown) => this.#log.error({ err: error, room: room.id }, 'a room that went live could not be recorded'));
	}

	/** Records the room, or stops, as it should be now. */
	follow(roomId: string): void {
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
		const { rooms, view, media, supervisor, people, captions, folders, space, problems, onBegun, now, newId } = this.#options;
		const { nodeId } = view;
		const { id: roomId } = room;
		const { id } = recording;
		const nodes = recording.nodes.includes(nodeId) ? recording.nodes : [...recording.nodes, nodeId];
		const log = this.#log.child({ room: roomId, recording: id });
		const record: RecordingRecord = {
			id, roomId, roomCreatedAt: room.createdAt, title: room.title, state: 'capturing', startedAt: recording.startedAt, nodes, missing: [],
			durationMs: 0, files: {}, captions: false, speakers: [], chapters: [],
		};
		let recorded = false;
		const put = async () => {
			const known = await folders.get(roomId, id);
			// Also when somebody who made room took it away.
			if (!recorded || !known) {
				await folders.put({ ...record, nodes: [...new Set([...(known?.nodes ?? []), ...nodes])] });
				recorded = true;
			}
		};
		await put().catch((error: unknown) => log.warn({ err: error }, 'that a room is being recorded could not be written; it is tried again'));
		const capture = RoomCapture.start({
			roomId, nodeId, media, supervisor, now, newId, log,
			partFolder: (partId) => folders.partFolder(roomId, id, partId),
			people: () => people(roomId),
			captions: () => (captions?.of(roomId) ?? []).map(({ text, speaker, at }): CaptionLine => ({ text, ...(speaker !== undefined && { speaker }), atMs: Date.parse(at) })),
			record: put,
			room: (resuming) => space.require({ resuming }),
			onHindered: (error) => problems.begin(roomId, id, error, 'no_sound'),
			onWritten: () => problems.end(roomId, id),
		});
		this.#captures.set(roomId, { id, capture, record });
		log.info('a room is being recorded');
		setImmediate(onBegun); // The last home may be about to leave.
		if (nodes !== recording.nodes) {
			// Whoever finishes it knows where to ask.
			rooms
				.setRecording(roomId, ({ recording: current }) => (current?.id === id && !current.nodes.includes(nodeId) ? { ...current, nodes: [...current.nodes, nodeId] } : current))
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
			this.#options.problems.forget(roomId, current.id);
			return;
		}
		await this.#options.onStopped(roomId, current.id, room?.recording?.id === current.id ? room.recording.nodes : []);
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
