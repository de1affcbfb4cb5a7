import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { RoomState } from '../../cluster/peer-protocol.ts';
import type { Room } from '../room.ts';
import { EMPTY_ROSTER, type StageRoster } from '../stage-roster.ts';
import type { DiskRoomStore } from './disk-store.ts';
import { createdAtMsOf } from './redis-store.ts';
import type { RoomChange } from './room-change.ts';
import type { Ban } from './room-store.ts';
import type { StageCopies } from './stage-copies.ts';

/** What became known here of changes that other nodes made. The replica has them already. */
export interface RoomCopiesEvents {
	roomChanged: [room: Room];
	roomRemoved: [roomId: string];
	stageChanged: [roomId: string, epoch: number, roster: StageRoster];
	bansChanged: [roomId: string];
}

/** Below zero when `a` is older than `b`: made earlier under the same id, or of a lower version. */
export function compareRooms(a: Room | undefined, b: Room): number {
	if (a === undefined) return -1;
	return createdAtMsOf(a) - createdAtMsOf(b) || a.version - b.version;
}

/** This node's copy of every room: takes in what is newer than what it has, and announces it. Calls for one room must not overlap. */
export class RoomCopies extends EventEmitter<RoomCopiesEvents> {
	readonly replica: DiskRoomStore;
	readonly stages: StageCopies;
	readonly #now: () => number;
	/** How often the bans of a room had changed when they were copied; unknown ones are read again. */
	readonly #bansVersions = new Map<string, number>();

	constructor(replica: DiskRoomStore, stages: StageCopies, now: () => number) {
		super();
		this.replica = replica;
		this.stages = stages;
		this.#now = now;
	}

	bansVersion(roomId: string): number | undefined {
		return this.#bansVersions.get(roomId);
	}
	/** A change of the bans was copied on its own. */
	countBansChange(roomId: string): void {
		const known = this.#bansVersions.get(roomId);
		if (known !== undefined) this.#bansVersions.set(roomId, known + 1);
	}

	/** Everything that is known here of a room. */
	async state(roomId: string): Promise<RoomState | undefined> {
		const room = await this.replica.getRoom(roomId);
		if (room === undefined) return undefined;
		const stage = this.stages.get(roomId);
		const [bans, numbers] = await Promise.all([this.replica.listBans(roomId), this.replica.numbers(roomId)]);
		return { room, epoch: stage?.epoch ?? 0, roster: stage?.roster ?? EMPTY_ROSTER, bans, numbers };
	}

	/** A whole room as Redis or its home has it; older ones are ignored. */
	async take(state: RoomState, bansVersion?: number): Promise<void> {
		const { room, bans, numbers } = state;
		if (await this.#isDead(room)) return;
		const before = await this.state(room.id);
		const order = compareRooms(before?.room, room);
		if (order <= 0) {
			const newBans = !isDeepStrictEqual(bansOf(before?.bans ?? []), bansOf(bans));
			if (order < 0 || newBans || !isDeepStrictEqual(before?.numbers, numbers)) await this.replica.putRoom({ room, bans, numbers });
			if (bansVersion !== undefined) this.#bansVersions.set(room.id, bansVersion);
			if (order < 0) this.#announceRoom(room, before?.room);
			if (newBans) this.emit('bansChanged', room.id);
		}
		this.takeStage(room.id, state.epoch, state.roster);
	}

	takeStage(roomId: string, epoch: number, roster: StageRoster): void {
		if (epoch === 0 && roster.version === 0) return;
		if (this.stages.put(roomId, epoch, roster)) this.emit('stageChanged', roomId, epoch, roster);
	}

	/** Rooms of this id made at this time or before are gone. */
	async bury(roomId: string, createdAtMs: number): Promise<void> {
		const room = await this.replica.getRoom(roomId);
		if (room !== undefined && createdAtMsOf(room) > createdAtMs) return;
		await this.replica.bury(roomId, createdAtMs, this.#now());
		this.forget(roomId);
		if (room !== undefined) this.emit('roomRemoved', roomId);
	}

	/** The room was removed from the replica. */
	forget(roomId: string): void {
		this.stages.forget(roomId);
		this.#bansVersions.delete(roomId);
	}

	/** One change that another node has published. False: it does not fit what is known here; the room is to be read whole. */
	async takeChange(change: RoomChange): Promise<boolean> {
		if (change.kind === 'room') return this.#takeRoom(change.room);
		if (change.kind === 'removed') {
			await this.bury(change.roomId, change.createdAtMs);
			return true;
		}
		const roomId = change.kind === 'ban' ? change.ban.roomId : change.roomId;
		if (change.kind === 'restored' || (await this.replica.getRoom(roomId)) === undefined) return false;
		if (change.kind === 'stage') this.takeStage(roomId, change.epoch, change.roster);
		else if (change.kind === 'number') await this.replica.putNumber(roomId, change.subject, change.number);
		else {
			if (change.kind === 'ban') await this.replica.ban(change.ban);
			else await this.replica.unban(roomId, change.subject);
			this.countBansChange(roomId);
			this.emit('bansChanged', roomId);
		}
		return true;
	}

	async #takeRoom(room: Room): Promise<boolean> {
		if (await this.#isDead(room)) return true;
		const before = await this.replica.getRoom(room.id);
		if (compareRooms(before, room) >= 0) return true;
		if (before !== undefined && before.createdAt === room.createdAt) await this.replica.putRecord(room);
		// Of a room that is new here and not new itself, its bans and numbers are not known.
		else if (room.version > 1) return false;
		else {
			await this.replica.putRoom({ room, bans: [], numbers: {} });
			this.#bansVersions.set(room.id, 0);
		}
		this.#announceRoom(room, before);
		return true;
	}

	#announceRoom(room: Room, before: Room | undefined): void {
		if (before !== undefined && before.createdAt !== room.createdAt) {
			this.stages.forget(room.id);
			this.emit('roomRemoved', room.id);
		}
		this.emit('roomChanged', room);
	}

	async #isDead(room: Room): Promise<boolean> {
		return (await this.replica.tombstoneMs(room.id)) >= createdAtMsOf(room);
	}
}

function bansOf(bans: readonly Ban[]): Ban[] {
	return bans.toSorted((a, b) => (a.subject < b.subject ? -1 : 1)).map(({ roomId, subject, name, bannedBy, bannedAt }) => ({ roomId, subject, name, bannedBy, bannedAt }));
}
