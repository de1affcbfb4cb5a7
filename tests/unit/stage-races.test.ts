// Things that happen at the same time, with one of them held up anywhere.
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { clock, enter, expectNoGhosts, GRACE_MS, idOf, media, type OnStage, produce, refusal, ROOM, rooms, settled, setUp, someone, stages, store, subjects } from '../support/stage-rig.ts';

beforeEach(() => setUp());

describe('races', () => {
	it.each(['isBanned', 'speakerNumber'] as const)('the room ends while the store is asked (%s)', async (question) => {
		await rooms.transition(ROOM, 'open');
		const door = store.gates.hold(question);
		const entering = enter(someone('ann'));
		await door.reached;
		await rooms.transition(ROOM, 'end');
		door.release();
		await expect(entering).rejects.toEqual(refusal('room_ended'));
		expectNoGhosts();
	});

	it('the room ends while media adds the speaker', async () => {
		await rooms.transition(ROOM, 'open');
		const door = media.gates.hold('addSpeaker');
		const entering = enter(someone('ann'));
		await door.reached;
		await rooms.transition(ROOM, 'end');
		door.release();
		await expect(entering).rejects.toEqual(refusal('room_ended'));
		await settled();
		expectNoGhosts();
	});

	it('a kick while the microphone starts', async () => {
		const ann = await enter(someone('ann'));
		const door = media.gates.hold('produce');
		const producing = produce(ann);
		await door.reached;
		const kicking = stages.people.kick(someone('me', 'host'), ROOM, ann.participantId);
		await settled();
		expect(ann.connection.ended).toEqual({ ending: 'kicked' });
		expect(subjects()).toEqual([]);
		door.release();
		await Promise.all([producing, kicking]);
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('the room ends while what media knew of an earlier visit is removed', async () => {
		await rooms.transition(ROOM, 'open');
		await stages.publish(someone('ann'), ROOM, 'offer');
		const door = media.gates.hold('removeSpeaker');
		const entering = enter(someone('ann'));
		await door.reached;
		const before = media.calls.length;
		await rooms.transition(ROOM, 'end');
		door.release();
		await expect(entering).rejects.toEqual(refusal('room_ended'));
		await settled();
		expect(media.calls.slice(before).filter((call) => call.startsWith('addSpeaker'))).toEqual([]);
		expectNoGhosts();
	});

	it('a kick while an encoder makes its session anew', async () => {
		await stages.publish(someone('ann'), ROOM, 'offer');
		const door = media.gates.hold('publish');
		const publishing = stages.publish(someone('ann'), ROOM, 'offer');
		await door.reached;
		const kicking = stages.people.kick(someone('me', 'host'), ROOM, idOf('ann'));
		door.release();
		await expect(publishing).rejects.toEqual(refusal('participant_not_found'));
		await kicking;
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('the origin dies between adding a speaker and the answer', async () => {
		const door = media.gates.hold('addSpeaker');
		const entering = enter(someone('ann'));
		await door.reached;
		media.emit('originLost', { roomId: ROOM });
		door.release();
		const { connection } = await entering;
		expect(connection.of('welcome')[0]).toMatchObject({ mediaReady: false, rtpCapabilities: null });
		media.regainOrigin(ROOM);
		expect(connection.of('media')).toMatchObject([{ ready: true }]);
		await settled();
		expectNoGhosts();
	});

	it('a ban while the same person asks to come again', async () => {
		const ann = await enter(someone('ann'));
		const door = store.gates.hold('isBanned');
		const entering = enter(someone('ann'));
		await door.reached;
		const banning = stages.people.ban(someone('me', 'host'), ROOM, ann.participantId);
		await settled();
		door.release();
		await expect(entering).rejects.toEqual(refusal('banned'));
		await banning;
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('the grace period ends while the person is at the door', async () => {
		stages.socketLost(await enter(someone('ann')));
		const door = store.gates.hold('isBanned');
		const entering = enter(someone('ann'));
		await door.reached;
		clock.advance(GRACE_MS);
		door.release();
		expect((await entering).resumed).toBe(false);
		await settled();
		expect(subjects()).toEqual(['ann']);
		expectNoGhosts();
	});

	it('leaving and coming back while media is still at it', async () => {
		const ann = await enter(someone('ann'));
		const door = media.gates.hold('removeSpeaker');
		const leaving = stages.leave(ann);
		await door.reached;
		const entering = enter(someone('ann'));
		door.release();
		await leaving;
		expect((await entering).resumed).toBe(false);
		expectNoGhosts();
	});

	it('two sockets of one person at once', async () => {
		const [first, second] = await Promise.all([enter(someone('ann')), enter(someone('ann'))]);
		expect([first, second].filter(({ connection }) => connection.ended?.ending === 'replaced')).toHaveLength(1);
		expect(subjects()).toEqual(['ann']);
		expect(media.calls.filter((call) => call.startsWith('addSpeaker'))).toHaveLength(1);
		expectNoGhosts();
	});

	it('somebody slow holds up nobody else', async () => {
		const ann = await enter(someone('ann'));
		const door = media.gates.hold('produce');
		const producing = produce(ann);
		await door.reached;
		const bob = await enter(someone('bob'));
		await stages.setMuted(bob, true);
		await stages.people.kick(someone('me', 'host'), ROOM, bob.participantId);
		door.release();
		await producing;
		expectNoGhosts();
	});

	it('never leave a ghost, whatever the order', async () => {
		const person = fc.constantFrom('ann', 'bob', 'cid');
		const step = fc.record({
			subject: person,
			act: fc.constantFrom('enter', 'enter', 'publish', 'leave', 'lose', 'kick', 'produce', 'mute', 'originLost', 'originReady', 'grace', 'closed', 'wait'),
		});
		await fc.assert(
			fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.array(fc.nat(6), { minLength: 1, maxLength: 20 }), async (steps, delays) => {
				await setUp(2);
				let calls = 0;
				const delay = async (): Promise<void> => {
					for (let turns = delays[calls++ % delays.length] ?? 0; turns > 0; turns -= 1) await Promise.resolve();
				};
				media.gates.delay = delay;
				store.gates.delay = delay;
				const host = someone('me', 'host');
				const places: OnStage[] = [];
				const under: Promise<unknown>[] = [];
				const failures: unknown[] = [];
				for (const { subject, act } of steps) {
					const place = places.findLast(({ principal }) => principal.subject === subject);
					const doIt = async (): Promise<unknown> => {
						switch (act) {
							case 'enter':
								return enter(someone(subject)).then((entered) => places.push(entered));
							case 'publish':
								return stages.publish(someone(subject), ROOM, 'offer');
							case 'leave':
								return place && stages.leave(place);
							case 'lose':
								return place && stages.socketLost(place);
							case 'kick':
								return stages.people.kick(host, ROOM, idOf(subject));
							case 'produce':
								return place && produce(place);
							case 'mute':
								return stages.people.mute(host, ROOM, idOf(subject));
							case 'originLost':
								return media.loseOrigin(ROOM);
							case 'originReady':
								return media.regainOrigin(ROOM);
							case 'grace':
								return clock.advance(GRACE_MS);
							case 'closed':
								return media.emit('speakerMedia', { roomId: ROOM, participantId: idOf(subject), state: 'closed' });
							default:
								return settled();
						}
					};
					under.push(doIt().catch((error: unknown) => failures.push(error)));
					await Promise.resolve();
				}
				media.regainOrigin(ROOM);
				await Promise.all(under);
				await settled();
				await settled();
				expect(failures.filter((error) => !(error instanceof DomainError))).toEqual([]);
				expectNoGhosts();
				for (const { id, muted, mediaId } of stages.roster(ROOM)) {
					expect(media.speaker(ROOM, id)).toMatchObject({ muted, producing: mediaId !== null });
				}
			}),
			{ numRuns: 300 },
		);
	});
});
