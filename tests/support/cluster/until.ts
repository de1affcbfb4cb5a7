import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again and again until it answers true. A thrown error or a text is what the complaint says. */
export async function until(what: string, withinMs: number, holds: () => Promise<boolean | string>): Promise<void> {
	const deadline = Date.now() + withinMs;
	for (;;) {
		const answer = await holds().catch((error: unknown) => String(error));
		if (answer === true) {
			return;
		}
		if (Date.now() > deadline) {
			throw new Error(`not within ${withinMs} ms: ${what}${answer === false ? '' : ` (${answer})`}`);
		}
		await sleep(100);
	}
}
