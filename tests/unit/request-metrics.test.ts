import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { JoinRefusedError } from '../../server/placement/admission/join-refusal.ts';
import { type HttpNode, type HttpNodes, startHttpNodes } from '../support/cluster/http-nodes.ts';
import { OFFER } from '../support/fakes/test-app.ts';

const ROOM = 'launch';
let cluster: HttpNodes;
let first: HttpNode;
let second: HttpNode;
beforeEach(async () => {
	cluster = await startHttpNodes(['a', 'b']);
	first = cluster.nodes['a']!;
	second = cluster.nodes['b']!;
	for (const { rooms } of [first, second]) {
		await rooms.create({ id: ROOM, title: 'The announcement' });
		await rooms.transition(ROOM, 'open');
	}
});
afterEach(() => cluster.close());

const listen = async ({ origin }: HttpNode, body = OFFER): Promise<number> =>
	(await fetch(`${origin}/v1/rooms/${ROOM}/listen`, { method: 'POST', body, redirect: 'manual', headers: { 'content-type': 'application/sdp' } })).status;

/** Joins so far, by outcome. */
async function outcomes({ origin }: HttpNode): Promise<Record<string, number>> {
	const text = await (await fetch(`${origin}/metrics`)).text();
	const lines = text.matchAll(/^rostrum_join_duration_seconds_count\{kind="listen",outcome="(\w+)"\} (\d+)$/gm);
	return Object.fromEntries([...lines].map(([, outcome = '', count]) => [outcome, Number(count)]));
}

const paced = () => new JoinRefusedError({ reason: 'paced', retryAfterMs: 1_000, ahead: 7, firstArrivalMs: 0, refusedAtMs: 0 });
const noCapacity = (extra: Record<string, unknown> = {}) => new DomainError('no_capacity', 'no place', { retryAfterSeconds: 2, extra });
const refusals: [what: string, failure: () => DomainError, outcome: string][] = [
	['who is asked to come later', paced, 'turned_away'],
	['for whom no shard has a place', () => noCapacity(), 'turned_away'],
	['whose room is full', () => noCapacity({ reason: 'room_full' }), 'turned_away'],
	['whose room has nobody to say whether it is full', () => noCapacity({ reason: 'seats_unknown' }), 'failed'],
	['for whom media failed', () => new DomainError('media_unavailable', 'the shard is gone', { retryAfterSeconds: 1 }), 'failed'],
	['who asked for what cannot be', () => new DomainError('invalid_offer', 'no audio'), 'refused'],
];

describe('the figure that a surge is judged by', () => {
	it('counts who joined, and who was sent to another address', async () => {
		expect(await listen(first)).toBe(201);
		first.seat = { nodeId: 'b', publicUrl: `${second.origin}/`, why: 'fuller' };
		expect(await listen(first)).toBe(307);
		expect(await outcomes(first)).toEqual({ joined: 1, handed_on: 1 });
	});

	it.each(refusals)('counts a listener %s', async (_, failure, outcome) => {
		first.media.failure = failure();
		expect(await listen(first)).toBeGreaterThanOrEqual(400);
		expect(await outcomes(first)).toEqual({ [outcome]: 1 });
	});

	it.each(refusals)('counts one that another node answered as that one did: %s', async (_, failure, outcome) => {
		first.seat = { nodeId: 'b', why: 'fuller' };
		second.media.failure = failure();
		expect(await listen(first)).toBeGreaterThanOrEqual(400);
		expect(await outcomes(first)).toEqual({ [outcome]: 1 });
		expect(await outcomes(second)).toEqual({ [outcome]: 1 });
	});
});
