// What a listener's page does when there is no place for it: the whole session, with a clock, a network and sounds of our own.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { full, ListenWorld, SERVER } from '../support/browser/listen-world.ts';

beforeEach(() => {
	vi.useFakeTimers({ now: 1_800_000_000_000 });
});
afterEach(() => {
	vi.unstubAllGlobals();
	vi.useRealTimers();
});

const queue = (ahead: number, place = 'stamp-1') => ({ queue: { ahead, place } });

/** A page that has been told that there is no place, and hears the overflow stream. */
async function overflowing(world = new ListenWorld()): Promise<ListenWorld> {
	world.answers = [full()];
	world.session.start();
	await world.until(() => world.session.state === 'overflow');
	return world;
}

/** A page that hears a session of its own. */
async function playing(world = new ListenWorld()): Promise<ListenWorld> {
	world.session.start();
	await world.until(() => world.last.sessionUrl !== null);
	world.last.up();
	await world.passes(1_000);
	expect(world.session.state).toBe('playing');
	return world;
}

/** The next POST gets a session, whose transport comes up at once. */
async function seat(world: ListenWorld, flows = true): Promise<void> {
	world.answers = ['seat'];
	const { length } = world.connections;
	await world.until(() => world.connections.length > length && world.last.sessionUrl !== null);
	world.last.up(flows);
}

describe('a listener for whom there is no place', () => {
	it('hears the stream for the overflow, which the refusal names, and says so', async () => {
		const world = new ListenWorld();
		world.answers = [full(queue(7))];
		world.session.start();
		const tookMs = await world.until(() => world.session.state === 'overflow');
		expect(tookMs).toBeLessThan(2_000);
		expect(world.opened.map(({ url }) => url)).toEqual([`${SERVER}/v1/rooms/launch/hls/index.m3u8`]);
		const told = world.states.map(({ state, overflow }) => `${state}/${overflow}`);
		expect(told.filter((state, i) => state !== told[i - 1])).toEqual(['connecting/off', 'waiting/starting', 'overflow/playing']);
		expect(world.told.queue).toEqual({ ahead: 7 });
		expect(world.overflowGain).toBe(1);
		world.session.stop();
	});

	it('asks again when it was told, with jitter of its own on top, and gives its place back', async () => {
		for (const random of [0, 0.999]) {
			const world = new ListenWorld();
			world.random = random;
			world.answers = [full(queue(3, 'first'), 3_500), full(queue(2, 'second'), 3_500)];
			world.session.start();
			await world.until(() => world.posts.length === 3);
			expect(world.posts.map(({ url }) => url.searchParams.get('place'))).toEqual([null, 'first', 'second']);
			// 50 ms of each are the answer's way.
			expect(world.waitsMs).toEqual(random === 0 ? [3_550, 3_550] : [4_549, 5_548]);
			world.session.stop();
		}
	});

	it('never gives up, and waits longer and longer, but not without bound', async () => {
		const world = await overflowing();
		world.random = 0.999;
		await world.until(() => world.posts.length === 40, 3_600_000);
		const waits = world.waitsMs.slice(1);
		expect(waits.every((wait, i) => wait >= (waits[i - 1] ?? 0))).toBe(true);
		expect(Math.max(...waits)).toBeLessThan(4_000 + 30_000 + 100);
		expect(Math.max(...waits)).toBeGreaterThan(30_000);
		world.answers = [full({}, 86_400_000)];
		await world.until(() => world.posts.length === 42, 1_300_000);
		expect(new Set(world.opened.map(({ url }) => url)).size).toBe(1);
		expect(world.opened).toHaveLength(1);
		world.session.stop();
	});

	it('keeps its place when the page is loaded anew, and gives it up for a session', async () => {
		const kept = new Map<string, string>();
		vi.stubGlobal('sessionStorage', {
			getItem: (key: string) => kept.get(key) ?? null,
			setItem: (key: string, value: string) => void kept.set(key, value),
			removeItem: (key: string) => void kept.delete(key),
		});
		const before = new ListenWorld();
		before.answers = [full(queue(3, 'mine'))];
		before.session.start();
		await before.until(() => before.session.state === 'overflow');
		const after = new ListenWorld();
		after.session.start();
		await after.until(() => after.last.sessionUrl !== null);
		expect(after.posts[0]?.url.searchParams.get('place')).toBe('mine');
		after.last.up();
		expect(kept.size).toBe(0);
		before.session.stop();
		after.session.stop();
	});

	it('waits with the place in the queue where there is no stream', async () => {
		const world = new ListenWorld();
		world.answers = [full({ overflow: undefined, reason: 'paced', ...queue(120) })];
		world.session.start();
		await world.passes(500);
		expect(world.told).toMatchObject({ state: 'waiting', overflow: 'off', queue: { ahead: 120 }, retryInMs: 4_500 });
		expect(world.told.problem?.extra).toMatchObject({ reason: 'paced' });
		expect(world.opened).toEqual([]);
		await seat(world);
		await world.passes(500);
		expect(world.told).toMatchObject({ state: 'playing', queue: null });
		world.session.stop();
	});

	it('waits, too, when its address has asked too often', async () => {
		const world = new ListenWorld();
		world.answers = [{ status: 429, problem: { code: 'rate_limited', title: 'slowly' }, retryAfter: '7' }, 'seat'];
		world.session.start();
		await world.passes(100);
		expect(world.told).toMatchObject({ state: 'waiting', retryInMs: 7_500 });
		await world.until(() => world.posts.length === 2);
		expect(world.waitsMs).toEqual([7_550]);
		world.session.stop();
	});

	it('asks at once when the network is back, and else not sooner because somebody looks', async () => {
		const world = await overflowing();
		const { length } = world.posts;
		world.page?.shown();
		await world.passes(1_000);
		expect(world.posts).toHaveLength(length);
		world.page?.online();
		await world.passes(300);
		expect(world.posts).toHaveLength(length + 1);
		world.session.stop();
	});

	it('asks soon when its moment has passed while the machine slept', async () => {
		const world = await overflowing();
		const { length } = world.posts;
		// The clock goes on, timers do not.
		vi.setSystemTime(Date.now() + 3_600_000);
		world.page?.shown();
		await world.passes(300);
		expect(world.posts).toHaveLength(length + 1);
		world.session.stop();
	});
});

describe('a place that is free at last', () => {
	it('is changed over to without a gap: both sound in between, and then the stream is gone', async () => {
		const world = await overflowing();
		await seat(world, false);
		await world.passes(2_000);
		// Connected, but nothing comes yet.
		expect([world.session.state, world.overflowGain, world.voices.gain]).toEqual(['overflow', 1, 0]);
		world.last.flow();
		const powers: number[] = [];
		for (let ms = 0; ms < 800; ms += 5) {
			await world.passes(5);
			powers.push(world.overflowGain ** 2 + world.voicesGain ** 2);
		}
		expect(Math.min(...powers)).toBeGreaterThan(0.95);
		expect(Math.max(...powers)).toBeLessThan(1.05);
		expect(powers.some((_, i) => i > 0) && world.voicesGain).toBe(1);
		expect(world.overflowGain).toBe(0);
		expect(world.told).toMatchObject({ state: 'playing', overflow: 'off', problem: null });
		expect(world.rejoined).toEqual([]);
		expect(world.connections.filter(({ closed }) => !closed)).toHaveLength(1);
		world.session.stop();
	});

	it('that delivers nothing is given up, and the stream goes on', async () => {
		const world = await overflowing();
		await seat(world, false);
		const useless = world.last;
		world.answers = [full()];
		await world.passes(5_200);
		expect(useless.closed).toBe(true);
		expect([world.session.state, world.overflowGain]).toEqual(['overflow', 1]);
		await seat(world);
		await world.passes(1_000);
		expect([world.session.state, world.voicesGain, world.overflowGain]).toEqual(['playing', 1, 0]);
		world.session.stop();
	});

	it('that is lost in the middle of the change does not silence the stream', async () => {
		const world = await overflowing();
		await seat(world, false);
		world.last.flow();
		await world.until(() => world.voices.gain > 0.3);
		world.answers = [full()];
		world.last.die();
		expect([world.session.state, world.overflowGain]).toEqual(['overflow', 1]);
		await world.passes(1_000);
		expect([world.session.state, world.overflowGain]).toEqual(['overflow', 1]);
		expect(world.opened).toHaveLength(1);
		await seat(world);
		await world.passes(1_000);
		expect([world.session.state, world.voicesGain, world.overflowGain]).toEqual(['playing', 1, 0]);
		world.session.stop();
	});

	it('is taken without further ado when the stream does not sound', async () => {
		const world = new ListenWorld();
		world.hls = 'never sounds';
		world.answers = [full(), 'seat'];
		world.session.start();
		// Not even its first jump to the live edge counts as a sound.
		await world.until(() => world.last.sessionUrl !== null);
		world.last.up();
		expect([world.voices.gain, world.told.overflow]).toEqual([1, 'off']);
		expect(world.states.some(({ state }) => state === 'overflow')).toBe(false);
		// Nothing is said of a stream that nobody needs any more.
		const told = world.states.map(({ state, overflow }) => `${state}/${overflow}`);
		expect(told.filter((state, i) => state !== told[i - 1])).toEqual(['connecting/off', 'waiting/starting', 'playing/off']);
		await world.passes(60_000);
		expect(world.opened).toHaveLength(1);
		world.session.stop();
	});
});

describe('a session that is lost', () => {
	it('and cannot be had again is replaced by the stream within 5 s', async () => {
		const world = await playing();
		world.answers = [full()];
		world.last.die();
		expect(world.session.state).toBe('reconnecting');
		expect(await world.until(() => world.overflowGain === 1 && world.session.state === 'overflow')).toBeLessThan(5_000);
		await seat(world);
		await world.passes(1_000);
		expect([world.session.state, world.voicesGain, world.overflowGain]).toEqual(['playing', 1, 0]);
		// People heard the room all the time but for the first two seconds.
		expect(world.rejoined).toEqual([]);
		world.session.stop();
	});

	it('is replaced at once when it was known that there is no other place', async () => {
		const world = await playing();
		world.answers = [full({}, 60_000)];
		// Another voice than those that go on: a new session is wanted, without hurry.
		world.session.move({ '1': 1 });
		await world.until(() => world.posts.length === 2);
		await world.passes(100);
		expect([world.session.state, world.opened.length]).toEqual(['playing', 0]);
		world.last.close();
		world.connections[0]?.stall();
		expect(await world.until(() => world.session.state === 'overflow')).toBeLessThan(5_000);
		world.session.stop();
	});

	it('that comes to life again is heard again, and not both', async () => {
		const world = await playing();
		const first = world.last;
		world.answers = [full({}, 30_000)];
		first.stall();
		await world.until(() => world.session.state === 'overflow');
		expect(world.voices.gain).toBe(0);
		first.flow();
		await world.passes(1_000);
		expect([world.session.state, world.voices.gain, world.overflowGain]).toEqual(['playing', 1, 0]);
		const { length } = world.posts;
		await world.passes(60_000);
		expect(world.posts).toHaveLength(length);
		world.session.stop();
	});

	it('tells the truth about gaps when the stream fails at last', async () => {
		const world = await playing();
		world.answers = [full({}, 20_000)];
		world.last.die();
		await world.until(() => world.session.state === 'overflow');
		await world.passes(10_000);
		world.hls = 'refuses';
		world.hlsBreaks();
		await seat(world);
		await world.passes(1_000);
		expect(world.rejoined).toHaveLength(1);
		expect(world.rejoined[0]).toBeGreaterThan(5_000);
		expect(world.rejoined[0]).toBeLessThan(15_000);
		world.session.stop();
	});

	it('tells the truth about gaps when there is no stream', async () => {
		const world = await playing();
		world.answers = [full({ overflow: undefined })];
		world.last.die();
		await world.until(() => world.session.state === 'waiting');
		await seat(world);
		await world.passes(1_000);
		expect(world.rejoined).toHaveLength(1);
		expect(world.rejoined[0]).toBeGreaterThan(4_000);
		world.session.stop();
	});
});

describe('a stream for the overflow that fails', () => {
	it('is tried again with growing waits, while tries for a place go on, and it is said', async () => {
		const world = new ListenWorld();
		world.hls = 'refuses';
		world.random = 0.999;
		world.answers = [full()];
		world.session.start();
		await world.until(() => world.opened.length === 12, 600_000);
		const waits = world.openingsMs;
		expect(waits.every((wait, i) => wait >= (waits[i - 1] ?? 0))).toBe(true);
		expect(waits[0]).toBeLessThan(600);
		expect(Math.max(...waits)).toBeLessThan(15_100);
		expect(world.told).toMatchObject({ state: 'waiting', overflow: 'failing' });
		expect(world.posts.length).toBeGreaterThan(3);
		world.hls = 'plays';
		await world.until(() => world.session.state === 'overflow');
		world.session.stop();
	});

	it('is begun anew when it stands still, after people have been told', async () => {
		const world = await overflowing();
		world.answers = [full({}, 600_000)];
		world.hlsStalls();
		expect(await world.until(() => world.session.state === 'waiting')).toBeLessThan(2_500);
		expect(world.told).toMatchObject({ overflow: 'failing', problem: { code: 'no_capacity' } });
		expect(await world.until(() => world.opened.length === 2)).toBeLessThan(7_000);
		await world.until(() => world.session.state === 'overflow');
		world.session.stop();
	});

	it('is begun anew without much ado when it had sounded in between', async () => {
		const world = new ListenWorld();
		world.hls = 'refuses';
		world.random = 0.999;
		world.answers = [full({}, 600_000)];
		world.session.start();
		await world.until(() => world.opened.length === 6);
		world.hls = 'plays';
		await world.until(() => world.session.state === 'overflow');
		const { length } = world.opened;
		world.hlsBreaks();
		expect(await world.until(() => world.opened.length > length)).toBeLessThan(600);
		world.session.stop();
	});

	it('is not asked again before it said', async () => {
		const world = await overflowing();
		await world.passes(100);
		world.hlsBreaks(8_000);
		await world.until(() => world.opened.length === 2);
		expect(world.openingsMs[0]).toBeGreaterThanOrEqual(9_000);
		world.session.stop();
	});

	it('is asked again at once when the network is back', async () => {
		const world = await overflowing();
		world.hlsBreaks(8_000);
		world.page?.online();
		await world.passes(0);
		expect(world.opened).toHaveLength(2);
		world.session.stop();
	});
});

describe('closed doors', () => {
	it('are waited for, however long, with one POST when they open', async () => {
		const world = new ListenWorld();
		const days40 = 40 * 86_400;
		world.answers = [{ status: 409, problem: { code: 'room_not_open', title: 'closed', doorsOpenAt: new Date(Date.now() + days40 * 1_000).toISOString() }, retryAfter: String(days40) }, 'seat'];
		world.session.start();
		await world.passes(days40 * 1_000);
		expect(world.posts).toHaveLength(1);
		expect(world.told.state).toBe('waiting');
		await world.passes(5_100);
		expect(world.posts).toHaveLength(2);
		world.session.stop();
	});

	it('open for nobody in the same moment', async () => {
		const waits = new Set<number>();
		for (const random of [0, 0.25, 0.5, 0.75, 0.999]) {
			const world = new ListenWorld();
			world.random = random;
			world.answers = [{ status: 409, problem: { code: 'room_not_open', title: 'closed' }, retryAfter: '60' }, 'seat'];
			world.session.start();
			await world.until(() => world.posts.length === 2, 70_000);
			waits.add(world.waitsMs[0] ?? 0);
			world.session.stop();
		}
		expect(waits.size).toBe(5);
		expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(4_000);
	});
});

describe('a session that is stopped', () => {
	it.each<[string, (world: ListenWorld) => Promise<unknown>]>([
		['while it waits', async (world) => {
			world.answers = [full({ overflow: undefined })];
			world.session.start();
			await world.passes(500);
		}],
		['while the stream starts', async (world) => {
			world.answers = [full()];
			world.session.start();
			await world.passes(500);
		}],
		['while the stream sounds', overflowing],
		['while the stream fails', async (world) => {
			world.hls = 'refuses';
			world.answers = [full()];
			world.session.start();
			await world.passes(9_000);
		}],
		['while a new session settles', async (world) => {
			await overflowing(world);
			await seat(world, false);
			await world.passes(500);
		}],
		['in the middle of the change', async (world) => {
			await overflowing(world);
			await seat(world);
			await world.until(() => world.voices.gain > 0.2);
		}],
		['while it plays', playing],
		['while it waits for the doors', async (world) => {
			world.answers = [{ status: 409, problem: { code: 'room_not_open', title: 'closed' }, retryAfter: '86400' }];
			world.session.start();
			await world.passes(500);
		}],
	])('%s leaves nothing behind, and can be started again', async (_when, bring) => {
		const world = new ListenWorld();
		await bring(world);
		expect(vi.getTimerCount()).toBeGreaterThan(0);
		world.session.stop();
		await world.passes(100);
		expect(vi.getTimerCount()).toBe(0);
		expect(world.connections.every(({ closed }) => closed)).toBe(true);
		expect(world.told).toMatchObject({ state: 'idle', overflow: 'off' });
		expect(world.page).toBeUndefined();
		world.hls = 'plays';
		const { length } = world.posts;
		world.answers = ['seat'];
		world.session.start();
		await world.until(() => world.last.sessionUrl !== null && world.posts.length === length + 1);
		world.last.up();
		await world.passes(1_000);
		expect([world.session.state, world.voices.gain]).toEqual(['playing', 1]);
		world.session.stop();
		await world.passes(100);
		expect(vi.getTimerCount()).toBe(0);
	});

	it('by the end of its room is silent, too', async () => {
		const world = await overflowing();
		world.answers = [{ status: 410, problem: { code: 'room_ended', title: 'over' } }];
		await world.until(() => world.session.state === 'ended');
		expect(world.overflowGain).toBe(0);
		await world.passes(100);
		expect(vi.getTimerCount()).toBe(0);
	});
});
