import { signal } from '@preact/signals';
import { handKey } from './hand-key.ts';

export type ListenMore = typeof import('./listen-more.tsx');

/** What a listening page loads once it plays, so that whoever arrives waits for nothing but sound. Null until it is there. */
export const more = signal<ListenMore | null>(null);

let loading: Promise<unknown> | undefined;

/** Fails silently: without it people can still listen, and the next reason to load it tries again. */
export const loadMore = (): void => {
	loading ??= import('./listen-more.tsx').then(
		(loaded) => {
			more.value = loaded;
		},
		() => {
			loading = undefined;
		},
	);
};

/** A hand that was up before the page was loaded again still is. */
export const loadMoreForHand = (roomId: string): void => {
	try {
		if (sessionStorage.getItem(handKey(roomId)) !== null) {
			loadMore();
		}
	} catch {
		// Storage is forbidden: nothing was kept.
	}
};
