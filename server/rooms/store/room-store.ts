import type { Room } from '../room.ts';

/** A lasting ban: by subject, from one room. */
export interface Ban {
	roomId: string;
	subject: string;
	name: string;
	bannedBy: string;
	bannedAt: string;
}

/**
 * What must outlive the node process. A promise that has resolved means that the change is on disk
 * (or acknowledged by Redis): `kill -9` right after it loses nothing. Twins of this interface pass
 * one contract suite (tests/contract).
 */
export interface RoomStore {
	/** Rejects with DomainError `room_exists`. */
	createRoom(room: Room): Promise<void>;
	/** Replaces the room if the stored version is `room.version - 1`; rejects with `room_not_found` or `precondition_failed`. */
	updateRoom(room: Room): Promise<void>;
	/** With its bans and numbers. Removing a room that is not there is no error. */
	removeRoom(roomId: string): Promise<void>;
	getRoom(roomId: string): Promise<Room | undefined>;
	/** In order of id, after the id `after`. */
	listRooms(page: { after?: string; limit: number }): Promise<Room[]>;
	/** The number of this subject in the room's roster: its old one, or the next free one from 1. Never reused. Rejects with `room_not_found`. */
	speakerNumber(roomId: string, subject: string): Promise<number>;
	/** Idempotent: who is banned already stays banned as the first ban says. Rejects with `room_not_found`. */
	ban(ban: Ban): Promise<void>;
	/** Whether there was one. */
	unban(roomId: string, subject: string): Promise<boolean>;
	isBanned(roomId: string, subject: string): Promise<boolean>;
	/** In order of subject. */
	listBans(roomId: string): Promise<Ban[]>;
	/** Small values of the node itself, e.g. its id. */
	getValue(key: string): Promise<string | undefined>;
	setValue(key: string, value: string): Promise<void>;
	close(): Promise<void>;
}
