import fc from 'fast-check';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import type { Programmes } from '../../server/programme/programmes.ts';
import type { ShardRequestName } from '../../sfu/contract/shard-protocol.ts';
import type { Room, RoomState } from '../../server/rooms/room.ts';
import { programmesAlone } from '../support/alone.ts';
import { type Fate, FakeSupervisor } from '../support/fakes/fake-shards.ts';

const AT_ONCE: Fate = { afterMs: 1, outcome: 'answered' };
const ROLES = ['stage', 'stage', 'listener', 'listener'] as const;
const LISTENER_SHARDS = [2, 3];

const roomOf = (id: string, state: RoomState = 'live'): Room => ({
	id,
	title: id,
	voices: 3,
	packingMs: 20,
	visibility: 'public',
	record: false,
	state,
	createdAt: '2023-05-24T22:00:00Z',
	version: 1,
});

const open: Programmes[] = [];
function start(fate: (name: ShardRequestName) => Fate): { supervisor: FakeSupervisor; programmes: Programmes } {
	const supervisor = new FakeSupervisor(ROLES, fate);
	const programmes = programmesAlone({
		supervisor: supervisor.asSupervisor(),
		maxListenersPerShard: 100,
		autoPacking: { thresholdListeners: 200, smallMs: 20, largeMs: 60 },
		log: pino({ level: 'silent' }),
	});
	open.push(programmes);
	return { supervisor, programmes };
}

/** What every living shard holds of the room. */
function booksOf({ fakes }: FakeSupervisor, roomId: string) {
	return {
		origins: fakes.flatMap((fake) => (fake?.origins.has(roomId) ? [[...(fake.origins.get(roomId)?.keys() ?? [])].toSorted((a, b) => a.localeCompare(b))] : [])),
		edges: fakes.flatMap((fake) => {
			const edge = fake?.edges.get(roomId);
			return edge ? [edge] : [];
		}),
	};
}

/** One living origin; each edge has one link, which is current; and the origin sends over these links alone. */
function expectWhole(supervisor: FakeSupervisor, roomId: string): void {
	const { origins, edges } = booksOf(supervisor, roomId);
	const current = edges.map((edge) => edge.current ?? 'none').toSorted((a, b) => a.localeCompare(b));
	for (const edge of edges) {
		expect(edge.upstreams).toEqual([edge.current]);
	}
	expect(origins).toEqual([current]);
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
	for (const programmes of open.splice(0)) {
		programmes.close('the test is over');
	}
	vi.useRealTimers();
});

type Step =
	| { do: 'join' | 'speak'; room: string }
	| { do: 'kill' | 'revive'; shard: number }
	| { do: 'stall'; room: string; shard: number }
	| { do: 'end' | 'open'; room: string }
	| { do: 'wait'; ms: number };

const room = fc.constantFrom('a', 'b');
const shard = fc.integer({ min: 0, max: ROLES.length - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
	{ weight: 4, arbitrary: fc.record({ do: fc.constantFrom('join', 'speak'), room }) },
	{ weight: 3, arbitrary: fc.record({ do: fc.constantFrom('kill', 'revive'), shard }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constant('stall' as const), room, shard: fc.constantFrom(...LISTENER_SHARDS) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constantFrom('end', 'open'), room }) },
	{ weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 300 }) }) },
);
const fate: fc.Arbitrary<Fate> = fc.record({
	afterMs: fc.integer({ min: 0, max: 60 }),
	outcome: fc.oneof({ weight: 8, arbitrary: fc.constant('answered' as const) }, { weight: 1, arbitrary: fc.constantFrom('lost', 'failed') }),
});

describe('rooms\' media under deaths, joins, stalls and endings in any order', () => {
	it('is whole once it is quiet, and leaves nothing on any shard when the rooms end', async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.array(fate, { minLength: 1, maxLength: 40 }), async (steps, fates) => {
				vi.clearAllTimers(); // Of a run that failed, while a smaller one like it is looked for.
				let asked = 0;
				let quiet = false;
				const { supervisor, programmes } = start((name) => {
					const { afterMs, outcome } = quiet ? AT_ONCE : (fates[asked++ % fates.length] ?? AT_ONCE);
					// Closing needs nobody's help, so a living shard always does it.
					return { afterMs, outcome: name.endsWith('.close') ? 'answered' : outcome };
				});
				const live = new Set<string>();
				const openRoom = (id: string) => {
					live.add(id);
					void programmes.roomChanged(roomOf(id));
				};
				openRoom('a');
				openRoom('b');
				const refusals: unknown[] = [];
				for (const now of steps) {
					switch (now.do) {
						case 'join':
							programmes.listen(roomOf(now.room), 'offer').catch((error: unknown) => refusals.push(error));
							break;
						case 'speak':
							if (live.has(now.room)) {
								programmes.addSpeaker(roomOf(now.room), 'ann', 1).catch((error: unknown) => refusals.push(error));
							}
							break;
						case 'kill':
							supervisor.kill(now.shard);
							break;
						case 'revive':
							supervisor.revive(now.shard);
							break;
						case 'stall':
							supervisor.emit('shardEvent', now.shard, 'link.stalled', {
								roomId: now.room,
								linkId: supervisor.fakes[now.shard]?.edges.get(now.room)?.current ?? '',
							});
							break;
						case 'end':
							live.delete(now.room);
							await programmes.roomChanged(roomOf(now.room, 'ended'));
							break;
						case 'open':
							openRoom(now.room);
							break;
						case 'wait':
							await vi.advanceTimersByTimeAsync(now.ms);
					}
				}
				quiet = true;
				for (const index of ROLES.keys()) {
					supervisor.revive(index);
				}
				await vi.advanceTimersByTimeAsync(2_000);

				for (const id of ['a', 'b']) {
					if (live.has(id)) {
						expectWhole(supervisor, id);
					} else {
						expect(booksOf(supervisor, id)).toEqual({ origins: [], edges: [] });
					}
				}
				expect(refusals.every((error) => error instanceof DomainError)).toBe(true);
				programmes.close('over');
				await vi.advanceTimersByTimeAsync(2_000);
				expect(['a', 'b'].map((id) => booksOf(supervisor, id))).toEqual([{ origins: [], edges: [] }, { origins: [], edges: [] }]);
				expect(vi.getTimerCount()).toBe(0);
			}),
			{ numRuns: 1_500 },
		);
	}, 60_000);
});

describe('a listener shard that dies', () => {
	it('has its link taken down at the origin, which would send into the void for ever', async () => {
		const { supervisor, programmes } = start(() => AT_ONCE);
		void programmes.roomChanged(roomOf('a'));
		await vi.advanceTimersByTimeAsync(10);
		void programmes.listen(roomOf('a'), 'offer');
		await vi.advanceTimersByTimeAsync(50);
		expect(booksOf(supervisor, 'a').origins).toEqual([[expect.any(String)]]);
		supervisor.kill(2);
		await vi.advanceTimersByTimeAsync(50);
		expect(booksOf(supervisor, 'a').origins).toEqual([[]]);
	});
});

describe('an origin that cannot be opened', () => {
	it('is opened later without anybody asking again', async () => {
		let failures = 3;
		const { supervisor, programmes } = start(() => (failures-- > 0 ? { afterMs: 1, outcome: 'failed' } : AT_ONCE));
		void programmes.roomChanged(roomOf('a'));
		await vi.advanceTimersByTimeAsync(1_000);
		expect(booksOf(supervisor, 'a').origins).toEqual([[]]);
	});
});

describe('a room that ends while people come in', () => {
	it('refuses those who saw it open a moment ago, and is not made anew for them', async () => {
		const { supervisor, programmes } = start(() => AT_ONCE);
		await Promise.all([programmes.roomChanged(roomOf('a')), vi.advanceTimersByTimeAsync(10)]);
		const under = programmes.listen(roomOf('a'), 'offer').catch((error: unknown) => error);
		await programmes.roomChanged(roomOf('a', 'ended'));
		const late = [programmes.listen(roomOf('a'), 'offer'), programmes.publish(roomOf('a'), 'ann', 'offer')].map((attempt) => attempt.catch((error: unknown) => error));
		await vi.advanceTimersByTimeAsync(1_000);
		for (const outcome of [under, ...late]) {
			expect(await outcome).toMatchObject({ code: 'room_ended' });
		}
		expect(booksOf(supervisor, 'a')).toEqual({ origins: [], edges: [] });
		expect(programmes.describe('a')).toBeUndefined();
	});

	it('leaves no seats taken behind for a room of the same id', async () => {
		const { programmes } = start(() => ({ afterMs: 50, outcome: 'answered' }));
		const tiny = { ...roomOf('a'), maxListeners: 1 };
		void programmes.roomChanged(tiny);
		await vi.advanceTimersByTimeAsync(100);
		programmes.listen(tiny, 'offer').catch(() => undefined);
		await programmes.roomChanged({ ...tiny, state: 'ended' });
		void programmes.roomChanged(tiny);
		// Both joins are under way, one of them for the room that was: it must not be counted out of this one.
		const first = programmes.listen(tiny, 'offer');
		await vi.advanceTimersByTimeAsync(60);
		await expect(programmes.listen(tiny, 'offer')).rejects.toMatchObject({ code: 'no_capacity' });
		await vi.advanceTimersByTimeAsync(200);
		expect(await first).toMatchObject({ sessionId: expect.any(String) });
	});

	it('says that the server is going, once it is', async () => {
		const { programmes } = start(() => AT_ONCE);
		programmes.close('over');
		await expect(programmes.listen(roomOf('a'), 'offer')).rejects.toMatchObject({ code: 'shutting_down' });
		await expect(programmes.addSpeaker(roomOf('a'), 'ann', 1)).rejects.toMatchObject({ code: 'shutting_down' });
	});
});
