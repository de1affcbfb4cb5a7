import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { figure } from '../support/figure.ts';
import { MediaPlane } from '../support/media-plane.ts';
import { FLAWLESS } from '../support/rtc/voice-record.ts';
import { relentlessSpeech } from '../support/speech/speech.ts';

const STAGE = 0;
const NUMBER = 21;
const HELD_UP_MS = 200;
const TIMES = 5;
/** Of a speaker who sends every 20 ms. */
const OWN_PAUSE_MS = 60;

let plane: MediaPlane;
beforeAll(async () => {
	plane = await MediaPlane.start({ mediaPort: 21_900 });
});
afterAll(() => plane.close());

// SIGSTOP and SIGCONT: what a busy neighbour does to a host.
it('a stage shard that stood still for a moment takes nobody for silent: all that was said comes, and nothing is put in between', async () => {
	const room = await plane.room();
	const { speaker } = await plane.speak(room, NUMBER);
	speaker.talk(await relentlessSpeech('alto'));
	const { listener } = await plane.listen(room);
	await listener.heard(NUMBER);
	await listener.morePackets(25);
	const stage = plane.supervisor.shard(STAGE)?.pid ?? 0;
	const sinceMs = performance.now();
	for (let times = 0; times < TIMES; times++) {
		process.kill(stage, 'SIGSTOP');
		await sleep(HELD_UP_MS);
		process.kill(stage, 'SIGCONT');
		await listener.morePackets(25);
	}
	const voice = listener.voices.find(({ packets }) => packets.some(({ csrc, dtx }) => csrc === NUMBER && !dtx));
	const packets = voice?.packets.filter(({ atMs }) => atMs >= sinceMs) ?? [];
	figure('longest time without a packet', voice?.largestGapMs({ sinceMs }) ?? 0);
	expect(voice?.flaws).toEqual(FLAWLESS);
	// A speaker that was itself held up, by the machine, was silent; what such a pause puts in does not count.
	const pauses = speaker.sent.slice(1).flatMap(({ atMs }, index) => {
		const sinceLastMs = atMs - (speaker.sent[index]?.atMs ?? 0);
		return sinceLastMs > OWN_PAUSE_MS ? [{ fromMs: atMs - sinceLastMs, untilMs: atMs + HELD_UP_MS }] : [];
	});
	const told = packets.map(({ atMs, dtx, timestamp, durationMs }, index) => {
		const before = packets[index - 1];
		return { atMs, dtx, skippedMs: before ? ((timestamp - before.timestamp) >>> 0) / 48 - before.durationMs : 0, durationMs };
	});
	const putIn = told.filter(({ atMs, dtx, skippedMs }) => (dtx || skippedMs !== 0) && !pauses.some(({ fromMs, untilMs }) => atMs >= fromMs && atMs <= untilMs));
	expect(putIn, `the speaker's own pauses: ${JSON.stringify(pauses)}`).toEqual([]);
});
