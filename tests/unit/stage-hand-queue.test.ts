import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { type Hand, HandQueue } from '../../server/rooms/hand-queue.ts';

const AT = '2026-05-24T20:00:00.000Z';
const EXPIRES = '2026-05-24T20:02:00.000Z';
const MAX = 6;

const person = (id: string) => ({ id, subject: `subject of ${id}`, name: `Name of ${id}` });
const ids = (hands: readonly Hand[]): string[] => hands.map(({ id }) => id);
const all = (queue: HandQueue): string[] => ids(queue.list({ limit: 1_000 }));

describe('a queue of hands', () => {
	it('is in the order in which they went up', () => {
		const queue = new HandQueue(MAX);
		for (const id of ['c', 'a', 'b']) expect(queue.raise(person(id), AT)).toBe(true);
		expect(all(queue)).toEqual(['c', 'a', 'b']);
		expect(['a', 'b', 'c'].map((id) => queue.position(id))).toEqual([2, 3, 1]);
		expect(queue.raised).toBe(3);
	});

	it('keeps the place of whoever raises it again, and takes on a new name', () => {
		const queue = new HandQueue(MAX);
		queue.raise(person('a'), AT);
		queue.raise(person('b'), AT);
		expect(queue.raise({ ...person('a'), name: 'Ann' }, AT)).toBe(false);
		expect(queue.position('a')).toBe(1);
		expect(queue.get('a')?.name).toBe('Ann');
	});

	it('closes up behind whoever leaves', () => {
		const queue = new HandQueue(MAX);
		for (const id of ['a', 'b', 'c']) queue.raise(person(id), AT);
		expect(queue.lower('a')).toBe(true);
		expect(queue.lower('a')).toBe(false);
		expect(queue.position('c')).toBe(2);
		expect(queue.position('a')).toBeNull();
	});

	it('leaves an invited hand where it is, and puts people who were only invited first', () => {
		const queue = new HandQueue(MAX);
		for (const id of ['a', 'b']) queue.raise(person(id), AT);
		queue.invite('b', { by: 'Hana', expiresAt: EXPIRES });
		queue.invite('x', { by: 'Hana', expiresAt: EXPIRES });
		expect(all(queue)).toEqual(['x', 'a', 'b']);
		expect(queue.position('b')).toBe(2);
		expect(queue.position('x')).toBeNull();
		expect(queue.raised).toBe(2);
		expect(queue.get('x')).toEqual({ id: 'x', subject: null, name: '', raisedAt: null, invitation: { by: 'Hana', expiresAt: EXPIRES } });
	});

	it('keeps an invitation when the hand goes down, and the hand when the invitation goes', () => {
		const queue = new HandQueue(MAX);
		for (const id of ['a', 'b']) queue.raise(person(id), AT);
		for (const id of ['a', 'b']) queue.invite(id, { by: 'Hana', expiresAt: EXPIRES });
		queue.lower('a');
		queue.withdraw('b');
		expect(queue.get('a')).toMatchObject({ raisedAt: null, invitation: { by: 'Hana' } });
		expect(queue.get('b')).toMatchObject({ raisedAt: AT, invitation: null });
		expect(queue.withdraw('a')).toBe(true);
		expect(queue.get('a')).toBeUndefined();
	});

	it('gives whoever raises a hand after an invitation the last place', () => {
		const queue = new HandQueue(MAX);
		queue.invite('x', { by: 'Hana', expiresAt: EXPIRES });
		queue.raise(person('a'), AT);
		queue.raise(person('x'), AT);
		expect(all(queue)).toEqual(['a', 'x']);
		expect(queue.get('x')).toMatchObject({ subject: 'subject of x', invitation: { by: 'Hana' } });
	});

	it('withdraws invitations that nobody answered in time', () => {
		const queue = new HandQueue(MAX);
		queue.raise(person('a'), AT);
		for (const [id, expiresAt] of [['a', EXPIRES], ['x', EXPIRES], ['y', '2026-05-24T20:03:00.000Z']] as const) queue.invite(id, { by: 'Hana', expiresAt });
		expect(queue.nextExpiryMs).toBe(Date.parse(EXPIRES));
		expect(queue.expire(Date.parse(EXPIRES) - 1)).toEqual([]);
		expect(queue.expire(Date.parse(EXPIRES)).toSorted()).toEqual(['a', 'x']);
		expect(all(queue)).toEqual(['y', 'a']);
		expect(queue.nextExpiryMs).toBe(Date.parse('2026-05-24T20:03:00.000Z'));
	});

	it('takes no more than it may, and those who are in it already all the same', () => {
		const queue = new HandQueue(2);
		queue.raise(person('a'), AT);
		queue.invite('x', { by: 'Hana', expiresAt: EXPIRES });
		const full = (work: () => unknown): unknown => {
			try {
				return work();
			} catch (error) {
				return error instanceof DomainError ? error.code : error;
			}
		};
		expect(full(() => queue.raise(person('b'), AT))).toBe('hands_full');
		expect(full(() => queue.invite('b', { by: 'Hana', expiresAt: EXPIRES }))).toBe('hands_full');
		expect(queue.raise(person('x'), AT)).toBe(true);
		expect(queue.size).toBe(2);
	});

	type Step = { do: 'raise' | 'lower' | 'remove' | 'invite' | 'withdraw' | 'move'; id: string };
	const steps = fc.array(
		fc.record<Step>({ do: fc.constantFrom('raise', 'lower', 'remove', 'invite', 'withdraw', 'move'), id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h') }),
		{ maxLength: 60 },
	);

	it('is, whatever happens and whichever home it is at, what a plain list would be', () => {
		fc.assert(
			fc.property(steps, (done) => {
				let queue = new HandQueue(MAX);
				/** Raised ids in order; invited ids. */
				let raised: string[] = [];
				let invited: string[] = [];
				let invitedOnly: string[] = [];
				const known = (id: string) => raised.includes(id) || invited.includes(id);
				for (const { do: what, id } of done) {
					const full = !known(id) && new Set([...raised, ...invited]).size >= MAX;
					try {
						if (what === 'raise') queue.raise(person(id), AT);
						else if (what === 'invite') queue.invite(id, { by: 'Hana', expiresAt: EXPIRES });
						else if (what === 'move') {
							const next = new HandQueue(MAX);
							next.restore(JSON.parse(JSON.stringify(queue.snapshot())) as Hand[]);
							queue = next;
						} else queue[what](id);
						expect(full && (what === 'raise' || what === 'invite')).toBe(false);
					} catch (error) {
						if (!(error instanceof DomainError)) throw error;
						expect(full).toBe(true);
						continue;
					}
					if (what === 'raise' && !raised.includes(id)) {
						raised.push(id);
						invitedOnly = invitedOnly.filter((other) => other !== id);
					} else if (what === 'invite') {
						if (!known(id)) invitedOnly.push(id);
						if (!invited.includes(id)) invited.push(id);
					} else if (what === 'lower' && raised.includes(id)) {
						raised = raised.filter((other) => other !== id);
						if (invited.includes(id)) invitedOnly.push(id);
					} else if (what === 'withdraw' || what === 'remove') {
						invited = invited.filter((other) => other !== id);
						invitedOnly = invitedOnly.filter((other) => other !== id);
						if (what === 'remove') raised = raised.filter((other) => other !== id);
					}
					expect(all(queue)).toEqual([...invitedOnly, ...raised]);
					expect(raised.map((other) => queue.position(other))).toEqual(raised.map((_, index) => index + 1));
					expect({ size: queue.size, raised: queue.raised }).toEqual({ size: new Set([...raised, ...invited]).size, raised: raised.length });
					// Page by page it is the same.
					const pages: string[] = [];
					for (let after: string | undefined; ; after = pages.at(-1)) {
						const page = queue.list({ limit: 2, ...(after !== undefined && { after }) });
						pages.push(...ids(page));
						if (page.length < 2) break;
					}
					expect(pages).toEqual(all(queue));
				}
			}),
			{ numRuns: 300 },
		);
	});
});
