import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { RostrumProcess } from '../process/rostrum-process.ts';
import { RtcSpeaker } from '../rtc/speaker.ts';
import { until } from '../cluster/until.ts';

export interface Replay {
	id: string;
	state: 'recording' | 'processing' | 'ready' | 'failed';
	title: string;
	startedAt: string;
	endedAt?: string;
	expiresAt?: string;
	durationMs: number;
	incomplete: boolean;
	speakers: { number: number; name: string; spokeMs: number; turns: [number, number][] }[];
	chapters: { startMs: number; endMs: number; number: number; name: string }[];
	audio: { url: string; type: string; bytes: number }[];
	captions: { url: string } | null;
	problem?: { code: string; since: string; cause?: string };
}

const SAMPLE_RATE = 48_000;

/** Somebody on the stage of a room, by WHIP. */
export async function speakIn(server: RostrumProcess, room: string, name: string): Promise<RtcSpeaker> {
	const { token } = await server.token(room, 'speaker', name, { subject: name.toLowerCase() });
	return RtcSpeaker.publish(async (offer) => {
		const answer = await fetch(new URL(`/v1/rooms/${room}/publish`, server.url), { method: 'POST', body: offer, headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` } });
		if (answer.status !== 201) {
			throw new Error(`${answer.status} ${await answer.text()}`);
		}
		return answer.text();
	});
}

export const replaysOf = async (server: RostrumProcess, room: string): Promise<Replay[]> => (await server.json<{ recordings: Replay[] }>('GET', `/v1/rooms/${room}/recordings`)).recordings;
export const replayOf = (server: RostrumProcess, room: string, id: string): Promise<Replay> => server.json('GET', `/v1/rooms/${room}/recordings/${id}`);

/** Resolves when it can be heard. */
export async function whenReady(server: RostrumProcess, room: string, id: string, withinMs = 40_000): Promise<Replay> {
	await until('the replay is ready', withinMs, async () => {
		const { state } = await replayOf(server, room, id);
		return state === 'ready' || state;
	});
	return replayOf(server, room, id);
}

/** Resolves when so much is on disk of what is being recorded, over all its parts. */
export async function whenRecorded(sizes: () => Promise<number>, bytes: number): Promise<void> {
	await until('something is on disk', 20_000, async () => (await sizes()) >= bytes);
}

/** What a player hears: mono, 48 kHz. @param piece all, unless it is told which; players seek, too */
export async function listenTo(source: URL | string, piece?: { fromMs: number; lengthMs: number }): Promise<Int16Array> {
	const seek = piece ? ['-ss', String(piece.fromMs / 1_000), '-t', String(piece.lengthMs / 1_000)] : [];
	const child = spawn('ffmpeg', ['-v', 'error', ...seek, '-i', String(source), '-f', 's16le', '-ac', '1', '-ar', String(SAMPLE_RATE), 'pipe:1'], { stdio: ['ignore', 'pipe', 'inherit'] });
	const chunks: Buffer[] = [];
	child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
	await once(child, 'close');
	const bytes = Buffer.concat(chunks);
	return Int16Array.from({ length: bytes.length >> 1 }, (_, index) => bytes.readInt16LE(index * 2));
}

/** A piece of it. */
export const between = (pcm: Int16Array, fromMs: number, toMs: number): Int16Array => pcm.slice((fromMs / 1_000) * SAMPLE_RATE, (toMs / 1_000) * SAMPLE_RATE);
