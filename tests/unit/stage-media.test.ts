// People on stage and the media that goes with them.
import { beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { clock, enter, expectNoGhosts, GRACE_MS, idOf, inRoster, log, media, produce, refusal, ROOM, settled, setUp, someone, stages, subjects } from '../support/stage-rig.ts';

beforeEach(() => setUp());

describe('the origin', () => {
	it('that is lost takes all media with it, and everybody hears of it', async () => {
		const ann = await enter(someone('ann'));
		await produce(ann);
		media.loseOrigin(ROOM);
		expect(inRoster('ann')?.mediaId).toBeNull();
		expect(ann.connection.of('media')).toEqual([{ ready: false, rtpCapabilities: null }]);
		expect(stages.rtpCapabilities(ROOM)).toBeNull();
	});

	it('that is back gets every speaker again, muted as they were, and they are told at once', async () => {
		const ann = await enter(someone('ann'));
		const bob = await enter(someone('bob'));
		await stages.setMuted(bob, true);
		stages.socketLost(bob);
		media.loseOrigin(ROOM);
		const door = media.gates.hold('addSpeaker');
		media.regainOrigin(ROOM);
		expect(ann.connection.of('media').at(-1)).toMatchObject({ ready: true, rtpCapabilities: { codecs: [{ mimeType: 'audio/opus' }] } });
		// What the client asks for at once waits for its speaker to be known, and for nobody else.
		await door.reached;
		const order: string[] = [];
		const transport = stages.run(ann, () => media.createTransport(ROOM, ann.participantId, 'send')).then(() => order.push('transport'));
		await settled();
		expect(media.speaker(ROOM, bob.participantId)).toMatchObject({ number: 2, muted: true });
		expect(order).toEqual([]);
		door.release();
		await transport;
		await produce(ann);
		expect(inRoster('ann')?.mediaId).toBe('media-1');
		expectNoGhosts();
	});

	it('lets people in while it is away, and heals them with the rest', async () => {
		const ann = await enter(someone('ann'));
		media.loseOrigin(ROOM);
		const bob = await enter(someone('bob'));
		expect(bob.connection.of('welcome')[0]).toMatchObject({ mediaReady: false, rtpCapabilities: null });
		await stages.setMuted(ann, true);
		media.regainOrigin(ROOM);
		await settled();
		expect(bob.connection.of('media')).toMatchObject([{ ready: true }]);
		expect(media.speaker(ROOM, ann.participantId)?.muted).toBe(true);
		expectNoGhosts();
	});

	it('that was replaced while somebody was away is the first thing they hear of', async () => {
		const ann = await enter(someone('ann'));
		stages.socketLost(ann);
		media.loseOrigin(ROOM);
		media.regainOrigin(ROOM);
		const again = await enter(someone('ann'));
		expect(again.connection.frames.map(({ event }) => event).slice(0, 2)).toEqual(['welcome', 'media']);
		expect(again.connection.of('welcome')[0]).toMatchObject({ resumed: true, mediaReady: true });
		stages.socketLost(again);
		expect((await enter(someone('ann'))).connection.of('media')).toEqual([]);
	});

	it('announced again without having been lost disturbs nobody', async () => {
		const ann = await enter(someone('ann'));
		media.regainOrigin(ROOM);
		expect(ann.connection.of('media')).toEqual([]);
	});

	it('that refuses somebody sends them round for a fresh start', async () => {
		const ann = await enter(someone('ann'));
		await stages.setMuted(ann, true);
		media.loseOrigin(ROOM);
		const door = media.gates.hold('addSpeaker');
		media.regainOrigin(ROOM);
		await door.reached;
		door.fail(new Error('the shard answered nonsense'));
		await settled();
		expect(ann.connection.ended).toEqual({ ending: 'media_unavailable' });
		expect(log.errors).toHaveLength(1);
		log.errors.length = 0;
		const again = await enter(someone('ann'));
		expect(again.resumed).toBe(false);
		expect(media.speaker(ROOM, ann.participantId)?.muted).toBe(true);
		expect(inRoster('ann')).toMatchObject({ muted: true, connection: 'connected' });
		expectNoGhosts();
	});
});

describe('an encoder', () => {
	const ann = someone('ann');
	const news = (state: 'connected' | 'disconnected' | 'closed') => media.emit('speakerMedia', { roomId: ROOM, participantId: idOf('ann'), state });

	it('publishes and is on stage', async () => {
		await expect(stages.publish(ann, ROOM, 'offer')).resolves.toMatchObject({ sdp: 'v=0' });
		expect(inRoster('ann')).toMatchObject({ kind: 'encoder', connection: 'connected', mediaId: 'media-1', number: 1 });
		expectNoGhosts();
	});

	it('that loses its way is waited for, and is back when it is back', async () => {
		await stages.publish(ann, ROOM, 'offer');
		news('connected');
		expect(inRoster('ann')).toMatchObject({ connection: 'connected', mediaId: 'media-1' });
		news('disconnected');
		expect(inRoster('ann')).toMatchObject({ connection: 'reconnecting', mediaId: null });
		news('connected');
		clock.advance(GRACE_MS);
		expect(inRoster('ann')).toMatchObject({ connection: 'connected', mediaId: 'media-2' });
		news('disconnected');
		news('closed');
		expect(inRoster('ann')).toMatchObject({ connection: 'reconnecting', mediaId: null });
		clock.advance(GRACE_MS);
		await settled();
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('that says goodbye leaves at once', async () => {
		await stages.publish(ann, ROOM, 'offer');
		news('connected');
		news('closed');
		await settled();
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});

	it('that publishes again replaces its session and stays muted', async () => {
		await stages.publish(ann, ROOM, 'offer');
		await stages.people.mute(someone('me', 'host'), ROOM, idOf('ann'));
		await stages.publish(ann, ROOM, 'offer');
		await settled();
		expect(inRoster('ann')).toMatchObject({ number: 1, muted: true, connection: 'connected', mediaId: 'media-2' });
		expect(media.speaker(ROOM, idOf('ann'))?.muted).toBe(true);
		expectNoGhosts();
	});

	it('whose offer is refused was never there', async () => {
		const seen: unknown[] = [];
		stages.on('rosterChanged', (change) => seen.push(change));
		const door = media.gates.hold('publish');
		const publishing = stages.publish(ann, ROOM, 'nonsense');
		await door.reached;
		door.fail(new DomainError('invalid_offer', 'no audio'));
		await expect(publishing).rejects.toEqual(refusal('invalid_offer'));
		await settled();
		expect(seen).toEqual([]);
		expectNoGhosts();
	});

	it('and a browser of the same person replace each other', async () => {
		const browser = await enter(ann);
		await produce(browser);
		await stages.publish(ann, ROOM, 'offer');
		expect(browser.connection.ended).toEqual({ ending: 'replaced' });
		expect(inRoster('ann')).toMatchObject({ kind: 'encoder', number: 1 });
		const back = await enter(ann);
		expect(back.resumed).toBe(false);
		expect(inRoster('ann')).toMatchObject({ kind: 'browser', mediaId: null });
		expect(media.speaker(ROOM, idOf('ann'))?.sessionId).toBeNull();
		expectNoGhosts();
	});

	it('whose session went with the origin has the grace period to publish anew', async () => {
		await stages.publish(ann, ROOM, 'offer');
		media.loseOrigin(ROOM);
		expect(inRoster('ann')).toMatchObject({ connection: 'reconnecting', mediaId: null });
		media.regainOrigin(ROOM);
		await stages.publish(ann, ROOM, 'offer');
		clock.advance(GRACE_MS);
		expect(inRoster('ann')?.connection).toBe('connected');
		expectNoGhosts();
	});

	it('whose origin dies as its session is made is not taken for alive', async () => {
		const door = media.gates.hold('publish');
		const publishing = stages.publish(ann, ROOM, 'offer');
		await door.reached;
		media.emit('originLost', { roomId: ROOM });
		door.release();
		await expect(publishing).rejects.toEqual(refusal('media_unavailable'));
		await settled();
		expect(subjects()).toEqual([]);
		expectNoGhosts();
	});
});
