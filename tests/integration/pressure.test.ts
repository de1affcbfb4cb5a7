import { afterAll, beforeAll, expect, it } from 'vitest';
import { MediaPlane } from '../support/media-plane.ts';
import { differenceInSpeech } from '../support/rtc/same-speech.ts';
import { FLAWLESS } from '../support/rtc/voice-record.ts';
import { relentlessSpeech, type SpokenAudio } from '../support/speech/speech.ts';

/** Of effort: what counts as pressure. Moved by the tests, since no audience that fits here brings a shard to its limit. */
let mark = Number.POSITIVE_INFINITY;
let plane: MediaPlane;
let speech: SpokenAudio;

beforeAll(async () => {
	[plane, speech] = await Promise.all([
		MediaPlane.start({ mediaPort: 23_700, listenerShards: 1, pressure: { packing: true, events: true, riseAt: () => mark } }),
		relentlessSpeech('alto'),
	]);
});
afterAll(() => plane.close());

it('a pressed shard packs more and more, and less again when it has its ease, without a flaw in anybody’s stream', { timeout: 90_000 }, async () => {
	const rooms = { auto: await plane.room({ packingMs: 'auto' }), fixed: await plane.room({ packingMs: 20 }) };
	const staged = { auto: await plane.speak(rooms.auto, 7), fixed: await plane.speak(rooms.fixed, 8) };
	staged.auto.speaker.talk(speech);
	staged.fixed.speaker.talk(speech);
	const people = {
		auto: (await plane.listen(rooms.auto)).listener,
		/** These take no more, and say so. */
		asked: (await plane.listen(rooms.auto, { packingMs: 20 })).listener,
		maxptime: (await plane.listen(rooms.auto, { maxptime: 60 })).listener,
		fixed: (await plane.listen(rooms.fixed)).listener,
	};
	await Promise.all(Object.values(people).map((listener) => listener.morePackets(20)));
	const longestMs = (listener: (typeof people)['auto'], sinceMs = 0) => Math.max(...listener.voices.flatMap(({ audio }) => audio.filter(({ atMs }) => atMs >= sinceMs).map(({ durationMs }) => durationMs)));
	expect(longestMs(people.auto)).toBe(20);

	const pressedMs = performance.now();
	mark = 0;
	const first = await people.auto.packet('a packet of more than 20 ms', ({ durationMs }) => durationMs > 20);
	expect(first.atMs - pressedMs).toBeLessThan(4_000);
	await people.auto.packet('a packet of 120 ms', ({ durationMs }) => durationMs === 120, { timeoutMs: 20_000 });
	await people.auto.morePackets(10);
	const { pressure } = plane.programmes.shardReports().find(({ role }) => role === 'listener') ?? {};
	expect(pressure).toMatchObject({ packingFloorMs: 120, reason: expect.stringMatching(/^(processor|packets|lag)$/), since: expect.any(String) });
	// Somebody who joins now has it from the first packet on.
	const late = (await plane.listen(rooms.auto)).listener;
	await late.morePackets(5);
	expect(new Set(late.voices.flatMap(({ audio }) => audio.slice(1).map(({ durationMs }) => durationMs)))).toEqual(new Set([120]));
	await expect.poll(() => plane.programmes.eventCadence, { timeout: 20_000 }).toBe(4);

	mark = Number.POSITIVE_INFINITY;
	const easedMs = performance.now();
	await people.auto.packet('packets of 60 ms again', ({ durationMs, dtx }) => durationMs === 60 && !dtx, { sinceMs: easedMs + 200, timeoutMs: 30_000 });
	await people.auto.morePackets(20);
	expect(plane.programmes.pressureCounts).toContainEqual(expect.objectContaining({ what: 'packing', direction: 'down', reason: 'calm' }));

	expect(longestMs(people.asked)).toBe(20);
	expect(longestMs(people.maxptime)).toBe(60);
	expect(longestMs(people.fixed)).toBe(20);
	for (const [who, listener] of Object.entries({ ...people, late })) {
		expect(listener.voices[0]?.flaws, who).toEqual(FLAWLESS);
		const { speaker } = who === 'fixed' ? staged.fixed : staged.auto;
		expect(differenceInSpeech(listener.voices[0]?.frames() ?? [], speaker.sent, { fromOnset: false }), who).toBeUndefined();
	}
});
