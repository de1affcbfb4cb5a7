import { EventFeed, type Invitation } from '../../server/web/browser/sdk/event-feed.ts';
import { started } from './started-feed.ts';

/** A reader of a room's events, as the pages are, with what is for its holder alone. */
export class PersonalFeed {
	/** Invitations (null: not any more), in order. */
	readonly told: (Invitation | null)[] = [];
	/** Names of those on stage, as told last. */
	onStage: readonly string[] = [];
	readonly #feed: EventFeed;
	#wake = (): void => {};

	/** Resolves when the stream has told the room's state. */
	static async open(baseUrl: string, room: string, token?: string): Promise<PersonalFeed> {
		const feed = new EventFeed({ room, baseUrl, ...(token === undefined ? {} : { token }) });
		const reader = new PersonalFeed(feed);
		await started(feed);
		return reader;
	}

	private constructor(feed: EventFeed) {
		this.#feed = feed;
		feed.on('invitation', ({ invitation }) => {
			this.told.push(invitation);
			this.#wake();
		});
		feed.on('stage', ({ speakers }) => {
			this.onStage = speakers.map(({ name }) => name);
			this.#wake();
		});
	}

	/** Resolves once so many were told. */
	async heard(count: number): Promise<readonly (Invitation | null)[]> {
		await this.#until(() => this.told.length >= count);
		return this.told;
	}

	/** Resolves once somebody of this name is on stage, or is not. */
	sees(name: string, there = true): Promise<void> {
		return this.#until(() => this.onStage.includes(name) === there);
	}

	close(): void {
		this.#feed.close();
	}

	async #until(holds: () => boolean): Promise<void> {
		while (!holds()) {
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}
}
