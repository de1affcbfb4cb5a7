import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { figure } from '../support/figure.ts';
import { LinkRig, VOICES } from '../support/link-rig.ts';
import type { RtcListener } from '../support/rtc/listener.ts';
import { differenceInSpeech } from '../support/rtc/same-speech.ts';
import type { RtcSpeaker } from '../support/rtc/speaker.ts';
import { FLAWLESS, frameKeysOf } from '../support/rtc/voice-record.ts';
import { longSpeech, relentlessSpeech, type SpokenAudio } from '../support/speech/speech.ts';

const STAGES = [0, 1] as const;
const RELAY = 2;
const EDGE = 3;
const NUMBER = 31;
/** Frames of 20 ms. */
const SAID = 300;
/** What an edge allows an upstream before it says that it has stalled, with room for a busy machine. */
const NOTICED_MS = 2_500;

let rig: LinkRig;
let speech: SpokenAudio;
let relentless: SpokenAudio;
let rooms = 0;

beforeAll(async () => {
	[rig, speech, relentless] = await Promise.all([
		LinkRig.start({ mediaPort: 22_000, stageShards: 2, listenerShards: 2, spareShards: 1, linkAddress: { ip: '127.0.0.1' } }),
		longSpeech('alto'),
		relentlessSpeech('alto'),
	]);
});
afterEach(async () => {
	const roomId = `chain-${rooms}`;
	await Promise.all([
		...rig.supervisor.shards('stage').map((shard) => shard.request('origin.close', { roomId })),
		...rig.supervisor.shards('listener').map((shard) => shard.request('edge.close', { roomId, reason: 'the test is over' })),
	]);
});
afterAll(() => rig.close());

/** The first seconds of it; nothing but silence follows. */
const shortly = ({ frames, levelsDbov, ...audio }: SpokenAudio): SpokenAudio => ({ ...audio, frames: frames.slice(0, SAID), levelsDbov: levelsDbov.slice(0, SAID) });
/** Says it, and waits until the last of it has come to all. */
async function heardToTheEnd(speaker: RtcSpeaker, audio: SpokenAudio, listeners: readonly RtcListener[]): Promise<void> {
	const last = frameKeysOf(audio.frames.at(-1) ?? Buffer.alloc(0))[0] ?? '';
	const heard = Promise.all(listeners.map((listener) => listener.frame(last, { sinceMs: 0, timeoutMs: 20_000 })));
	await speaker.say(audio);
	await heard;
}

interface Chain {
	roomId: string;
	speaker: RtcSpeaker;
	/** On the edge behind the relay. */
	far: RtcListener;
	/** On the relay itself. */
	near: RtcListener;
	stage: { index: number };
}

const open = async (roomId: string, index: number) => rig.shard(index).request('origin.open', { roomId, voices: VOICES, onAir: true });
const openEdge = (roomId: string, index: number) => rig.shard(index).request('edge.open', { roomId, voices: VOICES, packingMs: 20 });

/** Origin → relay → edge, with a speaker on the one end and a listener on each of the others. */
async function chain({ srtp = false } = {}): Promise<Chain> {
	const roomId = `chain-${++rooms}`;
	const stage = { index: STAGES[0] as number };
	await Promise.all([open(roomId, stage.index), openEdge(roomId, RELAY), openEdge(roomId, EDGE)]);
	// The child first: a relay need not have an upstream to be one.
	await rig.link(roomId, RELAY, EDGE, { srtp });
	await rig.link(roomId, stage.index, RELAY, { srtp });
	const [far, near] = await Promise.all([rig.listen(roomId, EDGE), rig.listen(roomId, RELAY)]);
	const speaker = await rig.speak(roomId, NUMBER, () => stage.index);
	return { roomId, speaker, far, near, stage };
}

/** What was heard of what was said, in order; silence of a quiet room is left out. */
const framesOf = (listener: RtcListener, said: SpokenAudio) => {
	const keys = new Set(said.frames.flatMap(frameKeysOf));
	return listener.voices.flatMap((voice) => voice.frames({ csrc: NUMBER })).filter((key) => keys.has(key));
};
const expectFlawless = (listener: RtcListener) => expect(listener.voices.map(({ flaws }) => flaws)).toEqual([FLAWLESS, FLAWLESS, FLAWLESS]);

/** When each frame came, for those that are no two alike. */
const arrivals = (listener: RtcListener) => new Map(listener.voices.flatMap(({ audio }) => audio.flatMap(({ frames, atMs }) => frames.map((frame) => [frame, atMs] as const))));

describe('a relay', () => {
	it('passes real speech on byte for byte with its speaker\'s number, as an edge that hangs on the origin itself hears it', async () => {
		const { speaker, far, near } = await chain();
		const said = shortly(speech);
		await heardToTheEnd(speaker, said, [far, near]);
		// The director leaves out quiet frames where a busy machine held packets up; the two edges must agree whatever it did.
		const heard = framesOf(far, said);
		figure('frames said', said.frames.length, 'frames');
		figure('frames heard behind the relay', heard.length, 'frames');
		expect(heard).toEqual(framesOf(near, said));
		expect(heard.length).toBeGreaterThan(SAID * 0.8);
		expect(new Set(far.voices.flatMap(({ audio }) => audio.map(({ csrc }) => csrc)))).toEqual(new Set([NUMBER]));
		for (const listener of [far, near]) {
			expectFlawless(listener);
		}
		const atRelay = arrivals(near);
		const delays = [...arrivals(far)].flatMap(([frame, atMs]) => atMs - (atRelay.get(frame) ?? atMs)).toSorted((a, b) => a - b);
		figure('a relay adds, median', delays[delays.length >> 1]);
		figure('a relay adds, 99th percentile', delays[Math.floor(delays.length * 0.99)]);
	});

	it('costs little for every packet it passes on, and is seen in the figures of both ends', async () => {
		const { roomId, speaker, far } = await chain();
		const [quiet, quieter] = [await rig.stats(RELAY), await rig.stats(RELAY)];
		speaker.talk(relentless);
		await far.heard(NUMBER);
		const isMeasured = (stats: Awaited<ReturnType<LinkRig['stats']>>) => stats.links.some((link) => link.roomId === roomId && link.packetsTotal > 100);
		const [first, atEdge] = await Promise.all([rig.stats(RELAY, isMeasured), rig.stats(EDGE, isMeasured)]);
		const last = await rig.stats(RELAY);
		const packets = last.packetsReceivedTotal - first.packetsReceivedTotal;
		// Above what the silence cost, which is the shard's own timers and reports.
		const more = packets - (quieter.packetsReceivedTotal - quiet.packetsReceivedTotal);
		figure('packets a second that came to the relay', packets, 'packets');
		figure('of its Node process, each', ((last.nodeCpuRatio - quieter.nodeCpuRatio) * 1e6) / more, 'µs');
		figure('of its worker, each', ((last.workerCpuRatio - quieter.workerCpuRatio) * 1e6) / more, 'µs');
		// One voice and solo at 50 a second, the others silent.
		expect(packets).toBeGreaterThan(60);
		for (const { links } of [last, atEdge]) {
			const link = links.find((stats) => stats.roomId === roomId);
			figure('lag of the link', link?.lagMs);
			expect(link).toMatchObject({ lostTotal: 0 });
			expect(link?.silentMs).toBeLessThan(1_000);
			expect(link?.jitterMs).toBeLessThan(200);
			expect(link?.lagMs).toBeLessThan(1_000);
			expect(link?.lagMs).toBeGreaterThanOrEqual(0);
		}
		await rig.shard(RELAY).request('edge.close', { roomId, reason: 'the test is over' });
		expect((await rig.stats(RELAY)).links.filter((link) => link.roomId === roomId)).toEqual([]);
	});

	it('fetches nothing any more when the last edge behind it is gone and nobody listens', async () => {
		const roomId = `chain-${++rooms}`;
		await Promise.all([open(roomId, STAGES[0]), openEdge(roomId, RELAY), openEdge(roomId, EDGE)]);
		await rig.link(roomId, STAGES[0], RELAY);
		const idle = await rig.stats(RELAY);
		const { linkId } = await rig.link(roomId, RELAY, EDGE);
		const fetching = await rig.stats(RELAY, ({ packetsReceivedTotal }) => packetsReceivedTotal > idle.packetsReceivedTotal + 4);
		await rig.shard(RELAY).request('downstream.close', { roomId, linkId });
		const stopped = await rig.stats(RELAY);
		const later = await rig.stats(RELAY);
		expect(fetching.packetsReceivedTotal).toBeLessThanOrEqual(stopped.packetsReceivedTotal);
		expect(later.packetsReceivedTotal).toBe(stopped.packetsReceivedTotal);
	});
});

describe('when the origin of a relay dies', () => {
	it('the edge behind notices nothing of it but silence: no stalled link, the same session, streams without a flaw', async () => {
		const { roomId, speaker, far, stage } = await chain();
		speaker.talk(relentless);
		await far.heard(NUMBER);
		await far.morePackets(50);
		const address = far.localAddress;
		const told: string[] = [];
		const listen = (index: number, name: string) => {
			if (index === EDGE && name.startsWith('link.')) {
				told.push(name);
			}
		};
		rig.supervisor.on('shardEvent', listen);

		const killedAtMs = performance.now();
		const stalled = rig.event(RELAY, 'link.stalled', (link) => link.roomId === roomId);
		const back = once(rig.supervisor, 'shardUp');
		process.kill(rig.shard(stage.index).pid ?? 0, 'SIGKILL');
		// The worst case: nobody knows of the death but by the silence.
		await stalled;
		figure('the relay noticed after', performance.now() - killedAtMs);
		expect(performance.now() - killedAtMs).toBeLessThan(NOTICED_MS);
		stage.index = STAGES[1];
		await open(roomId, stage.index);
		await Promise.all([rig.link(roomId, stage.index, RELAY), speaker.connect()]);
		const sinceMs = performance.now();
		await far.heard(NUMBER, { sinceMs });
		await far.morePackets(50);
		figure('largest gap between packets', Math.max(...far.voices.map((voice) => voice.largestGapMs({ sinceMs: killedAtMs }))));
		figure('gap in the speech', Math.max(...far.voices.filter(({ audio }) => audio.some(({ atMs }) => atMs < killedAtMs)).map((voice) => voice.largestGapMs({ sinceMs: killedAtMs, audioOnly: true }))));
		rig.supervisor.off('shardEvent', listen);
		expect(told).toEqual([]);
		expect(far.state).toBe('connected');
		expect(far.localAddress).toBe(address);
		expectFlawless(far);
		await back;
	});
});

describe('when a relay dies', () => {
	it('its child is linked to the origin, and its listeners keep their sessions', async () => {
		const { roomId, speaker, far, stage } = await chain();
		speaker.talk(relentless);
		await far.heard(NUMBER);
		await far.morePackets(50);
		const address = far.localAddress;

		const killedAtMs = performance.now();
		const stalled = rig.event(EDGE, 'link.stalled', (link) => link.roomId === roomId);
		const back = once(rig.supervisor, 'shardUp');
		process.kill(rig.shard(RELAY).pid ?? 0, 'SIGKILL');
		await stalled;
		figure('the edge noticed after', performance.now() - killedAtMs);
		expect(performance.now() - killedAtMs).toBeLessThan(NOTICED_MS);
		await rig.link(roomId, stage.index, EDGE);
		await far.heard(NUMBER, { sinceMs: performance.now() });
		await far.morePackets(50);
		figure('largest gap between packets of the first voice', far.voices[0]?.largestGapMs({ sinceMs: killedAtMs }));
		expect(far.state).toBe('connected');
		expect(far.localAddress).toBe(address);
		expectFlawless(far);
		await back;
	});
});

describe('links with SRTP', () => {
	it('carry the programme over a relay as others do', async () => {
		const { speaker, far } = await chain({ srtp: true });
		const said = shortly(relentless);
		await heardToTheEnd(speaker, said, [far]);
		expect(differenceInSpeech(framesOf(far, said), speaker.sent)).toBeUndefined();
		expect(new Set(far.voices.flatMap(({ audio }) => audio.map(({ csrc }) => csrc)))).toEqual(new Set([NUMBER]));
		expectFlawless(far);
	});

	it('bring nothing to whoever has another key', async () => {
		const roomId = `chain-${++rooms}`;
		await Promise.all([open(roomId, STAGES[0]), openEdge(roomId, EDGE)]);
		const linkId = 'wrong-key';
		const remote = await rig.shard(EDGE).request('upstream.create', { roomId, linkId, srtp: true });
		expect(remote).toMatchObject({ ip: '127.0.0.1', srtpParameters: { cryptoSuite: 'AEAD_AES_256_GCM' } });
		const { voices, ...sending } = await rig.shard(STAGES[0]).request('downstream.create', { roomId, linkId, remote });
		expect(sending.srtpParameters?.keyBase64).not.toBe(remote.srtpParameters?.keyBase64);
		const wrong = { cryptoSuite: 'AEAD_AES_256_GCM' as const, keyBase64: Buffer.alloc(44, 1).toString('base64') };
		const stalled = rig.event(EDGE, 'link.stalled', (link) => link.linkId === linkId);
		await rig.shard(EDGE).request('upstream.connect', { roomId, linkId, remote: { ...sending, srtpParameters: wrong }, voices });
		await rig.listen(roomId, EDGE);
		await stalled;
	});
});
