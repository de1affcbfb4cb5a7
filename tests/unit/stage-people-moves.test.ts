// That what was settled outlives its home, and holds whatever is done.
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Role } from '../../auth/roles.ts';
import { DomainError } from '../../server/errors.ts';
import type { StagePrincipal } from '../../server/stage/stage-policy.ts';
import { clock, emptyStageStore, enter, GRACE_MS, homes, idOf, listener, log, media, type OnStage, openHome, openNode, raise, refusal, ROOM, settled, setUp, someone, stages, stageStore } from '../support/stage-people-rig.ts';

beforeEach(() => setUp());

describe('another home', () => {
	it('has hands, invitations, roles, the lock, the size and the order as they were', async () => {
		const host = await enter(someone('host', 'host'));
		const [ann, bob] = [await enter(someone('ann')), await enter(someone('bob'))];
		for (const subject of ['cat', 'dan', 'eve']) await raise(subject);
		await stages.people.promote(host.principal, ROOM, ann.participantId);
		await stages.people.demote(host.principal, ROOM, bob.participantId);
		await stages.people.invite(host.principal, ROOM, idOf('dan'));
		await stages.people.promote(host.principal, ROOM, idOf('eve'));
		await stages.people.set(host.principal, ROOM, { locked: true, maxSize: 4, order: [ann.participantId] });
		clock.advance(1_000);
		await settled();
		const known = await stages.people.hand(listener('cat'), ROOM);
		const waiting = stages.people.hand(listener('dan'), ROOM, { version: (await stages.people.hand(listener('dan'), ROOM)).version, waitMs: 6_000 });
		const ended = expect(waiting).rejects.toEqual(refusal('not_home'));
		homes.lose(ROOM);
		await ended;

		openHome();
		homes.gain(ROOM, 2);
		await settled();
		expect(await stages.people.hand(listener('cat'), ROOM)).toEqual(known);
		expect(await stages.people.hand(listener('dan'), ROOM)).toMatchObject({ position: 2, invitation: { by: 'Name of host' } });
		expect(await stages.people.hand(listener('eve'), ROOM)).toMatchObject({ granted: true });
		expect((await enter(someone('ann'))).connection.of('welcome')[0]).toMatchObject({ role: 'cohost', locked: true, maxSize: 4 });
		await expect(enter(someone('bob'))).rejects.toEqual(refusal('forbidden', 'off_stage'));
		expect(stages.roster(ROOM)[0]?.id).toBe(ann.participantId);
	});

	it('has the hand of whoever was told that it is up, and goes on when the store is away', async () => {
		expect((await raise('ann')).raised).toBe(true);
		expect(stageStore.latest(ROOM)?.roster.hands).toMatchObject([{ id: idOf('ann'), subject: 'ann' }]);
		stageStore.away = true;
		expect((await raise('bob')).raised).toBe(true);
	});

	it('has the hands of the last moment before it was given the room, and nobody is told of one that it has not', async () => {
		await raise('ann');
		const last = stages.people.raiseHand(listener('bob'), ROOM, true);
		await settled();
		await stages.flush(ROOM);
		expect((await last).raised).toBe(true);
		expect(stageStore.latest(ROOM)?.roster.hands).toHaveLength(2);
		const late = expect(stages.people.raiseHand(listener('cat'), ROOM, true)).rejects.toEqual(refusal('not_home'));
		await settled();
		homes.lose(ROOM, 'released');
		await late;
		expect(stageStore.latest(ROOM)?.roster.hands).toHaveLength(2);
	});

	it('that knows the stage from afar gives people the roles they have there', async () => {
		const host = await enter(someone('host', 'host'));
		const ann = await enter(someone('ann'));
		await stages.people.promote(host.principal, ROOM, ann.participantId);
		const other = openNode();
		let told = 0;
		other.stages.on('rosterChanged', () => (told += 1));
		const { epoch, roster } = stages.stateOf(ROOM);
		other.stages.applyRemoteStage(ROOM, epoch, roster);
		expect(told).toBe(1);
		expect(other.stages.people.actingAs(someone('ann'), ROOM).role).toBe('cohost');
		await raise('cat');
		const later = stages.stateOf(ROOM);
		expect(later.roster.version).toBeGreaterThan(roster.version);
		other.stages.applyRemoteStage(ROOM, later.epoch, later.roster);
		expect(told).toBe(1);
	});
});

describe('whatever is done to whom', () => {
	const SUBJECTS = ['hana', 'cora', 'ann', 'bob'] as const;
	const TOKENS: Record<(typeof SUBJECTS)[number], Role> = { hana: 'host', cora: 'cohost', ann: 'speaker', bob: 'listener' };
	const step = fc.record({
		act: fc.constantFrom('enter', 'lose', 'leave', 'raise', 'lower', 'invite', 'accept', 'decline', 'promote', 'hand over', 'demote', 'kick', 'lock', 'unlock', 'wait'),
		by: fc.constantFrom(...SUBJECTS),
		to: fc.constantFrom(...SUBJECTS),
	});

	it('people on stage have the role that counts, nobody is there who may not be, and nobody there has a hand up', async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
				emptyStageStore();
				openHome();
				homes.gain(ROOM, 1);
				const places = new Map<string, OnStage>();
				const { people } = stages;
				const principal = (subject: (typeof SUBJECTS)[number]): StagePrincipal => someone(subject, TOKENS[subject]);
				const acts: Record<(typeof step extends fc.Arbitrary<infer S> ? S : never)['act'], (by: StagePrincipal, to: StagePrincipal) => Promise<unknown>> = {
					enter: async (by) => places.set(by.subject, await enter(by)),
					lose: async (by) => places.has(by.subject) && stages.socketLost(places.get(by.subject)!),
					leave: async (by) => places.has(by.subject) && stages.leave(places.get(by.subject)!),
					raise: (by) => people.raiseHand(by, ROOM, true),
					lower: (by) => people.raiseHand(by, ROOM, false),
					invite: (by, to) => people.invite(by, ROOM, idOf(to.subject)),
					accept: (by) => people.answerInvitation(by, ROOM, true),
					decline: (by) => people.answerInvitation(by, ROOM, false),
					promote: (by, to) => people.promote(by, ROOM, idOf(to.subject)),
					'hand over': (by, to) => people.promote(by, ROOM, idOf(to.subject), 'host'),
					demote: (by, to) => people.demote(by, ROOM, idOf(to.subject)),
					kick: (by, to) => people.kick(by, ROOM, idOf(to.subject)),
					lock: (by) => people.set(by, ROOM, { locked: true }),
					unlock: (by) => people.set(by, ROOM, { locked: false }),
					wait: async () => clock.advance(GRACE_MS),
				};
				for (const { act, by, to } of steps) {
					const done = acts[act](principal(by), principal(to)).catch((error: unknown) => {
						if (!(error instanceof DomainError)) throw error;
					});
					await settled();
					clock.advance(300);
					await done;
					await settled();
					for (const { id, subject, role } of stages.roster(ROOM)) {
						expect(role).toBe(people.actingAs(principal(subject as (typeof SUBJECTS)[number]), ROOM).role);
						expect((await people.hand(listener(subject), ROOM)).raised, `hand of ${id}`).toBe(false);
					}
				}
				clock.advance(GRACE_MS);
				await settled();
				// Whom the stage has, media has, and nobody else.
				expect(media.speakers(ROOM)).toEqual(stages.roster(ROOM).map(({ id }) => id).toSorted());
				expect(log.errors).toEqual([]);
				stages.closeAll('the next run begins');
			}),
			{ numRuns: 40 },
		);
	});
});
