import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ShardStats } from '../../sfu/contract/shard-protocol.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import { figure } from '../support/figure.ts';
import { MediaPlane } from '../support/media-plane.ts';
import { FLAWLESS } from '../support/rtc/voice-record.ts';
import { relentlessSpeech, type SpokenAudio } from '../support/speech/speech.ts';

const SPARE = 40;
/** Each makes room for ten more to be expected. */
const FIRST = 4;
const CROWD = 24;
const EXPECTED = 16;
/** Of 60 ms, to compare what is heard by. */
const PACKETS = 16;
const SPEAKER = 7;

let plane: MediaPlane;
let audio: SpokenAudio;
beforeAll(async () => {
	[plane, audio] = await Promise.all([MediaPlane.start({ mediaPort: 25_500, listenerShards: 1, spareTransports: SPARE }), relentlessSpeech('alto')]);
});
afterAll(() => plane.close());

const listenerShard = (): Shard => {
	const shard = plane.supervisor.shards().find(({ assignment }) => assignment?.role === 'listener');
	if (!shard) throw new Error('there is no listener shard');
	return shard;
};
/** The first figures of this shard that are so. */
async function stats(isSo: (stats: ShardStats) => boolean): Promise<ShardStats> {
	const shard = listenerShard();
	for (const signal = AbortSignal.timeout(20_000); ; ) {
		const [name, data] = (await once(shard, 'event', { signal })) as [string, ShardStats];
		if (name === 'shard.stats' && isSo(data)) return data;
	}
}

it('a crowd is seated on transports that were made ahead, and hears the same flawless streams as those before it', { timeout: 60_000 }, async () => {
	const room = await plane.room({ packingMs: 60 });
	const { speaker } = await plane.speak(room, SPEAKER);
	speaker.talk(audio);
	const first = [];
	for (let index = 0; index < FIRST; index++) {
		first.push(await plane.listen(room));
	}
	const { listeners, spareTransports } = await stats((figures) => figures.spareTransports === SPARE);
	expect([listeners, spareTransports]).toEqual([FIRST, SPARE]);

	const crowd = await Promise.all(Array.from({ length: CROWD }, () => plane.listen(room)));
	const after = await stats((figures) => figures.listeners === FIRST + CROWD);
	figure(`of a crowd of ${CROWD} took what was made ahead`, SPARE - after.spareTransports, 'listeners');
	// The first few are no crowd yet, and joins come in several ticks.
	expect(SPARE - after.spareTransports).toBeGreaterThanOrEqual(CROWD / 2);

	// Whoever comes by oneself while a row is begun takes of it, too.
	const late = await plane.listen(room);
	const seats = [...first, ...crowd, late];
	await Promise.all(seats.map(({ listener }) => listener.heard(SPEAKER)));
	const sinceMs = performance.now();
	for (let packet = 0; packet < PACKETS; packet++) {
		const nowMs = performance.now();
		await Promise.all(seats.map(({ listener }) => listener.heard(SPEAKER, { sinceMs: nowMs })));
	}
	for (const { listener } of seats) {
		for (const voice of listener.voices) expect(voice.flaws).toEqual(FLAWLESS);
	}
	const heardBy = (seat: (typeof seats)[number]) => seat.listener.voices[0]?.packets.filter(({ atMs }) => atMs > sinceMs).flatMap(({ frames }) => frames) ?? [];
	const reference = new Set(heardBy(first[0] as (typeof seats)[number]));
	for (const seat of crowd) {
		const frames = heardBy(seat);
		expect(frames.length).toBeGreaterThan(PACKETS);
		expect(frames.filter((frame) => reference.has(frame)).length / frames.length).toBeGreaterThan(0.9);
	}

	// They leave as everybody does.
	await Promise.all(crowd.map(({ sessionId }) => plane.programmes.closeSession(sessionId)));
	await stats((figures) => figures.listeners === FIRST + 1);
	// And nothing is left of a room that is over.
	await plane.programmes.roomChanged({ ...room, state: 'ended' });
	await stats((figures) => figures.listeners === 0 && figures.spareTransports === 0);
});

it('a room whose listeners are expected is ready before the first of them', async () => {
	const room = await plane.room({ state: 'open', expectedListeners: EXPECTED });
	const shard = listenerShard();
	await plane.programmes.prepared.prepareEdge(room, shard.assignment?.index ?? -1);
	const { listeners } = await stats(({ spareTransports }) => spareTransports === EXPECTED);
	expect(listeners).toBe(0);
	// A second one has its share of what the shard may make: the first gives back none of its own, for it has no more.
	const other = await plane.room({ state: 'open', expectedListeners: 10_000 });
	await plane.programmes.prepared.prepareEdge(other, shard.assignment?.index ?? -1);
	await stats(({ spareTransports }) => spareTransports === EXPECTED + SPARE / 2);
});
