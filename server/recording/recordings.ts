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
import { type DiskFigures, DiskSpace } from './disk-space.ts';
import { Finisher } from './finisher.ts';
import { whyNoMix } from './mix.ts';
import { type CaptionSource, Recorder } from './recorder.ts';
import { RecordingFolders } from './recording-folders.ts';
import { RecordingKeeper } from './recording-keeper.ts';
import { type ProblemCode, type RecordingProblem, RecordingProblems } from './recording-problem.ts';
import type { RecordingRecord } from './recording-record.ts';
import { type FoundRecordings, type FoundRecording, RecordingShelf } from './recording-shelf.ts';
import type { RecordingStorage } from './recording-storage.ts';

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
	/** Something hinders a recording from now on, or (`over`) does not any more. */
	onProblem?: (roomId: string, id: string, problem: RecordingProblem, over: boolean) => void;
	/** Milliseconds since the epoch. */
	now: () => number;
	/** A fresh id: letters, digits and dashes. */
	newId: () => string;
	log: Logger;
}

const MB = 1_000_000;

export interface RecordingFigures {
	running: number;
	/** Of those: nothing is recorded at present. */
	paused: number;
	/** Recordings that are over and no replay yet, by what hinders them. */
	waiting: Partial<Record<ProblemCode | 'none', number>>;
	/** How often each problem began. */
	problems: Readonly<Record<ProblemCode, number>>;
	disk: DiskFigures | undefined;
}

/** Records the rooms that live here, makes replays of what was recorded, and knows where all replays are. */
export class Recordings {
	readonly #options: RecordingsOptions;
	readonly #log: Logger;
	readonly #folders: RecordingFolders;
	readonly #space: DiskSpace;
	readonly #problems: RecordingProblems;
	readonly #finisher: Finisher;
	readonly #recorder: Recorder;
	readonly #keeper: RecordingKeeper;
	readonly shelf: RecordingShelf;
	/** Resolves when it is known whether there is an ffmpeg; until then it is taken for granted. */
	readonly checked: Promise<void>;
	#whyNot: string | undefined;
	#closed = false;

	static create(options: RecordingsOptions): Recordings {
		return new Recordings(options);
	}

	private constructor(options: RecordingsOptions) {
		const { config, dataDir, rooms, homes, view, peers, storage } = options;
		this.#options = options;
		this.#log = options.log.child({ part: 'recording' });
		this.#whyNot = config.enabled ? undefined : 'disabled by the configuration';
		const root = path.resolve(dataDir, 'recordings');
		const folders = new RecordingFolders(root);
		const space = new DiskSpace({ folder: root, reserveBytes: config.reserveMb * MB });
		const problems = new RecordingProblems(options.now);
		this.#folders = folders;
		this.#space = space;
		this.#problems = problems;
		this.shelf = new RecordingShelf({
			folders, storage, view, peers, log: this.#log,
			records: (roomId) => this.#records(roomId),
			isWriting: (roomId) => this.#recorder.isWriting(roomId),
		});
		this.#finisher = new Finisher({
			config, folders, storage, space, problems,
			nodeId: view.nodeId,
			shelf: this.shelf,
			whyNot: () => this.#whyNot,
			onReady: (record) => options.onReady?.(record),
			nowMs: () => performance.now(),
			log: this.#log,
		});
		this.#keeper = new RecordingKeeper({
			config, folders, storage, space, problems, view, rooms,
			shelf: this.shelf,
			finisher: this.#finisher,
			isWriting: (roomId, id) => this.#recorder.isWriting(roomId, id),
			isBusy: (roomId) => this.#recorder.isBusy(roomId),
			goOn: (roomId) => this.#recorder.follow(roomId),
			now: options.now,
			log: this.#log,
		});
		const { media, supervisor, people, captions, now, newId } = options;
		this.#recorder = new Recorder({
			config, rooms, homes, view, media, supervisor, people, captions, folders, space, problems, now, newId,
			whyNot: () => this.#whyNot,
			onBegun: () => void this.#keeper.settle(),
			onStopped: (roomId, id, nodes) => this.#keeper.stopped(roomId, id, nodes),
			log: this.#log,
		});
		problems.on('began', (roomId, id, problem) => {
			this.#log.error({ room: roomId, recording: id, problem: problem.code, cause: problem.cause }, 'a recording is hindered; it goes on by itself when that is over');
			options.onProblem?.(roomId, id, problem, false);
		});
		problems.on('over', (roomId, id, problem) => {
			this.#log.info({ room: roomId, recording: id, problem: problem.code }, 'nothing hinders a recording any more');
			options.onProblem?.(roomId, id, problem, true);
		});
		rooms.on('removed', this.#onRoomRemoved);
		view.on('nodeUp', this.#onNodeUp);
		this.checked = config.enabled ? this.#check() : Promise.resolve();
		space.look().catch((error: unknown) => this.#log.warn({ err: error }, 'how much room the disk of recordings has cannot be told'));
		this.#recorder.resume();
	}

	/** Why rooms that live here cannot be recorded; undefined when they can. */
	get whyNot(): string | undefined {
		const disk = this.#space.last;
		return this.#whyNot ?? (disk && disk.freeBytes < disk.reserveBytes ? 'the disk is full' : undefined);
	}
	get isEnabled(): boolean {
		return this.#options.config.enabled;
	}
	/** 0: for ever. */
	get keepDays(): number {
		return this.#options.config.keepDays;
	}
	figures(): RecordingFigures {
		return { ...this.#recorder.counts, waiting: this.#keeper.waiting, problems: this.#problems.totals, disk: this.#space.last };
	}

	/** At the room's home. Rejects with `recording_unavailable` (also when the disk is full), `wrong_room_state`, `room_ended`. */
	async start(roomId: string): Promise<{ recording: RoomRecording; begun: boolean }> {
		await this.#space.look().catch(() => undefined);
		if (this.whyNot !== undefined && this.#options.rooms.get(roomId)?.recording === undefined) {
			throw new DomainError('recording_unavailable', `This room cannot be recorded: ${this.whyNot}`);
		}
		return this.#recorder.start(roomId);
	}

	/** At the room's home; one that does not run any more is no error. */
	stop(roomId: string, id: string): Promise<void> {
		return this.#recorder.stop(roomId, id);
	}

	list(room: Room): Promise<FoundRecordings> {
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
		await this.#recorder.settled(room.id);
		if (!(await this.shelf.remove(room.id, id))) {
			throw new DomainError('recording_not_found', 'There is no such recording');
		}
		this.#problems.forget(room.id, id);
		this.#log.info({ room: room.id, recording: id }, 'a recording was deleted');
	}

	/** What other nodes may ask. */
	get handlers(): Pick<PeerHandlers, 'listRecordings' | 'recordingParts' | 'readRecordingPart' | 'removeRecording'> {
		return this.shelf.handlers;
	}

	/** What is being recorded is on disk within moments; the next start goes on with it. Idempotent. */
	close(): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		const { rooms, view } = this.#options;
		rooms.off('removed', this.#onRoomRemoved);
		view.off('nodeUp', this.#onNodeUp);
		this.#keeper.close();
		this.#finisher.close();
		this.#recorder.close();
		this.#options.storage?.close();
	}

	async #check(): Promise<void> {
		const whyNot = await whyNoMix(this.#options.config.ffmpegPath);
		if (whyNot !== undefined && !this.#closed) {
			this.#whyNot = whyNot;
			this.#log.warn({ why: whyNot }, 'no recordings on this node; everything else works');
		}
	}

	readonly #onRoomRemoved = (room: Room): void => {
		this.#recorder.end(room.id, () => this.#keeper.removeAll(room));
	};

	readonly #onNodeUp = (): void => void this.#keeper.settle();

	/** On this node, with what hinders them. What could not be written to a full disk is there all the same. */
	async #records(roomId: string): Promise<RecordingRecord[]> {
		const onDisk = await this.#folders.list(roomId);
		const running = this.#recorder.recordOf(roomId);
		const all = running && !onDisk.some(({ id }) => id === running.id) ? [...onDisk, running] : onDisk;
		return all.map((record) => {
			const problem = this.#problems.of(roomId, record.id);
			return problem ? { ...record, problem } : record;
		});
	}
}
