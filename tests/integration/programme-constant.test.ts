import { afterAll, beforeAll, expect, it } from 'vitest';
import { MediaPlane, type StagedSpeaker } from '../support/media-plane.ts';
import { FLAWLESS } from '../support/rtc/voice-record.ts';
import { longSpeech, type SpokenAudio } from '../support/speech/speech.ts';

const SPEAKERS = 20;

let plane: MediaPlane;
let alto: SpokenAudio;

beforeAll(async () => {
	[plane, alto] = await Promise.all([MediaPlane.start({ mediaPort: 45_200 }), longSpeech('alto')]);
});
afterAll(() => plane.close());

it(`a listener's session is not touched while ${SPEAKERS} speakers join, talk, mute and leave`, async () => {
	const room = await plane.room();
	const { listener, sessionId, etag, shard: index } = await plane.listen(room);
	const shard = plane.supervisor.shard(index);
	if (!shard) {
		throw new Error('the listener sits on no shard');
	}
	const address = listener.localAddress;
	// Everything that happens to a session is asked of its shard; nothing else can reach it.
	const asked: string[] = [];
	const request = shard.request.bind(shard);
	shard.request = (name, params) => {
		asked.push(name);
		return request(name, params);
	};

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

	// With no request between, the shard made no transport and no consumer, and there is no way to send a listener a message.
	expect(asked.filter((name) => !name.startsWith('edge.setPacking'))).toEqual([]);
	expect(listener.state).toBe('connected');
	expect(listener.localAddress).toBe(address);
	expect((await plane.programmes.patchSession(sessionId, 'a=end-of-candidates\r\n')).etag).toBe(etag);
	expect(new Set(listener.voices.flatMap(({ audio }) => audio.map(({ csrc }) => csrc))).size).toBe(SPEAKERS);
	for (const { flaws, rtcpPackets } of listener.voices) {
		expect(flaws).toEqual(FLAWLESS); // ssrcChanges among them: the same three streams all along.
		expect(rtcpPackets).toBe(0);
	}
	expect(shard.stats?.joinsTotal).toBe(1);
});
