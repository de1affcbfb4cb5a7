import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { figure } from '../support/figure.ts';
import { MediaPlane } from '../support/media-plane.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { FLAWLESS } from '../support/rtc/voice-record.ts';
import { WeriftListener } from '../support/rtc/werift-listener.ts';
import { relentlessSpeech, type SpokenAudio } from '../support/speech/speech.ts';

const MEDIA_PORT = 25_300;
const CONNECT_TIMEOUT_MS = 1_500;

let plane: MediaPlane;
let audio: SpokenAudio;

beforeAll(async () => {
	[plane, audio] = await Promise.all([MediaPlane.start({ mediaPort: MEDIA_PORT, connectTimeoutMs: CONNECT_TIMEOUT_MS, iceConsentTimeoutSeconds: 5 }), relentlessSpeech('bass')]);
});
afterAll(() => plane.close());

/** Resolves when the node's own count of the room is this. */
async function listenersAre(roomId: string, count: number): Promise<void> {
	while (plane.programmes.listenersIn(roomId) !== count) {
		await once(plane.programmes, 'counts', { signal: AbortSignal.timeout(10_000) });
	}
}

it('a session that never connects is taken away, and one that does stays', async () => {
	const room = await plane.room();
	const { listener } = await plane.listen(room);
	const absent = new RtcListener();
	const { sessionId } = await plane.programmes.listen(room, await absent.offer());
	const offeredAtMs = performance.now();
	await listenersAre(room.id, 2);
	await listenersAre(room.id, 1);
	figure('an abandoned session is gone from the counts after', performance.now() - offeredAtMs);
	await expect(plane.programmes.closeSession(sessionId)).rejects.toMatchObject({ code: 'session_not_found' });
	expect(listener.state).toBe('connected');
	absent.close();
});

it('DELETE ends a session at the client too, and only once', async () => {
	const room = await plane.room();
	const { listener, sessionId } = await plane.listen(room);
	await plane.programmes.closeSession(sessionId);
	await listener.closed();
	await expect(plane.programmes.closeSession(sessionId)).rejects.toMatchObject({ code: 'session_not_found' });
});

it('a client that leaves without a word is missed, by DTLS or by ICE consent, and counted out', async () => {
	const room = await plane.room();
	const { listener, sessionId } = await plane.listen(room);
	await listenersAre(room.id, 1);
	listener.close();
	await listenersAre(room.id, 0);
	await expect(plane.programmes.patchSession(sessionId, 'a=end-of-candidates\r\n')).rejects.toMatchObject({ code: 'session_not_found' });
});

it('a session that is not there, or not even an id, is not found', async () => {
	for (const id of [`1-${'0'.repeat(32)}`, `7-${'0'.repeat(32)}`, '1', '', '../1', `1-${'g'.repeat(32)}`]) {
		await expect(plane.programmes.closeSession(id)).rejects.toMatchObject({ code: 'session_not_found' });
		await expect(plane.programmes.patchSession(id, 'a=end-of-candidates\r\n')).rejects.toMatchObject({ code: 'session_not_found' });
	}
});

it('trickle is taken with the session\'s ETag, refused with another, and rubbish with a clear error', async () => {
	const room = await plane.room();
	const { listener, sessionId, etag } = await plane.listen(room);
	const trickle = 'm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:voice-0\r\na=candidate:1 1 udp 2114977791 192.0.2.1 50000 typ host\r\n';
	expect(await plane.programmes.patchSession(sessionId, trickle, etag)).toEqual({ etag });
	expect(await plane.programmes.patchSession(sessionId, trickle)).toEqual({ etag });
	await expect(plane.programmes.patchSession(sessionId, trickle, 'another')).rejects.toMatchObject({ code: 'precondition_failed' });
	for (const rubbish of ['', 'nonsense', 'a=ice-ufrag:abcd\r\n', `a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n`, 'a=candidate:x\r\n', 'a'.repeat(100_000)]) {
		await expect(plane.programmes.patchSession(sessionId, rubbish)).rejects.toMatchObject({ code: 'invalid_fragment' });
	}
	expect(listener.state).toBe('connected');
});

it('a client restarts ICE and hears on without a gap in the stream', async () => {
	const room = await plane.room();
	const { speaker } = await plane.speak(room, 4);
	speaker.talk(audio);
	let session = { sessionId: '', etag: '' };
	const listener = await WeriftListener.join(async (offer) => {
		const { sdp, ...made } = await plane.programmes.listen(room, offer);
		session = made;
		return sdp;
	});
	await listener.heard(4);

	let etag = '';
	const { before, after } = await listener.restartIce(async (fragment) => {
		const result = await plane.programmes.patchSession(session.sessionId, fragment, '*');
		etag = result.etag;
		return result.fragment ?? '';
	});
	expect(after).not.toBe(before);
	expect(etag).not.toBe(session.etag);
	await expect(plane.programmes.patchSession(session.sessionId, 'a=end-of-candidates\r\n', session.etag)).rejects.toMatchObject({ code: 'precondition_failed' });
	await listener.heard(4);
	await listener.heard(4);
	expect(listener.state).toBe('connected');
	expect(listener.voices[0]?.flaws).toEqual(FLAWLESS);
	await listener.close();
});

it('a client that can use TCP alone hears the room', async () => {
	const room = await plane.room();
	const { speaker } = await plane.speak(room, 4);
	speaker.talk(audio);
	const listener = await WeriftListener.join(async (offer) => (await plane.programmes.listen(room, offer)).sdp, { tcpOnly: true });
	await listener.heard(4);
	expect(listener.transport?.toLowerCase()).toBe('tcp');
	expect(listener.voices[0]?.flaws).toEqual(FLAWLESS);
	await listener.close();
});

it('a room that ends takes its listeners\' sessions with it', async () => {
	const room = await plane.room();
	const { listener, sessionId } = await plane.listen(room);
	await plane.programmes.roomChanged({ ...room, state: 'ended' });
	await listener.closed();
	await expect(plane.programmes.closeSession(sessionId)).rejects.toMatchObject({ code: 'session_not_found' });
});
