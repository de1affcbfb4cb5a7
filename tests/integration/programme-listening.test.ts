import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PackingMs } from '../../sfu/contract/media-types.ts';
import { figure } from '../support/figure.ts';
import { MediaPlane } from '../support/media-plane.ts';
import type { RtcListenerOptions } from '../support/rtc/listener.ts';
import { differenceInSpeech } from '../support/rtc/same-speech.ts';
import { FLAWLESS, type VoiceRecord } from '../support/rtc/voice-record.ts';
import { relentlessSpeech, type SpokenAudio } from '../support/speech/speech.ts';

let plane: MediaPlane;
let speech: SpokenAudio;

beforeAll(async () => {
	[plane, speech] = await Promise.all([MediaPlane.start({ mediaPort: 25_000, thresholdListeners: 3 }), relentlessSpeech('alto')]);
});
afterAll(() => plane.close());

/** The duration that most packets with audio have. */
function usualDurationMs(voice: VoiceRecord): number {
	const counts = new Map<number, number>();
	for (const { durationMs } of voice.audio) {
		counts.set(durationMs, (counts.get(durationMs) ?? 0) + 1);
	}
	return [...counts].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 0;
}
const longestMs = (voice: VoiceRecord): number => Math.max(...voice.audio.map(({ durationMs }) => durationMs));

it.concurrent.each<PackingMs>([20, 40, 60, 120])('a listener hears a speaker byte for byte and in order at a packing of %i ms', async (packingMs) => {
	const room = await plane.room({ packingMs });
	const { listener } = await plane.listen(room);
	const { speaker } = await plane.speak(room, 7);
	speaker.talk(speech);
	await listener.heard(7, { sinceMs: 0 });
	await listener.morePackets(2_400 / packingMs);

	const voice = listener.voices[0];
	expect(voice?.csrcHistory.map(({ csrc }) => csrc)).toEqual([7]);
	expect(differenceInSpeech(voice?.frames() ?? [], speaker.sent)).toBeUndefined();
	expect(voice && usualDurationMs(voice)).toBe(packingMs);
	expect(voice && longestMs(voice)).toBe(packingMs);
	for (const { flaws } of listener.voices) {
		expect(flaws).toEqual(FLAWLESS);
	}
	// The voices nobody has are kept alive, and silent.
	for (const silent of listener.voices.slice(1)) {
		expect(silent.keepAlives).toBeGreaterThan(0);
		expect(silent.audio).toEqual([]);
	}
	figure(`packing ${packingMs} ms: connected in`, listener.connectMs);
	figure(`packing ${packingMs} ms: largest gap between packets`, voice?.largestGapMs({ audioOnly: true }));
});

it('audio is there at once for somebody who joins in mid-speech', async () => {
	const room = await plane.room();
	const { speaker } = await plane.speak(room, 3);
	speaker.talk(speech);
	const { listener: first } = await plane.listen(room); // Opens the edge.
	await first.heard(3);
	const { listener } = await plane.listen(room);
	await listener.heard(3);
	await listener.morePackets(50);
	figure('from the offer to connected', listener.connectMs);
	figure('from the offer to the first audio', listener.firstAudioMs);
	expect(differenceInSpeech(listener.voices[0]?.frames() ?? [], speaker.sent, { fromOnset: false })).toBeUndefined();
});

it.concurrent.each<[string, RtcListenerOptions & { packingMs?: PackingMs }, { usualMs: number; payloadType: number }]>([
	['asks for packing of 20 ms', { packingMs: 20 }, { usualMs: 20, payloadType: 111 }],
	['asks for packing of 120 ms', { packingMs: 120 }, { usualMs: 120, payloadType: 111 }],
	['takes packets up to 20 ms (maxptime)', { maxptime: 20 }, { usualMs: 20, payloadType: 111 }],
	['takes packets up to 50 ms (maxptime)', { maxptime: 50 }, { usualMs: 40, payloadType: 111 }],
	['has Opus at 109, as Firefox', { payloadType: 109 }, { usualMs: 60, payloadType: 109 }],
	['has Opus at 96', { payloadType: 96 }, { usualMs: 60, payloadType: 96 }],
	['offers video and data as well', { withVideoAndData: true }, { usualMs: 60, payloadType: 111 }],
	['offers one audio section', { voices: 1 }, { usualMs: 60, payloadType: 111 }],
	['offers fewer audio sections than there are voices', { voices: 2 }, { usualMs: 60, payloadType: 111 }],
	['offers more audio sections than there are voices', { voices: 5 }, { usualMs: 60, payloadType: 111 }],
])('a client that %s hears the room of 60 ms packing', async (_what, options, { usualMs, payloadType }) => {
	const room = await plane.room({ packingMs: 60 });
	const { listener } = await plane.listen(room, options);
	const { speaker } = await plane.speak(room, 7);
	speaker.talk(speech);
	await listener.heard(7, { sinceMs: 0 });
	await listener.morePackets(1_440 / usualMs);

	const voice = listener.voices[0];
	expect(differenceInSpeech(voice?.frames() ?? [], speaker.sent)).toBeUndefined();
	expect(voice && usualDurationMs(voice)).toBe(usualMs);
	expect(new Set(voice?.packets.map((packet) => packet.payloadType))).toEqual(new Set([payloadType]));
	expect(voice?.flaws).toEqual(FLAWLESS);
});

it('packing follows the audience of a room without a flaw in anybody\'s stream', async () => {
	const room = await plane.room({ packingMs: 'auto' });
	const { speaker } = await plane.speak(room, 7);
	speaker.talk(speech);
	const { listener } = await plane.listen(room);
	await listener.heard(7);
	await listener.morePackets(10);
	expect(longestMs(listener.voices[0] as VoiceRecord)).toBe(20);

	const others = [await plane.listen(room), await plane.listen(room)];
	await listener.packet('a packet of 60 ms', ({ durationMs }) => durationMs === 60);
	for (const { listener: other, sessionId } of others) {
		await plane.programmes.closeSession(sessionId);
		other.close();
	}
	await listener.packet('a packet of 20 ms again', ({ durationMs, dtx }) => durationMs === 20 && !dtx, { sinceMs: performance.now() + 500 });
	await listener.morePackets(10);
	expect(listener.voices[0]?.flaws).toEqual(FLAWLESS);
	expect(differenceInSpeech(listener.voices[0]?.frames() ?? [], speaker.sent, { fromOnset: false })).toBeUndefined();
});
