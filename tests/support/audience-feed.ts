import { EventFeed, type FeedEvents } from '../../server/web/browser/sdk/event-feed.ts';
import { started } from './started-feed.ts';

interface Told {
	captions: FeedEvents['captions'];
	reactions: FeedEvents['reactions'];
}

/** A reader of a room's events, as the pages are. */
export class AudienceFeed {
	readonly told: { [K in keyof Told]: { atMs: number; event: Told[K] }[] } = { captions: [], reactions: [] };
	readonly #feed: EventFeed;

	/** Resolves when the stream is there. */
	static async open(baseUrl: string, room: string): Promise<AudienceFeed> {
		const feed = new EventFeed({ room, baseUrl });
		const reader = new AudienceFeed(feed);
		await started(feed);
		return reader;
	}

	private constructor(feed: EventFeed) {
		this.#feed = feed;
		feed.on('captions', (event) => this.told.captions.push({ atMs: performance.now(), event }));
		feed.on('reactions', (event) => this.told.reactions.push({ atMs: performance.now(), event }));
	}

	get lines(): string[] {
		return this.told.captions.at(-1)?.event.items.map(({ text }) => text) ?? [];
	}
	get counts(): Readonly<Record<string, number>> {
		return this.told.reactions.at(-1)?.event.counts ?? {};
	}

	close(): void {
		this.#feed.close();
	}
}
