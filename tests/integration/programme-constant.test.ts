import { afterAll, beforeAll, expect, it } from 'vitest';
import { MediaPlane, type StagedSpeaker } from '../support/media-plane.ts';
import { FLAWLESS } from '../support/rtc/voice-record.ts';
import { longSpeech, type SpokenAudio } from '../support/speech/speech.ts';

const SPEAKERS = 20;

let plane: MediaPlane;
let alto: SpokenAudio;

beforeAll(async () => {
	[plane, alto] = await Promise.all([MediaPlane.start({ mediaPort: 24_300 }), longSpeech('alto')]);
});
afterAll(() => plane.close());

it(`a listener's session is not touched while ${SPEAKERS} speakers join, talk, mute and leave`, async () => {
	const room = await plane.room();
	const { listener, sessionId, etag, shard: index } = await plane.listen(room);
	const address = listener.localAddress;
	const askedBefore = plane.asked.length;

	const staged: StagedSpeaker[] = [];
	for (let number = 1; number <= SPEAKERS; number++) {
		staged.push(await plane.speak(room, number));
	}
	for (const { speaker, participantId, number } of staged) {
		speaker.talk(alto);
		await listener.heard(number);
		await plane.programmes.setMuted(room.id, participantId, true);
		speaker.stop();
	}
	for (const speaker of staged) {
		await plane.removeSpeaker(room, speaker);
	}
	const leftAtMs = performance.now();
	await listener.packet('a keep-alive of the empty stage', ({ dtx }) => dtx, { sinceMs: leftAtMs });

	// Everything that happens to a session is asked of its shard, and nothing was: no transport, no consumer, no message.
	const asked = plane.asked.slice(askedBefore);
	expect(asked.filter(({ shard }) => shard === index)).toEqual([]);
	expect(asked.filter(({ name }) => name === 'speaker.publish')).toHaveLength(SPEAKERS);
	expect(listener.state).toBe('connected');
	expect(listener.localAddress).toBe(address);
	expect((await plane.programmes.patchSession(sessionId, 'a=end-of-candidates\r\n')).etag).toBe(etag);
	expect(new Set(listener.voices.flatMap(({ audio }) => audio.map(({ csrc }) => csrc))).size).toBe(SPEAKERS);
	for (const { flaws, rtcpPackets } of listener.voices) {
		expect(flaws).toEqual(FLAWLESS); // ssrcChanges among them: the same three streams all along.
		expect(rtcpPackets).toBe(0);
	}
	expect(plane.supervisor.shard(index)?.stats?.joinsTotal).toBe(1);
});
