import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveClusterKeys } from '../../auth/cluster-keys.ts';
import { QueuePlaces } from '../../auth/queue-place.ts';

const T0 = Date.parse('2026-05-24T20:00:00.000Z');
const state = { nowMs: T0 };
const now = () => state.nowMs;
const FIRST = { firstArrivalMs: T0, refusedAtMs: T0 };
const { queuePlace: key } = deriveClusterKeys('a-cluster-secret-of-more-than-32-characters');

describe('a place in the queue', () => {
	it('says on every node when its holder came first', () => {
		const place = new QueuePlaces({ key, now }).issue('hall', { firstArrivalMs: T0 - 12_345, refusedAtMs: T0 });
		expect(place).toMatch(/^[\w-]{31}$/);
		expect(new QueuePlaces({ key, now }).read(place, 'hall')).toEqual({ firstArrivalMs: T0 - 12_345, refusedAtMs: T0 - 2_345 });
	});

	it('counts for nothing with another secret, for another room, or on a node that knows no other', () => {
		const place = new QueuePlaces({ key, now }).issue('hall', FIRST);
		const { queuePlace: other } = deriveClusterKeys('another-secret-of-more-than-32-characters');
		expect(new QueuePlaces({ key: other, now }).read(place, 'hall')).toBeUndefined();
		expect(new QueuePlaces({ key, now }).read(place, 'hall2')).toBeUndefined();
		const alone = new QueuePlaces({ now });
		expect(alone.read(place, 'hall')).toBeUndefined();
		expect(alone.read(alone.issue('hall', FIRST), 'hall')).toEqual(FIRST);
		expect(new QueuePlaces({ now }).read(alone.issue('hall', FIRST), 'hall')).toBeUndefined();
	});

	it('is good for 15 minutes', () => {
		const places = new QueuePlaces({ key, now });
		const place = places.issue('hall', FIRST);
		const at = (afterMs: number) => {
			state.nowMs = T0 + afterMs;
			return places.read(place, 'hall')?.firstArrivalMs;
		};
		expect([at(900_000), at(900_001), at(-4_000), at(-6_000)]).toEqual([T0, undefined, T0, undefined]);
		state.nowMs = T0;
	});

	it('cannot be bettered: no change of a single character counts, nor does anything made up', () => {
		const places = new QueuePlaces({ key, now });
		const place = places.issue('hall', FIRST);
		fc.assert(
			fc.property(fc.nat(30), fc.constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_'), (at, character) => {
				const changed = place.slice(0, at) + character + place.slice(at + 1);
				// The last character holds 2 bits that mean nothing.
				expect([undefined, ...(at === 30 || changed === place ? [T0] : [])]).toContain(places.read(changed, 'hall')?.firstArrivalMs);
			}),
		);
		fc.assert(fc.property(fc.string({ maxLength: 60 }), (text) => places.read(text, 'hall') === undefined));
	});
});
