import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Room } from '../../server/rooms/room.ts';
import { MediaPlane, type SeatedListener, type StagedSpeaker } from '../support/media-plane.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { differenceInSpeech } from '../support/rtc/same-speech.ts';
import { FLAWLESS } from '../support/rtc/voice-record.ts';
import { CHROMIUM_PUBLISH, LISTEN_OFFERS, PUBLISH_OFFERS, SAFARI_ONE_VOICE } from '../support/sdp-fixtures.ts';
import { relentlessSpeech } from '../support/speech/speech.ts';

let plane: MediaPlane;
let room: Room;
let seat: SeatedListener;
let staged: StagedSpeaker;

beforeAll(async () => {
	const [started, audio] = await Promise.all([MediaPlane.start({ mediaPort: 25_600, connectTimeoutMs: 2_000, maxListenersPerShard: 200 }), relentlessSpeech('alto')]);
	plane = started;
	room = await plane.room();
	seat = await plane.listen(room);
	staged = await plane.speak(room, 1);
	staged.speaker.talk(audio);
	await seat.listener.heard(1);
});
afterAll(() => plane.close());

/** The same shards with the same workers, and a listener who missed nothing. */
async function expectUnharmed(pids: readonly (number | undefined)[]): Promise<void> {
	await seat.listener.morePackets(25);
	expect(processIds()).toEqual(pids);
	expect(seat.listener.voices.map(({ flaws }) => flaws)).toEqual([FLAWLESS, FLAWLESS, FLAWLESS]);
	expect(differenceInSpeech(seat.listener.voices[0]?.frames() ?? [], staged.speaker.sent)).toBeUndefined();
}
const processIds = (): (number | undefined)[] => plane.supervisor.shards().flatMap(({ pid, workerPid }) => [pid, workerPid]);

const set = (sdp: string, line: RegExp, text: string): string => sdp.replaceAll(line, text === '' ? '' : `${text}\r\n`);
const FINGERPRINT = /a=fingerprint:.*\r\n/g;
const PWD = /a=ice-pwd:.*\r\n/g;
const UFRAG = /a=ice-ufrag:.*\r\n/g;

/** What has killed or confused media servers, applied to an offer that is good otherwise. */
const spoiled = (good: string): string[] => [
	'',
	'\0',
	'v=0\r\n',
	'{"sdp":"v=0"}',
	'v=0\r\n'.repeat(20_000),
	good.slice(0, good.length / 2),
	good.replaceAll('\r\n', '\n\n'),
	`${good}a=${'x'.repeat(300_000)}\r\n`,
	set(good, FINGERPRINT, ''),
	set(good, FINGERPRINT, 'a=fingerprint:'),
	set(good, FINGERPRINT, 'a=fingerprint:sha-256 '),
	set(good, FINGERPRINT, 'a=fingerprint:sha-256 ZZ:ZZ'),
	set(good, FINGERPRINT, `a=fingerprint:sha-256 ${'AB:'.repeat(5_000)}AB`),
	set(good, FINGERPRINT, 'a=fingerprint:md5 AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD'),
	set(good, PWD, ''),
	set(good, PWD, 'a=ice-pwd:'),
	set(good, PWD, 'a=ice-pwd:short'),
	set(good, PWD, `a=ice-pwd:${'p'.repeat(5_000)}`),
	set(good, UFRAG, ''),
	set(good, UFRAG, 'a=ice-ufrag:ab'),
	set(good, UFRAG, `a=ice-ufrag:${'u'.repeat(5_000)}`),
	...['0', '72', '128', '255', '999', '-1', '1e3', '4294967407', 'NaN'].map((pt) => good.replaceAll(/\b111\b/g, pt)),
	good.replaceAll('opus/48000/2', 'opus/0/2'),
	good.replaceAll('opus/48000/2', 'PCMU/8000'),
	good.replaceAll(/a=setup:\w+/g, 'a=setup:holdconn'),
	good.replaceAll(/a=mid:\S+/g, `a=mid:${'m'.repeat(1_000)}`),
	good.replaceAll('m=audio', 'm=video'),
];

it('bad offers to listen are refused with a reason; nobody\'s audio is harmed', async () => {
	const pids = processIds();
	const reasons = new Set<string>();
	for (const offer of [...spoiled(SAFARI_ONE_VOICE), ...Object.values(PUBLISH_OFFERS).filter((sdp) => !sdp.includes('sendrecv'))]) {
		const refusal: unknown = await plane.programmes.listen(room, offer).then(
			() => 'accepted',
			(error: unknown) => error,
		);
		expect(refusal, JSON.stringify(offer.slice(0, 2_000))).toMatchObject({ code: 'invalid_offer', extra: { reason: expect.any(String) } });
		reasons.add((refusal as { extra: { reason: string } }).extra.reason);
	}
	expect(reasons.size).toBeGreaterThan(5);
	await expectUnharmed(pids);
});

it('bad offers to publish are refused with a reason, and the speaker who talks goes on', async () => {
	const pids = processIds();
	await plane.programmes.addSpeaker(room, 'intruder', 2);
	for (const offer of [...spoiled(CHROMIUM_PUBLISH), ...Object.values(LISTEN_OFFERS)]) {
		await expect(plane.programmes.publish(room, 'intruder', offer), JSON.stringify(offer.slice(0, 2_000))).rejects.toMatchObject({ code: 'invalid_offer' });
	}
	await expect(plane.programmes.publish(room, 'nobody', CHROMIUM_PUBLISH)).rejects.toMatchObject({ code: 'participant_not_found' });
	await expectUnharmed(pids);
});

it('good offers of clients that never come cost only their place, for a while', async () => {
	const pids = processIds();
	for (let round = 0; round < 5; round++) {
		await Promise.all(Object.values(LISTEN_OFFERS).map((offer) => plane.programmes.listen(room, offer)));
	}
	await expect.poll(() => plane.programmes.listenersIn(room.id), { timeout: 10_000 }).toBeGreaterThan(5);
	await expectUnharmed(pids);
	await expect.poll(() => plane.programmes.listenersIn(room.id), { timeout: 10_000 }).toBe(1);
});

it('a client with another certificate than it offered hears nothing and loses its session', async () => {
	const pids = processIds();
	const liar = new RtcListener({
		rewriteOffer: (sdp) => sdp.replace(/a=fingerprint:sha-256 ../, (start) => `${start.slice(0, -2)}${start.endsWith('00') ? '01' : '00'}`),
	});
	let sessionId = '';
	// The client may think that it is connected until the server has checked its certificate.
	await liar
		.connect(async (offer) => {
			const session = await plane.programmes.listen(room, offer);
			sessionId = session.sessionId;
			return session.sdp;
		})
		.catch(() => undefined);
	const code = (): Promise<unknown> => plane.programmes.patchSession(sessionId, 'a=end-of-candidates\r\n').catch((error: { code: string }) => error.code);
	await expect.poll(code, { timeout: 10_000 }).toBe('session_not_found');
	expect(liar.voices.flatMap(({ packets }) => packets)).toEqual([]);
	liar.close();
	await expectUnharmed(pids);
});
