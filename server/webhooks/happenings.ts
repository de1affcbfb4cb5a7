import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Homes } from '../cluster/homes.ts';
import type { ReportBook } from '../audience/report-book.ts';
import type { RecordingProblem } from '../recording/recording-problem.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { Participant, Room } from '../rooms/room.ts';
import type { ClusterRoomStore } from '../rooms/store/cluster-store.ts';
import type { StageService } from '../stage/stage-service.ts';
import type { WebhookEvent, Webhooks } from './webhooks.ts';

export interface HappeningsOptions {
	webhooks: Pick<Webhooks, 'emit'>;
	rooms: Pick<RoomDirectory, 'on' | 'get' | 'list'>;
	/** Of a cluster: what comes from there was done, and told, elsewhere. Follow it with others only after this was made. */
	store?: Pick<ClusterRoomStore, 'on'> | undefined;
	stages: Pick<StageService, 'on' | 'roster'>;
	homes: Pick<Homes, 'epochOf' | 'on'>;
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'on'>;
	reports?: Pick<ReportBook, 'on'> | undefined;
	now: () => number;
}

/** What a new home tells of again, in case the old one died before it could: receivers know it by its id. */
const RETELL_MS = 60_000;
/** Two nodes that are lost together: the one that was to tell of the other may be gone, too. */
const TOGETHER_MS = 10_000;
const POLITE = 'it left';

/**
 * What happens in rooms, on stages and to nodes, as webhooks are told of it. One node tells of each thing: of a change to
 * a room the node that made it (its home, or whoever created it), of a stage its home, of a lost node the living one with
 * the smallest id.
 */
export class Happenings {
	readonly #options: HappeningsOptions;
	/** Rooms as other nodes have changed them, in the turn in which they are taken in. */
	readonly #heard = new WeakSet<Room>();
	readonly #heardRemoved = new Set<string>();
	readonly #onStage = new Map<string, Map<string, Participant>>();
	readonly #incarnations = new Map<string, string>();
	#lost: { nodeId: string; incarnation: string; reason: string; atMs: number; teller: string }[] = [];

	/** Tells of what was left untold when the process ended last, and of everything from now on. */
	static create(options: HappeningsOptions): Happenings {
		const happenings = new Happenings(options);
		happenings.#listen();
		return happenings;
	}

	private constructor(options: HappeningsOptions) {
		this.#options = options;
	}

	/** The room's overflow stream begins at its home. */
	overflowStarted(roomId: string): void {
		this.#emit({ type: 'overflow.started', room: roomId, data: {} });
	}

	/** A recording can be heard. */
	recordingReady(roomId: string, recordingId: string, data: Record<string, unknown> = {}): void {
		this.#emit({ type: 'recording.ready', room: roomId, data: { recording: recordingId, ...data }, key: `${roomId} ${recordingId}` });
	}

	/** Something hinders a recording from now on, or (`over`) does not any more. */
	recordingProblem(roomId: string, recordingId: string, { code, since, cause }: RecordingProblem, over: boolean): void {
		this.#emit({ type: over ? 'recording.resumed' : 'recording.hindered', room: roomId, data: { recording: recordingId, problem: code, since, ...(cause === undefined ? {} : { cause }), node: this.#options.view.nodeId } });
	}

	#listen(): void {
		const { rooms, store, stages, homes, view, reports } = this.#options;
		store?.on('roomChanged', (room) => this.#heard.add(room));
		store?.on('roomRemoved', (roomId) => {
			this.#heardRemoved.add(roomId);
			queueMicrotask(() => this.#heardRemoved.delete(roomId));
		});
		rooms.on('changed', (room, before) => {
			if (!this.#heard.has(room)) this.#roomChanged(room, before);
		});
		rooms.on('removed', (room) => {
			this.#onStage.delete(room.id);
			if (!this.#heardRemoved.has(room.id)) this.#emit({ type: 'room.removed', room: room.id, data: { title: room.title }, key: keyOf(room) });
		});
		stages.on('rosterChanged', ({ roomId, participants }) => this.#stageChanged(roomId, participants));
		reports?.on('report', ({ id, room, kind, text, at }) => this.#emit({ type: 'room.reported', room, data: { report: id, kind, at, ...(text === undefined ? {} : { text }) }, key: id }));
		homes.on('gained', (roomId, _epoch, takenOver) => {
			const room = rooms.get(roomId);
			if (room && takenOver) this.#tellAgain(room, this.#options.now() - RETELL_MS);
		});
		view.on('nodeUp', ({ nodeId, incarnation }) => this.#incarnations.set(nodeId, incarnation));
		view.on('nodeDown', (nodeId, reason) => this.#nodeDown(nodeId, reason));
		// Between a change that was stored and its place in the outbox the process may have died. What is in the outbox already is the same message.
		if (store === undefined) for (const room of rooms.list({ limit: Number.MAX_SAFE_INTEGER })) this.#tellAgain(room, 0);
	}

	#roomChanged(room: Room, before: Room | undefined): void {
		if (before === undefined) this.#emit(roomEvent('room.created', room, room.createdAt));
		const isOther = before !== undefined && before.createdAt !== room.createdAt;
		const was = isOther ? undefined : before;
		if (room.openedAt !== undefined && was?.openedAt === undefined) this.#emit(roomEvent('room.opened', room, room.openedAt));
		if (room.startedAt !== undefined && was?.startedAt === undefined) this.#emit(roomEvent('room.live', room, room.startedAt));
		if (room.endedAt !== undefined && was?.endedAt === undefined) this.#emit(roomEvent('room.ended', room, room.endedAt));
	}

	#tellAgain(room: Room, sinceMs: number): void {
		const { createdAt, openedAt, startedAt, endedAt } = room;
		for (const [type, at] of [['room.created', createdAt], ['room.opened', openedAt], ['room.live', startedAt], ['room.ended', endedAt]] as const) {
			if (at !== undefined && Date.parse(at) >= sinceMs) this.#emit(roomEvent(type, room, at));
		}
	}

	#stageChanged(roomId: string, participants: readonly Participant[]): void {
		const before = this.#onStage.get(roomId) ?? new Map<string, Participant>();
		const now = new Map(participants.map((participant) => [participant.id, participant]));
		this.#onStage.set(roomId, now);
		if (this.#options.homes.epochOf(roomId) === undefined) return;
		for (const participant of participants) if (before.get(participant.id)?.joinedAt !== participant.joinedAt) this.#emit(stageEvent('stage.joined', roomId, participant));
		for (const participant of before.values()) if (!now.has(participant.id)) this.#emit(stageEvent('stage.left', roomId, participant));
	}

	#nodeDown(nodeId: string, reason: string): void {
		const { view, now } = this.#options;
		const atMs = now();
		const living = view.nodes().map((node) => node.nodeId).filter((id) => id !== nodeId);
		const teller = living.toSorted()[0] ?? view.nodeId;
		// Who was to tell of these is gone too.
		const orphaned = this.#lost.filter((lost) => lost.teller === nodeId && atMs - lost.atMs < TOGETHER_MS);
		const polite = reason === POLITE;
		const fresh = polite ? [] : [{ nodeId, incarnation: this.#incarnations.get(nodeId) ?? '', reason, atMs, teller }];
		this.#lost = [...this.#lost.filter((lost) => atMs - lost.atMs < TOGETHER_MS && lost.teller !== nodeId), ...orphaned.map((lost) => ({ ...lost, teller })), ...fresh];
		if (teller !== view.nodeId) return;
		for (const lost of [...orphaned, ...fresh]) {
			this.#emit({ type: 'node.lost', data: { node: lost.nodeId, reason: lost.reason, noticedBy: view.nodeId }, key: `${lost.nodeId} ${lost.incarnation}`, atMs: lost.atMs });
		}
	}

	#emit(event: WebhookEvent): void {
		this.#options.webhooks.emit(event);
	}
}

const keyOf = ({ id, createdAt }: Room): string => `${id} ${createdAt}`;

function roomEvent(type: 'room.created' | 'room.opened' | 'room.live' | 'room.ended', room: Room, at: string): WebhookEvent {
	const { id, title, state, visibility, scheduledAt, openedAt, startedAt, endedAt } = room;
	const times = { ...(scheduledAt && { scheduledAt }), ...(openedAt && { openedAt }), ...(startedAt && { startedAt }), ...(endedAt && { endedAt }) };
	return { type, room: id, data: { title, state, visibility, ...times }, key: `${keyOf(room)} ${at}`, atMs: Date.parse(at) };
}

function stageEvent(type: 'stage.joined' | 'stage.left', roomId: string, { id, subject, name, role, kind, number, joinedAt }: Participant): WebhookEvent {
	return { type, room: roomId, data: { participant: id, subject, name, role, kind, number, joinedAt }, key: `${roomId} ${id} ${joinedAt}` };
}
