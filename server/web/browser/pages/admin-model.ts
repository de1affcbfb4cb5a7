import { type ReadonlySignal, signal } from '@preact/signals';
import { AdminApi, segment } from '../api/admin-api.ts';
import type { AdminRoom, ClusterNode, FleetCapacity } from '../api/admin-types.ts';
import { dropToken, keepToken, takeLinkToken } from '../api/link-token.ts';
import { type Readiness, RoomsApi } from '../api/rooms-api.ts';
import { asProblem } from '../sdk/problem.ts';
import { readFleet } from './admin-fleet.ts';
import { type Place, placeOf } from './admin-address.ts';
import { Live } from '../ui/admin-live.ts';

const SCOPE = 'admin';
/** Of what is in the server's memory and moves by itself. */
export const LIVELY_MS = 2_000;
/** Of lists that grow. */
export const CALM_MS = 5_000;
const MAX_ROOMS = 1_000;
/** Views kept, with what they last showed, so that going back to one shows it at once. */
const MAX_KEPT = 50;

const visible = signal(document.visibilityState === 'visible');
document.addEventListener('visibilitychange', () => {
	visible.value = document.visibilityState === 'visible';
});

/** Who is signed in, where they look, and what they see there. */
export class AdminModel {
	readonly #token = signal(takeLinkToken(SCOPE));
	readonly token: ReadonlySignal<string | undefined> = this.#token;
	readonly wrongToken = signal(false);
	/** What somebody did and did not work. */
	readonly failure = signal<unknown>(null);
	/** What has just been done, to be read out. */
	readonly done = signal('');
	readonly #place = signal<Place>(placeOf(location.hash));
	readonly place: ReadonlySignal<Place> = this.#place;
	#api = new AdminApi({ token: this.#token.peek() ?? '' });
	readonly #lives = new Map<string, Live<unknown>>();

	constructor() {
		window.addEventListener('hashchange', () => {
			// A link with another token, opened in this tab.
			const token = takeLinkToken(SCOPE);
			if (token !== undefined && token !== this.#token.peek()) {
				this.#signedIn(token);
			}
			this.failure.value = null;
			this.#place.value = placeOf(location.hash);
		});
	}

	get api(): AdminApi {
		return this.#api;
	}

	signIn(token: string): void {
		keepToken(SCOPE, token);
		this.wrongToken.value = false;
		this.#signedIn(token);
	}
	signOut(): void {
		dropToken(SCOPE);
		this.#lives.clear();
		this.#token.value = undefined;
		this.failure.value = null;
	}

	rooms(): Live<readonly AdminRoom[]> {
		return this.live('rooms', () => allRooms(this.#api), LIVELY_MS);
	}
	room(id: string): Live<AdminRoom> {
		return this.read(`/v1/rooms/${segment(id)}`, LIVELY_MS);
	}
	fleet(): Live<readonly ClusterNode[]> {
		return this.live('fleet', () => readFleet(this.#api), LIVELY_MS);
	}
	capacity(): Live<FleetCapacity> {
		return this.read('/v1/admin/capacity', LIVELY_MS);
	}
	readiness(): Live<Readiness> {
		return this.live('readiness', () => new RoomsApi().readiness(), CALM_MS);
	}

	/** One resource of the API, kept fresh while it is watched. */
	read<T>(url: string, everyMs: number): Live<T> {
		return this.live(url, () => this.#api.read<T>(url), everyMs);
	}

	/** The same `key` gives the same one again. */
	live<T>(key: string, load: () => Promise<T>, everyMs: number): Live<T> {
		// What was made by this key is of this type.
		// oxlint-disable-next-line typescript/no-unsafe-type-assertion
		let live = this.#lives.get(key) as Live<T> | undefined;
		if (live === undefined) {
			live = new Live<T>({ load, everyMs, visible, after, onFailure: (error) => this.#refused(error) });
			this.#lives.set(key, live);
			for (const oldest of this.#lives.keys()) {
				if (this.#lives.size <= MAX_KEPT) {
					break;
				}
				this.#lives.delete(oldest);
			}
		}
		return live;
	}

	/**
	 * Does something, then has what is looked at told anew.
	 * @param action gives what to read out when it is done
	 * @returns whether it went well; what went wrong is shown
	 */
	async act(action: (api: AdminApi) => Promise<string>, ...stale: readonly { refresh: () => Promise<void> }[]): Promise<boolean> {
		this.failure.value = null;
		this.done.value = '';
		try {
			this.done.value = await action(this.#api);
		} catch (error) {
			if (!this.#refused(error)) {
				this.failure.value = error;
			}
			return false;
		}
		await Promise.all(stale.map((live) => live.refresh()));
		return true;
	}

	#signedIn(token: string): void {
		this.#lives.clear();
		this.#api = new AdminApi({ token });
		this.failure.value = null;
		this.#token.value = token;
	}

	/** @returns whether it was the token */
	#refused(error: unknown): boolean {
		const { status, code } = asProblem(error);
		const wrong = status === 401 || (status === 403 && code === 'forbidden');
		if (wrong && this.#token.peek() !== undefined) {
			this.wrongToken.value = true;
			this.signOut();
		}
		return wrong;
	}
}

const after = (ms: number, call: () => void): (() => void) => {
	const timer = setTimeout(call, ms);
	return () => clearTimeout(timer);
};

const allRooms = async (api: AdminApi): Promise<readonly AdminRoom[]> => {
	const rooms: AdminRoom[] = [];
	let next: string | undefined;
	do {
		const page: { rooms: readonly AdminRoom[]; next?: string } = await api.read(`/v1/rooms?limit=100${next === undefined ? '' : `&after=${segment(next)}`}`);
		rooms.push(...page.rooms);
		next = page.next;
	} while (next !== undefined && rooms.length < MAX_ROOMS);
	return rooms;
};

/** The one of this page. */
export const admin = new AdminModel();
