import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { figure } from '../support/figure.ts';
import { MediaPlane, type SeatedListener, type StagedSpeaker } from '../support/media-plane.ts';
import { FLAWLESS } from '../support/rtc/voice-record.ts';
import { relentlessSpeech, type SpokenAudio } from '../support/speech/speech.ts';

const STAGE = 0;
const LISTENER_SHARDS = 2;
/** What issue and design allow the audience to hear of a stage's death. */
const STAGE_GAP_MS = 1_000;
const SHARD_BACK_MS = 1_000;
const UNHEARD_MS = 150;

let plane: MediaPlane;
let audio: SpokenAudio;

beforeAll(async () => {
	[plane, audio] = await Promise.all([MediaPlane.start({ mediaPort: 25_400, listenerShards: LISTENER_SHARDS, spareShards: 1 }), relentlessSpeech('alto')]);
});
afterAll(() => plane.close());

/** A spare waits, as it does unless shards die faster than they start. */
async function spareIsReady(): Promise<void> {
	await expect.poll(() => plane.supervisor.readySpares, { timeout: 10_000, interval: 20 }).toBe(1);
}

/** One talker, and a listener on each listener shard who hears them. */
async function liveRoom(): Promise<{ staged: StagedSpeaker; seats: SeatedListener[]; room: Awaited<ReturnType<MediaPlane['room']>> }> {
	await spareIsReady();
	const room = await plane.room();
	const staged = await plane.speak(room, 21);
	staged.speaker.talk(audio);
	const onShard = new Map<number, SeatedListener>();
	// A shard that has just come up, or was held up, is passed over for a moment.
	await expect.poll(async () => {
		const seat = await plane.listen(room);
		onShard.set(seat.shard, seat);
		return onShard.size;
	}, { timeout: 15_000, interval: 100 }).toBe(LISTENER_SHARDS);
	const seats = [...onShard.values()];
	await Promise.all(seats.map(({ listener }) => listener.heard(21)));
	await Promise.all(seats.map(({ listener }) => listener.morePackets(50)));
	return { staged, seats, room };
}

/**
 * The longest time without audio that a busy machine accounts for by itself: what the listener heard in the second
 * before, or the speaker's own pauses since. Zero on a machine with nothing else to do.
 */
function noiseMs({ speaker }: StagedSpeaker, { listener }: SeatedListener, sinceMs: number): number {
	const sentAt = speaker.sent.map(({ atMs }) => atMs).filter((atMs) => atMs >= sinceMs - 100);
	const before = listener.voices.map((voice) => voice.largestGapMs({ sinceMs: sinceMs - 1_000, untilMs: sinceMs, audioOnly: true }));
	return Math.max(20, ...before, ...sentAt.slice(1).map((atMs, index) => atMs - (sentAt[index] ?? atMs))) - 20;
}

describe.each<['shard' | 'worker']>([['shard'], ['worker']])('kill -9 of the stage\'s %s process in mid-speech', (victim) => {
	it('leaves every listener\'s session alone, and the voice is back within a second, the speaker\'s way back included', async () => {
		const { staged, seats } = await liveRoom();
		const stage = plane.supervisor.shard(STAGE);
		const pid = victim === 'shard' ? stage?.pid : stage?.workerPid;
		const addresses = seats.map(({ listener }) => listener.localAddress);
		expect(pid).toBeGreaterThan(1);

		const killedAtMs = performance.now();
		const lost = once(plane.programmes, 'originLost').then(() => performance.now() - killedAtMs);
		const ready = once(plane.programmes, 'originReady').then(() => performance.now() - killedAtMs);
		process.kill(pid ?? 0, 'SIGKILL');
		figure('stage missed after', await lost);
		figure('stage there again after', await ready);
		// Later than everything that was still under way from the dead stage.
		const sinceMs = performance.now();
		await Promise.all(seats.map(({ listener }) => listener.heard(21, { sinceMs })));
		figure('the speaker\'s reconnection took', staged.speaker.connectMs);
		await Promise.all(seats.map(({ listener }) => listener.morePackets(50)));

		for (const [index, { listener }] of seats.entries()) {
			const heardOn = new Set(listener.voices.flatMap(({ audio }) => audio.filter(({ atMs }) => atMs > sinceMs).map(({ csrc }) => csrc)));
			const gapMs = gapBetween(listener.voices, killedAtMs);
			figure(`gap heard by listener ${index}`, gapMs);
			expect(gapMs).toBeLessThan(STAGE_GAP_MS);
			expect(heardOn).toEqual(new Set([21]));
			expect(listener.state).toBe('connected');
			expect(listener.localAddress).toBe(addresses[index]);
			for (const { flaws } of listener.voices) {
				expect(flaws).toEqual(FLAWLESS);
			}
		}
	});
});

describe('kill -9 of a listener shard', () => {
	it('is not heard by listeners of the other; the dead one\'s index and port are back within a second', async () => {
		const { staged, seats, room } = await liveRoom();
		const [dead, other] = seats;
		if (!dead || !other) {
			throw new Error('two listeners on two shards');
		}
		const killedAtMs = performance.now();
		const back = new Promise<number>((resolve) => {
			plane.supervisor.once('shardUp', (_shard, index) => {
				expect(index).toBe(dead.shard);
				resolve(performance.now() - killedAtMs);
			});
		});
		process.kill(plane.supervisor.shard(dead.shard)?.pid ?? 0, 'SIGKILL');
		const backMs = await back;
		figure('listener shard back after', backMs);

		// The empty shard is the less filled one, so the rejoin lands there: same index, same port.
		const rejoined = await plane.listen(room);
		expect(rejoined.shard).toBe(dead.shard);
		await rejoined.listener.heard(21);
		figure('kill to first audio of a listener who rejoins at once', performance.now() - killedAtMs);
		expect(backMs).toBeLessThan(SHARD_BACK_MS);

		await other.listener.morePackets(25);
		const gapMs = gapBetween(other.listener.voices, killedAtMs);
		figure('largest gap heard by the other shard\'s listener', gapMs);
		expect(gapMs - noiseMs(staged, other, killedAtMs)).toBeLessThan(UNHEARD_MS);
		expect(other.listener.voices.map(({ flaws }) => flaws)).toEqual([FLAWLESS, FLAWLESS, FLAWLESS]);
	});
});

describe('a link that brings nothing', () => {
	it('is replaced by the edge\'s report, and the streams go on without a flaw', async () => {
		const { seats, room } = await liveRoom();
		const [{ listener, shard: edgeIndex }] = seats as [SeatedListener, SeatedListener];
		const stage = plane.supervisor.shard(STAGE);
		const linkId = plane.linkOf(room.id, edgeIndex);

		const cutAtMs = performance.now();
		await stage?.request('downstream.close', { roomId: room.id, linkId });
		await listener.packet('a keep-alive of the edge\'s own', ({ dtx }) => dtx, { sinceMs: cutAtMs + 500 });
		await listener.heard(21, { sinceMs: performance.now() });
		figure('from the cut to the first audio over another link', performance.now() - cutAtMs);
		await listener.morePackets(25);
		// Meanwhile the edge kept its voices warm, and the first one coming at a pace by which pages tell that they are connected.
		const gaps = listener.voices.map((voice) => voice.largestGapMs({ sinceMs: cutAtMs }));
		expect(gaps[0]).toBeLessThan(1_000);
		expect(Math.max(...gaps)).toBeLessThan(2_000);
		expect(listener.voices.map(({ flaws }) => flaws)).toEqual([FLAWLESS, FLAWLESS, FLAWLESS]);
		expect(listener.state).toBe('connected');
	});

	it('is replaced while it still works without anybody hearing it', async () => {
		const { staged, seats, room } = await liveRoom();
		const linkIds = seats.map(({ shard }) => plane.linkOf(room.id, shard));
		const replacedAtMs = performance.now();
		for (const [index, { shard }] of seats.entries()) {
			plane.supervisor.emit('shardEvent', shard, 'link.stalled', { roomId: room.id, linkId: linkIds[index] ?? '' });
		}
		await Promise.all(seats.map(({ listener }) => listener.morePackets(50)));
		for (const [index, seat] of seats.entries()) {
			const { listener, shard } = seat;
			expect(plane.linkOf(room.id, shard)).not.toBe(linkIds[index]);
			const gapMs = gapBetween(listener.voices, replacedAtMs);
			figure('largest gap heard while the link was replaced', gapMs);
			expect(gapMs - noiseMs(staged, seat, replacedAtMs)).toBeLessThan(UNHEARD_MS);
			expect(listener.voices.map(({ flaws }) => flaws)).toEqual([FLAWLESS, FLAWLESS, FLAWLESS]);
		}
	});
});

/** The longest time without audio on any voice, from just before this moment on. */
function gapBetween(voices: SeatedListener['listener']['voices'], sinceMs: number): number {
	const times = voices.flatMap(({ audio }) => audio.map(({ atMs }) => atMs)).toSorted((a, b) => a - b);
	let largest = 0;
	for (const [index, atMs] of times.entries()) {
		if (atMs >= sinceMs) {
			largest = Math.max(largest, atMs - (times[index - 1] ?? atMs));
		}
	}
	return largest;
}
