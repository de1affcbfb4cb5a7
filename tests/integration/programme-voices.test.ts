import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Talker } from '../../sfu/contract/media-types.ts';
import type { Room } from '../../server/rooms/room.ts';
import { figure } from '../support/figure.ts';
import { MediaPlane, type StagedSpeaker } from '../support/media-plane.ts';
import type { RtcListener } from '../support/rtc/listener.ts';
import { differenceInSpeech } from '../support/rtc/same-speech.ts';
import { FLAWLESS } from '../support/rtc/voice-record.ts';
import { relentlessSpeech, type SpokenAudio, speech, tone } from '../support/speech/speech.ts';

let plane: MediaPlane;
let alto: SpokenAudio;
let altoShort: SpokenAudio;
let bassShort: SpokenAudio;
let steady: SpokenAudio;

beforeAll(async () => {
	[plane, alto, altoShort, bassShort, steady] = await Promise.all([
		MediaPlane.start({ mediaPort: 25_100 }),
		relentlessSpeech('alto'),
		speech('Good morning to you all.', 'alto'),
		speech('And a good morning to you.', 'bass'),
		tone(440, 5),
	]);
});
afterAll(() => plane.close());

const voicesWith = (listener: RtcListener, csrc: number): number =>
	listener.voices.filter(({ packets }) => packets.some((packet) => packet.csrc === csrc && !packet.dtx)).length;

it('the speaker\'s number tells who talks, and a change of talkers costs a listener nothing', async () => {
	const room = await plane.room();
	const { listener } = await plane.listen(room);
	const { listener: single } = await plane.listen(room, { voices: 1 });
	const alice = await plane.speak(room, 11);
	const bob = await plane.speak(room, 12);
	for (const { speaker } of [alice, bob]) {
		speaker.silence();
	}
	for (let turn = 0; turn < 2; turn++) {
		const askedAtMs = performance.now();
		const said = alice.speaker.say(altoShort);
		const heard = await listener.heard(11, { sinceMs: askedAtMs });
		figure('from a speaker\'s first frame to a listener', heard.atMs - askedAtMs);
		await said;
		const answered = bob.speaker.say(bassShort);
		await listener.heard(12);
		await answered;
	}

	expect(single.voices[0]?.csrcHistory.map(({ csrc }) => csrc)).toEqual([11, 12, 11, 12]);
	expect(voicesWith(listener, 11)).toBe(1);
	expect(voicesWith(listener, 12)).toBe(1);
	for (const { flaws } of [...listener.voices, ...single.voices]) {
		expect(flaws).toEqual(FLAWLESS);
	}
});

it('three voices carry the first three of five talkers, and whoever waits takes over as one stops', async () => {
	const room = await plane.room();
	const { listener } = await plane.listen(room);
	const staged: StagedSpeaker[] = [];
	for (const number of [1, 2, 3, 4, 5]) {
		staged.push(await plane.speak(room, number));
	}
	for (const { speaker, number } of staged.slice(0, 3)) {
		speaker.talk(steady);
		await listener.heard(number);
	}
	let told: readonly Talker[] = [];
	plane.programmes.on('talkers', ({ roomId, talkers }) => {
		told = roomId === room.id ? talkers : told;
	});
	for (const { speaker } of staged.slice(3)) {
		speaker.talk(steady);
	}
	// All are equally loud, so nobody has a claim to another's voice, for however long.
	await listener.morePackets(3 * 75);
	expect(new Set(listener.voices.flatMap(({ audio }) => audio.map(({ csrc }) => csrc)))).toEqual(new Set([1, 2, 3]));
	expect(told).not.toContainEqual(expect.objectContaining({ number: 4 }));

	staged[1]?.speaker.stop();
	const next = await listener.packet('the fourth or fifth speaker', ({ csrc }) => csrc === 4 || csrc === 5);
	const voice = listener.voices.findIndex(({ packets }) => packets.includes(next));
	await expect.poll(() => told, { timeout: 2_000 }).toContainEqual({ number: next.csrc, voice });
	for (const { flaws } of listener.voices) {
		expect(flaws).toEqual(FLAWLESS);
	}
});

it('a source without level extension is heard as whoever else', async () => {
	const room = await plane.room();
	const { listener } = await plane.listen(room);
	const { speaker } = await plane.speak(room, 9, { levels: false });
	speaker.talk(alto);
	await listener.heard(9);
	await listener.morePackets(50);
	expect(differenceInSpeech(listener.voices[0]?.frames({ csrc: 9 }) ?? [], speaker.sent)).toBeUndefined();
});

it('nobody hears a muted speaker, whatever their client sends', async () => {
	const room = await plane.room();
	const { listener } = await plane.listen(room);
	const loud = await plane.speak(room, 1);
	const muted = await plane.speak(room, 2);
	loud.speaker.talk(steady);
	muted.speaker.talk(alto);
	await listener.heard(2);
	await plane.programmes.setMuted(room.id, muted.participantId, true);
	const mutedAtMs = performance.now();
	await listener.morePackets(50);
	// What was on its way may still come.
	expect(listener.voices.flatMap((voice) => voice.frames({ csrc: 2, sinceMs: mutedAtMs + 100 }))).toEqual([]);
	await plane.programmes.setMuted(room.id, muted.participantId, false);
	await listener.heard(2);
});

it('off air nothing of the stage is heard, and on air everything from the next packet on', async () => {
	const open: Partial<Room> = { state: 'open' };
	const room = await plane.room(open);
	const { listener } = await plane.listen(room);
	const { speaker } = await plane.speak(room, 5);
	speaker.talk(steady);
	await listener.packet('a keep-alive', ({ dtx }) => dtx, { sinceMs: performance.now() + 1_000 });
	expect(listener.voices.flatMap(({ audio }) => audio)).toEqual([]);
	await plane.programmes.roomChanged({ ...room, state: 'live' });
	const liveAtMs = performance.now();
	figure('from going live to the first audio', (await listener.heard(5)).atMs - liveAtMs);
});
