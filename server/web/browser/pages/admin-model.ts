import { signal } from '@preact/signals';
import { dropToken, keepToken, takeLinkToken } from '../api/link-token.ts';
import { type InviteRole, type NewRoom, type Readiness, type RoomCommand, type RoomResource, RoomsApi } from '../api/rooms-api.ts';
import { asProblem } from '../sdk/problem.ts';

const SCOPE = 'admin';
const REFRESH_MS = 5_000;

/** Rooms and readiness for whoever has the admin token. */
export class AdminModel {
	readonly token = signal(takeLinkToken(SCOPE));
	readonly rooms = signal<readonly RoomResource[] | null>(null);
	readonly readiness = signal<Readiness | null>(null);
	readonly wrongToken = signal(false);
	readonly failure = signal<unknown>(null);

	constructor() {
		void this.refresh();
		setInterval(() => document.visibilityState === 'visible' && void this.refresh(), REFRESH_MS);
	}

	async signIn(token: string): Promise<void> {
		keepToken(SCOPE, token);
		this.token.value = token;
		await this.refresh();
	}

	signOut(): void {
		dropToken(SCOPE);
		this.token.value = undefined;
		this.rooms.value = null;
		this.failure.value = null;
	}

	async refresh(): Promise<void> {
		const token = this.token.value;
		if (token === undefined) {
			return;
		}
		try {
			const api = new RoomsApi(token);
			const [rooms, readiness] = await Promise.all([allRooms(api), api.readiness()]);
			if (this.token.value === token) {
				this.rooms.value = rooms;
				this.readiness.value = readiness;
				this.wrongToken.value = false;
				this.failure.value = null;
			}
		} catch (error) {
			this.#failed(error);
		}
	}

	/** @returns whether it was made */
	async create(room: NewRoom): Promise<boolean> {
		return this.#act((api) => api.create(room));
	}
	async command(roomId: string, command: RoomCommand): Promise<void> {
		await this.#act((api) => api.command(roomId, command));
	}
	async remove(roomId: string): Promise<void> {
		await this.#act((api) => api.remove(roomId));
	}
	invite(roomId: string, role: InviteRole, name: string): Promise<{ url: string }> {
		return new RoomsApi(this.token.value).invite(roomId, role, name);
	}

	async #act(action: (api: RoomsApi) => Promise<unknown>): Promise<boolean> {
		this.failure.value = null;
		try {
			await action(new RoomsApi(this.token.value));
		} catch (error) {
			this.#failed(error);
			return false;
		}
		await this.refresh();
		return true;
	}

	#failed(error: unknown): void {
		const { status } = asProblem(error);
		if (status === 401 || status === 403) {
			this.wrongToken.value = true;
			this.signOut();
		} else {
			this.failure.value = error;
		}
	}
}

const allRooms = async (api: RoomsApi): Promise<RoomResource[]> => {
	const rooms: RoomResource[] = [];
	let after: string | undefined;
	do {
		const page = await api.list(after);
		rooms.push(...page.rooms);
		after = page.next;
	} while (after !== undefined && rooms.length < 1_000);
	return rooms;
};
