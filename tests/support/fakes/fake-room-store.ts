import { DomainError } from '../../../server/errors.ts';
import type { Room } from '../../../server/rooms/room.ts';
import type { Ban, RoomStore } from '../../../server/rooms/store/room-store.ts';

/** A store in memory that counts how often it was asked, and can be made to fail. */
export class FakeRoomStore implements RoomStore {
	readonly rooms = new Map<string, Room>();
	readonly bans: Ban[] = [];
	readonly values = new Map<string, string>();
	/** Names of the methods called, in order. */
	readonly calls: string[] = [];
	/** Every call rejects with this while it is set. */
	failure: Error | undefined;
	#numbers = new Map<string, number>();

	async createRoom(room: Room): Promise<void> {
		this.#called('createRoom');
		if (this.rooms.has(room.id)) throw new DomainError('room_exists', 'taken');
		this.rooms.set(room.id, room);
	}
	async updateRoom(room: Room): Promise<void> {
		this.#called('updateRoom');
		this.rooms.set(room.id, room);
	}
	async removeRoom(roomId: string): Promise<void> {
		this.#called('removeRoom');
		this.rooms.delete(roomId);
	}
	async getRoom(roomId: string): Promise<Room | undefined> {
		this.#called('getRoom');
		return this.rooms.get(roomId);
	}
	async listRooms({ after = '', limit }: { after?: string; limit: number }): Promise<Room[]> {
		this.#called('listRooms');
		return [...this.rooms.values()]
			.filter((room) => room.id > after)
			.toSorted((a, b) => (a.id < b.id ? -1 : 1))
			.slice(0, limit);
	}
	async speakerNumber(roomId: string, subject: string): Promise<number> {
		this.#called('speakerNumber');
		const key = `${roomId} ${subject}`;
		const number = this.#numbers.get(key) ?? this.#numbers.size + 1;
		this.#numbers.set(key, number);
		return number;
	}
	async ban(ban: Ban): Promise<void> {
		this.#called('ban');
		this.bans.push(ban);
	}
	async unban(): Promise<boolean> {
		this.#called('unban');
		return false;
	}
	async isBanned(roomId: string, subject: string): Promise<boolean> {
		this.#called('isBanned');
		return this.bans.some((ban) => ban.roomId === roomId && ban.subject === subject);
	}
	async listBans(roomId: string): Promise<Ban[]> {
		this.#called('listBans');
		return this.bans.filter((ban) => ban.roomId === roomId);
	}
	async getValue(key: string): Promise<string | undefined> {
		this.#called('getValue');
		return this.values.get(key);
	}
	async setValue(key: string, value: string): Promise<void> {
		this.#called('setValue');
		this.values.set(key, value);
	}
	async close(): Promise<void> {}

	#called(name: string): void {
		this.calls.push(name);
		if (this.failure) throw this.failure;
	}
}
