import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { SYNTHETIC_OFFER } from '../../sfu/calibration/synthetic-offer.ts';
import { makeSessionId } from '../../sfu/contract/session-id.ts';
import type { ShardStats } from '../../sfu/contract/shard-protocol.ts';
import { PORTION_JOINS } from '../../sfu/supervisor/rehearsals.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import { Supervisor, type SupervisorOptions } from '../../sfu/supervisor/supervisor.ts';
import { loopbackShards } from '../support/supervisor-options.ts';

const MEDIA_PORT = 23_300;
const ROOM = { roomId: 'a-room' };
/** Of times in log lines. */
const ROUNDING_MS = 2;
/** More than one portion, and not whole ones. */
const JOINS = 2.5 * PORTION_JOINS;

interface Said {
	msg: string;
	time: number;
	tookMs: number;
	shardProcess?: number;
	shard?: number;
}
const NOTHING: Said = { msg: '', time: Number.NaN, tookMs: Number.NaN };

describe('rehearsing joins', () => {
	let supervisor: Supervisor | undefined;
	/** What the supervisor said. */
	let said: Said[] = [];
	const rehearsals = () => said.filter(({ msg }) => msg === 'shard rehearsed joins');

	const start = async (options: Partial<SupervisorOptions>): Promise<Supervisor> => {
		said = [];
		const log = pino({ level: 'info' }, { write: (line: string) => void said.push(JSON.parse(line)) });
		supervisor = await Supervisor.start({ ...loopbackShards(MEDIA_PORT), log, ...options });
		return supervisor;
	};
	const only = (shards: Shard[]): Shard => {
		expect(shards).toHaveLength(1);
		return shards[0] as Shard;
	};
	const join = (shard: Shard) => shard.request('listener.join', { ...ROOM, sessionId: makeSessionId(1, randomBytes(16).toString('hex')), offer: SYNTHETIC_OFFER });
	const nextStats = async (shard: Shard): Promise<ShardStats> => {
		for (;;) {
			const [name, data] = (await once(shard, 'event')) as [string, ShardStats];
			if (name === 'shard.stats') return data;
		}
	};
	afterEach(async () => {
		await supervisor?.close('the test is over', 0);
		expect(said.filter(({ msg }) => /fail|could not|unexpected/.test(msg))).toEqual([]);
	});

	it('is done by listener shards one after the other, not by stage shards, and leaves nobody behind', async () => {
		const node = await start({ listenerShards: 2, rehearsalJoins: JOINS });
		await node.rehearsed();
		// In whatever order they have started.
		expect(rehearsals()).toHaveLength(2);
		for (const shard of [1, 2]) expect(rehearsals()).toContainEqual(expect.objectContaining({ shard, joins: JOINS, yielded: false }));
		const [first = NOTHING, second = NOTHING] = rehearsals();
		expect(second.time - second.tookMs).toBeGreaterThan(first.time - ROUNDING_MS);
		for (const shard of node.shards('listener')) {
			expect(await nextStats(shard)).toMatchObject({ listeners: 0, rooms: {}, joinsTotal: 0, joinsFailedTotal: 0, packetsSentTotal: 0 });
			await shard.request('edge.open', { ...ROOM, voices: 3, packingMs: 60 });
			expect(await join(shard)).toMatchObject({ listeners: 1, roomListeners: 1 });
		}
	});

	it('ends when somebody real comes, who does not wait for it', async () => {
		const shard = only((await start({})).shards('listener'));
		await shard.request('edge.open', { ...ROOM, voices: 3, packingMs: 60 });
		const rehearsal = shard.request('shard.rehearse', { joins: 100_000 });
		expect(await join(shard)).toMatchObject({ listeners: 1, roomListeners: 1 });
		const { joins, yielded } = await rehearsal;
		expect(yielded).toBe(true);
		expect(joins).toBeLessThan(50_000);
		expect(await shard.request('shard.rehearse', { joins: 10 })).toEqual({ joins: 0, yielded: true });
	});

	it('ends when the shard is given a stage', async () => {
		const [stage] = (await start({})).shards('stage');
		const rehearsal = stage?.request('shard.rehearse', { joins: 100_000 });
		await stage?.request('origin.open', { ...ROOM, voices: 3, onAir: true });
		expect(await rehearsal).toMatchObject({ yielded: true });
	});

	it('is done by a spare before it is needed, and not again when it takes a place', async () => {
		const node = await start({ spareShards: 1, rehearsalJoins: PORTION_JOINS });
		await until(() => said.some(({ msg }) => msg === 'spare shard ready'));
		await node.rehearsed();
		const spare = rehearsals().find(({ shard }) => shard === undefined)?.shardProcess;
		expect(spare).toBeGreaterThan(0);
		const replaced = new Promise<Shard>((resolve) => node.once('shardUp', resolve));
		only(node.shards('listener')).kill();
		expect((await replaced).pid).toBe(spare);
		await node.rehearsed();
		expect(rehearsals().filter(({ shardProcess }) => shardProcess === spare)).toHaveLength(1);
	});

	it('ends with its shard, and the replacement rehearses in its turn', async () => {
		const node = await start({ rehearsalJoins: 10 * PORTION_JOINS });
		const replaced = new Promise<Shard>((resolve) => node.once('shardUp', resolve));
		const first = only(node.shards('listener'));
		first.kill();
		const second = await replaced;
		await node.rehearsed();
		expect(rehearsals()).toEqual([expect.objectContaining({ shardProcess: second.pid, joins: 10 * PORTION_JOINS })]);
	});
});

async function until(holds: () => boolean): Promise<void> {
	while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
