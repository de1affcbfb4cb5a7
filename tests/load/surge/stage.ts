// The process of those who speak: they are heard by all, so nothing else may hold them up.
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../../support/cluster/monotonic.ts';
import { RtcSpeaker } from '../../support/rtc/speaker.ts';
import { longSpeech, relentlessSpeech, type SpokenAudio, type VoiceName } from '../../support/speech/speech.ts';
import { Entrance } from './entrance.ts';
import { HttpConnection } from './http-connection.ts';
import type { FromStage, SpeakerPlan, ToStage } from './messages.ts';

const PATIENCE_MS = 20_000;
const LOOK_MS = 250;
const LEAVE_TIMEOUT_MS = 3_000;

process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));

const tell = (message: FromStage): void => void process.send?.(message);

let settings: Extract<ToStage, { kind: 'stage' }> | undefined;
let closing = false;
const leaving: (() => Promise<void>)[] = [];

const speechOf = (voice: VoiceName, constant: boolean): Promise<SpokenAudio> => (constant ? relentlessSpeech(voice) : longSpeech(voice));

async function speak({ name, token, voice, atMs, forMs }: SpeakerPlan): Promise<void> {
	const { publishUrl, bindAddress, constantSpeech } = settings ?? { publishUrl: '', bindAddress: '', constantSpeech: false };
	const audio = await speechOf(voice, constantSpeech);
	await sleep(Math.max(0, atMs - monotonicMs()));
	const wantedAtMs = Math.max(atMs, 0) || monotonicMs();
	const connection = new HttpConnection();
	let sessionUrl: string | undefined;
	const leave = async (): Promise<void> => {
		if (sessionUrl !== undefined) {
			await connection.request('DELETE', new URL(sessionUrl), { headers: { authorization: `Bearer ${token}` }, timeoutMs: LEAVE_TIMEOUT_MS }).catch(() => undefined);
		}
		sessionUrl = undefined;
	};
	const speaker = new RtcSpeaker(
		async (offer) => {
			const deadlineAtMs = monotonicMs() + PATIENCE_MS;
			const entrance = new Entrance({
				url: new URL(publishUrl), token, connection, nowMs: monotonicMs, random: Math.random,
				sleep: (ms) => sleep(ms), deadlineMs: () => deadlineAtMs, onRefusal: () => undefined,
			});
			const seat = await entrance.enter(offer);
			({ sessionUrl } = seat);
			return seat.sdp;
		},
		{ bindAddress },
	);
	leaving.push(async () => {
		speaker.close();
		await leave();
		connection.close();
	});
	// On air from the first moment it is connected.
	speaker.talk(audio, { fromFrame: 25 });
	try {
		await speaker.connect();
		if (forMs !== undefined) setTimeout(() => speaker.silence(), forMs);
		tell({ kind: 'spoke', speaker: { name, wantedAtMs, connectedAtMs: monotonicMs(), error: undefined } });
	} catch (error) {
		tell({ kind: 'spoke', speaker: { name, wantedAtMs, connectedAtMs: undefined, error: error instanceof Error ? error.message : String(error) } });
		return;
	}
	for (;;) {
		await sleep(LOOK_MS);
		if (closing) return;
		if (speaker.state === 'connected' || speaker.state === 'connecting') continue;
		tell({ kind: 'lost', name, atMs: monotonicMs() });
		await leave();
		await speaker.connect().catch(() => undefined);
	}
}

process.on('message', (message: ToStage) => {
	switch (message.kind) {
		case 'stage':
			settings = message;
			// Read, or even made, now: in mid-storm it would take processor time from those who come.
			void Promise.all(message.voices.map((voice) => speechOf(voice, message.constantSpeech))).then(() => tell({ kind: 'ready' }));
			break;
		case 'speak':
			speak(message.speaker).catch((error: unknown) =>
				tell({ kind: 'spoke', speaker: { name: message.speaker.name, wantedAtMs: message.speaker.atMs, connectedAtMs: undefined, error: String(error) } }),
			);
			break;
		case 'close':
			closing = true;
			void Promise.all(leaving.map((leave) => leave())).then(() => process.exit(0));
	}
});
