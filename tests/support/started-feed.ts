import type { EventFeed } from '../../server/web/browser/sdk/event-feed.ts';

/** Starts a reader of a room's events. Resolves when the stream has told the room's state; rejects with the problem when it is refused. */
export async function started(feed: EventFeed): Promise<void> {
	const { promise, resolve, reject } = Promise.withResolvers<void>();
	feed.on('room', () => resolve());
	feed.on('refused', ({ problem }) => reject(problem));
	feed.start();
	await promise;
}
