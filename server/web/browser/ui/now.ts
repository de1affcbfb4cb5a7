import { type ReadonlySignal, signal } from '@preact/signals';

const clock = signal(Date.now());
setInterval(() => {
	clock.value = Date.now();
}, 1_000);

/** Milliseconds since the epoch; moves once a second. */
export const now: ReadonlySignal<number> = clock;
