import { signal } from '@preact/signals';
import { describe, expect, it } from 'vitest';
import { ProblemError } from '../../server/web/browser/sdk/problem.ts';
import { Live } from '../../server/web/browser/ui/admin-live.ts';

/** A `Live` with a server and a clock of the test's own. */
function world() {
	const visible = signal(true);
	const asked: { answer: (value: string) => void; fail: (error: unknown) => void }[] = [];
	let waiting: { ms: number; call: () => void } | undefined;
	const failures: unknown[] = [];
	const live = new Live<string>({
		load: () => new Promise((answer, fail) => asked.push({ answer, fail })),
		everyMs: 2_000,
		visible,
		onFailure: (error) => failures.push(error),
		after: (ms, call) => {
			const timer = { ms, call };
			waiting = timer;
			return () => {
				if (waiting === timer) waiting = undefined;
			};
		},
	});
	const settled = () => new Promise((resolve) => setImmediate(resolve));
	return {
		live, visible, asked, failures, settled,
		waitingMs: () => waiting?.ms,
		elapse: () => {
			const timer = waiting;
			waiting = undefined;
			timer?.call();
		},
	};
}

const problem = (status: number, code: string) => new ProblemError({ status, code, title: code });

describe('something that is kept fresh', () => {
	it('is asked for at once when somebody watches, and again a while after each answer', async () => {
		const { live, asked, settled, waitingMs, elapse } = world();
		expect(asked).toHaveLength(0);
		live.watch();
		expect(asked).toHaveLength(1);
		expect(waitingMs()).toBeUndefined();
		asked[0]?.answer('one');
		await settled();
		expect([live.value.value, live.state.value, waitingMs()]).toEqual(['one', 'ready', 2_000]);
		elapse();
		expect(asked).toHaveLength(2);
	});

	it('rests while the page cannot be seen, and asks at once when it can again', async () => {
		const { live, visible, asked, settled, waitingMs } = world();
		live.watch();
		asked[0]?.answer('one');
		await settled();
		visible.value = false;
		expect(waitingMs()).toBeUndefined();
		visible.value = true;
		expect(asked).toHaveLength(2);
		visible.value = false;
		asked[1]?.answer('two');
		await settled();
		expect([live.value.value, waitingMs()]).toEqual(['two', undefined]);
	});

	it('rests when the last one who watched has gone', async () => {
		const { live, visible, asked, settled, waitingMs } = world();
		const [first, second] = [live.watch(), live.watch()];
		expect(asked).toHaveLength(1);
		asked[0]?.answer('one');
		await settled();
		first();
		first();
		expect(waitingMs()).toBe(2_000);
		second();
		expect(waitingMs()).toBeUndefined();
		visible.value = false;
		visible.value = true;
		expect(asked).toHaveLength(1);
	});

	it('keeps what it has when an answer fails, and asks more and more slowly until one comes', async () => {
		const { live, asked, failures, settled, waitingMs, elapse } = world();
		live.watch();
		asked[0]?.answer('one');
		await settled();
		const waits: (number | undefined)[] = [];
		for (let failed = 1; failed <= 5; failed++) {
			elapse();
			asked.at(-1)?.fail(problem(503, 'store_unavailable'));
			await settled();
			waits.push(waitingMs());
		}
		expect(waits).toEqual([4_000, 8_000, 16_000, 30_000, 30_000]);
		expect([live.value.value, live.state.value, failures.length]).toEqual(['one', 'ready', 5]);
		expect(live.failure.value).toBeInstanceOf(ProblemError);
		elapse();
		asked.at(-1)?.answer('two');
		await settled();
		expect([live.value.value, live.failure.value, waitingMs()]).toEqual(['two', null, 2_000]);
	});

	it.each([
		[404, 'not_found', 'missing'],
		[405, 'method_not_allowed', 'missing'],
		[404, 'http_404', 'missing'],
		[404, 'room_not_found', 'loading'],
		[503, 'not_found', 'loading'],
	])('knows by %i %s that the server does not have it: %s', async (status, code, state) => {
		const { live, asked, failures, settled } = world();
		live.watch();
		asked[0]?.fail(problem(status, code));
		await settled();
		expect(live.state.value).toBe(state);
		expect(failures).toHaveLength(state === 'missing' ? 0 : 1);
	});

	it('appears when the server has it, which is asked once a minute', async () => {
		const { live, asked, settled, waitingMs, elapse } = world();
		live.watch();
		asked[0]?.fail(problem(404, 'not_found'));
		await settled();
		expect(waitingMs()).toBe(60_000);
		elapse();
		asked[1]?.answer('there');
		await settled();
		expect([live.state.value, live.value.value]).toEqual(['ready', 'there']);
	});

	it('asks once more when it is asked to refresh while an answer is under way, for that one may be old', async () => {
		const { live, asked, settled } = world();
		live.watch();
		const fresh = [live.refresh(), live.refresh()];
		expect(asked).toHaveLength(1);
		asked[0]?.answer('old');
		await settled();
		expect(asked).toHaveLength(2);
		asked[1]?.answer('new');
		await Promise.all(fresh);
		expect(live.value.value).toBe('new');
	});
});
