import { randomUUID } from 'node:crypto';

const AT_ONCE = 8;

/** The room as its API tells it, and the tokens its people need. */
export class RoomAccess {
	readonly #url: URL;
	readonly #room: string;
	readonly #token: string | undefined;
	/** Of people invited here: unlike those of other runs. */
	readonly #run = randomUUID().slice(0, 8);
	#invited = 0;

	constructor(url: string, room: string, token: string | undefined) {
		this.#url = new URL(url);
		this.#room = room;
		this.#token = token;
	}

	/** @throws Error in plain words when there is no such room, or nobody answers */
	async read(): Promise<{ state: string; visibility: string; stage: { name: string; number: number }[] }> {
		let response: Response;
		try {
			response = await fetch(new URL(`/v1/rooms/${this.#room}`, this.#url), { headers: this.#headers() });
		} catch (error) {
			throw new Error(`nobody answers at ${this.#url.href}`, { cause: error });
		}
		if (!response.ok) {
			throw new Error(`the room "${this.#room}" cannot be read at ${this.#url.href}: ${await said(response)}`);
		}
		return (await response.json()) as Awaited<ReturnType<RoomAccess['read']>>;
	}

	/** The invitations of so many people, in order. @throws Error in plain words when the token may not invite */
	async invite(role: 'speaker' | 'listener', names: readonly string[]): Promise<string[]> {
		const tokens: string[] = [];
		const queue = names.entries();
		await Promise.all(Array.from({ length: AT_ONCE }, async () => {
			for (const [index, name] of queue) {
				const response = await fetch(new URL(`/v1/rooms/${this.#room}/tokens`, this.#url), {
					method: 'POST',
					headers: { ...this.#headers(), 'content-type': 'application/json' },
					body: JSON.stringify({ role, name, subject: `load-${this.#run}-${this.#invited++}` }),
				});
				if (!response.ok) {
					throw new Error(`--token must be the room's host or an admin, to invite a ${role}: ${await said(response)}`);
				}
				tokens[index] = ((await response.json()) as { token: string }).token;
			}
		}));
		return tokens;
	}

	#headers(): Record<string, string> {
		return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
	}
}

async function said(response: Response): Promise<string> {
	const text = await response.text();
	try {
		const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
		return `${response.status} ${code ?? ''} ${detail ?? ''}`.trim();
	} catch {
		return String(response.status);
	}
}
