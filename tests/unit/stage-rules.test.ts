import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { roles } from '../../auth/roles.ts';
import { actingRole, inOrder, MAX_STANDINGS, NO_RULES, outranks, type Standing, standingOf, withSettings, withStanding } from '../../server/rooms/stage-rules.ts';

const stageRoles = ['host', 'cohost', 'speaker', 'listener'] as const;

describe('the role that counts on a stage', () => {
	it('is the token’s without a standing', () => {
		for (const role of roles) expect(actingRole(NO_RULES, 'p', role)).toBe(role);
	});

	it.each(stageRoles.flatMap((role) => roles.map((token) => ({ role, token }))))('a floor of $role lifts a $token who is below, and lowers nobody', ({ role, token }) => {
		const acting = actingRole(withStanding(NO_RULES, { id: 'p', role, kind: 'floor' }), 'p', token);
		expect(acting).toBe(outranks(role, token) ? role : token);
		expect(outranks(token, acting)).toBe(false);
	});

	it.each(stageRoles.flatMap((role) => roles.map((token) => ({ role, token }))))('a cap of $role holds for a $token, unless an admin', ({ role, token }) => {
		expect(actingRole(withStanding(NO_RULES, { id: 'p', role, kind: 'cap' }), 'p', token)).toBe(token === 'admin' ? 'admin' : role);
	});

	it('concerns one person alone', () => {
		expect(actingRole(withStanding(NO_RULES, { id: 'p', role: 'listener', kind: 'cap' }), 'q', 'cohost')).toBe('cohost');
	});
});

describe('standings', () => {
	const standing = fc.record<Standing>({ id: fc.constantFrom('a', 'b', 'c', 'd'), role: fc.constantFrom(...stageRoles), kind: fc.constantFrom('floor', 'cap') });

	it('are the last one of each person', () => {
		fc.assert(
			fc.property(fc.array(standing, { maxLength: 30 }), (given) => {
				const rules = given.reduce(withStanding, NO_RULES);
				for (const id of ['a', 'b', 'c', 'd']) expect(standingOf(rules, id)).toEqual(given.findLast((one) => one.id === id));
				expect(rules.standings).toHaveLength(new Set(given.map(({ id }) => id)).size);
			}),
		);
	});

	it('are the very same when nothing changes', () => {
		const rules = withStanding(NO_RULES, { id: 'p', role: 'cohost', kind: 'floor' });
		expect(withStanding(rules, { id: 'p', role: 'cohost', kind: 'floor' })).toBe(rules);
		expect(withSettings(rules, { locked: false, order: [] })).toBe(rules);
	});

	it('are bounded: the oldest go', () => {
		let rules = NO_RULES;
		for (let index = 0; index <= MAX_STANDINGS; index += 1) rules = withStanding(rules, { id: `p${index}`, role: 'speaker', kind: 'floor' });
		expect(rules.standings).toHaveLength(MAX_STANDINGS);
		expect(standingOf(rules, 'p0')).toBeUndefined();
		expect(standingOf(rules, `p${MAX_STANDINGS}`)).toBeDefined();
	});
});

describe('the order of speakers', () => {
	const people = [1, 2, 3, 4].map((number) => ({ id: `p${number}`, number }));

	it('is by number until hosts say otherwise', () => {
		expect(inOrder(people, NO_RULES)).toBe(people);
	});

	it('shows those who are named first, and nobody twice', () => {
		const rules = withSettings(NO_RULES, { order: ['p3', 'gone', 'p1', 'p3'] });
		expect(rules.order).toEqual(['p3', 'gone', 'p1']);
		expect(inOrder(people, rules).map(({ id }) => id)).toEqual(['p3', 'p1', 'p2', 'p4']);
	});

	it('loses nobody, whatever is named', () => {
		fc.assert(
			fc.property(fc.array(fc.constantFrom('p1', 'p2', 'p3', 'p4', 'p5')), (order) => {
				const shown = inOrder(people, withSettings(NO_RULES, { order })).map(({ id }) => id);
				expect(shown.toSorted()).toEqual(['p1', 'p2', 'p3', 'p4']);
			}),
		);
	});
});
