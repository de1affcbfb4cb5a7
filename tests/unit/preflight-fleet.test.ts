import { describe, expect, it } from 'vitest';
import { DEFAULT_CALIBRATION, type ShardCalibration } from '../../server/capacity/shard-calibration.ts';
import type { NodeReport } from '../../server/cluster/node-report.ts';
import type { PeerParams } from '../../server/cluster/peer-protocol.ts';
import { DomainError } from '../../server/errors.ts';
import { ok, warning, type Check } from '../../server/preflight/check.ts';
import { Preflight, type PreflightOptions, type PreflightRequest } from '../../server/preflight/preflight.ts';
import type { PreflightReport } from '../../server/preflight/preflight-report.ts';

const NOW_MS = Date.parse('2026-05-24T20:00:00.000Z');
const MEASURED: ShardCalibration = { ...DEFAULT_CALIBRATION, source: 'measured', measuredAt: '2026-05-24T20:00:00.000Z' };
const REQUEST: PreflightRequest = { packingMs: 'auto', maxListeners: undefined, expectedListeners: undefined, withinSeconds: 60, calibrate: false };

const report = (nodeId: string, listeners = 0): NodeReport => ({
	nodeId, incarnation: 'incarnation', beat: 1, startedAt: '', internalUrl: 'http://10.0.0.1:3100', draining: false, redis: true, rooms: {}, homes: {}, moving: {},
	shards: [1, 2, 3, 4].map((index) => ({ index, role: 'listener', alive: true, draining: false, listeners: listeners / 4, joining: 0, maxListeners: 1_000, cpuRatio: 0.01, eventLoopLagMs: 0, packetsPerSecond: 0 })),
	machine: { cores: 8, memoryBytes: 16e9, calibration: MEASURED },
});

interface Told {
	hosts?: Record<string, string>;
	away?: string[];
	clocks?: Record<string, number>;
	checks?: Check[];
	calibrated?: boolean;
	measure?: (nodeId: string) => ShardCalibration;
}

/** A fleet that answers as told, and what it was asked. */
function fleet(nodes: readonly NodeReport[], { hosts = {}, away = [], clocks = {}, checks = [ok('shards', 'All live.')], calibrated = true, measure = () => MEASURED }: Told = {}) {
	const asked: { nodeId: string; name: string; params: unknown }[] = [];
	const ask: PreflightOptions['ask'] = async (nodeId, name, params) => {
		asked.push({ nodeId, name, params });
		if (away.includes(nodeId)) {
			throw new DomainError('peer_unreachable', `Node ${nodeId} does not answer`);
		}
		const hostId = hosts[nodeId] ?? nodeId;
		const answers = {
			preflightOpen: () => ({ nowMs: NOW_MS + (clocks[nodeId] ?? 0), hostId, calibrated, target: { nodeId, announced: false, media: [] } }),
			preflightCheck: () => ({ checks }),
			calibrate: () => ({ hostId, signature: 'a processor', calibration: (params as PeerParams<'calibrate'>).known?.calibration ?? measure(nodeId) }),
		};
		return answers[name]() as never;
	};
	const preflight = new Preflight({ nodes: () => nodes, ask, largePackingMs: 60, packsUnderPressure: true, now: () => NOW_MS });
	return { asked, run: (over: Partial<PreflightRequest> = {}) => preflight.run({ ...REQUEST, ...over }) };
}

const states = ({ checks }: PreflightReport, name: string) => checks.filter(({ check }) => check === name).map(({ node, status }) => `${node} ${status}`);

describe('a preflight', () => {
	it('says in plain words what the fleet holds, what is expected, and what is missing', async () => {
		const three = ['a', 'b', 'c'].map((id) => report(id));
		const { summary, ready, capacity } = await fleet(three).run({ expectedListeners: 20_000 });
		expect(ready).toBe(false);
		expect(capacity).toMatchObject({ capacity: 12_000, packingMs: 60, expectedListeners: 20_000, enough: false, moreNodes: 2, overflowShare: 0.4 });
		expect(summary).toBe(
			'This fleet of 3 nodes holds 12,000 listeners at 60 ms and admits 4,176 a second. You expect 20,000 within 60 s. You need 2 more nodes like these, or 40 % will hear the HLS stream. No check failed.',
		);
		const enough = await fleet([...three, report('d'), report('e')]).run({ expectedListeners: 20_000 });
		expect(enough.ready).toBe(true);
		expect(enough.summary).toContain('You expect 20,000 within 60 s: that is enough.');
		expect((await fleet(three).run()).summary).toContain('Say how many you expect');
	});

	it('counts those who are there, and what the room itself allows', async () => {
		const busy = await fleet([report('a', 3_000)]).run({ expectedListeners: 2_000, maxListeners: 1_500 });
		expect(busy.summary).toContain('You expect 2,000 within 60 s, beside 3,000 who are there.');
		expect(busy.capacity).toMatchObject({ present: 3_000, overflowShare: 0.5 });
		expect(states(busy, 'room_limit')).toEqual(['* warning']);
	});

	it('tells each node its share of the audience, no more than it holds', async () => {
		const { asked, run } = fleet([report('a'), report('b')]);
		const shares = () => asked.filter(({ name }) => name === 'preflightCheck').map(({ params }) => (params as PeerParams<'preflightCheck'>).listeners);
		await run({ expectedListeners: 3_000 });
		expect(shares()).toEqual([1_500, 1_500]);
		await run({ expectedListeners: 50_000 });
		expect(shares().slice(2)).toEqual([4_000, 4_000]);
	});

	it('has every node look at every other, and in a large fleet at sixteen', async () => {
		const targetsOf = async (count: number) => {
			const { asked, run } = fleet(Array.from({ length: count }, (_, index) => report(`node-${index}`)));
			await run();
			return asked.filter(({ name }) => name === 'preflightCheck').map(({ nodeId, params }) => ({ nodeId, targets: (params as PeerParams<'preflightCheck'>).targets.map((target) => target.nodeId) }));
		};
		for (const { nodeId, targets } of await targetsOf(4)) {
			expect([nodeId, ...targets].toSorted()).toEqual(['node-0', 'node-1', 'node-2', 'node-3']);
		}
		const large = await targetsOf(40);
		expect(large.every(({ nodeId, targets }) => new Set(targets).size === 16 && !targets.includes(nodeId))).toBe(true);
		const lookedAt = Map.groupBy(large.flatMap(({ targets }) => targets), (nodeId) => nodeId);
		expect([...lookedAt.values()].map(({ length }) => length)).toEqual(Array.from({ length: 40 }, () => 16));
	});

	it('has a node that does not answer as a failed check, and does not count on it', async () => {
		const found = await fleet([report('a'), report('b')], { away: ['b'] }).run({ expectedListeners: 5_000 });
		expect(states(found, 'answers')).toEqual(['b failed']);
		expect(found).toMatchObject({ ready: false, capacity: { capacity: 4_000 } });
		expect(found.summary).toContain('1 check failed.');
	});

	it('finds clocks that differ', async () => {
		const found = await fleet([report('a'), report('b'), report('c')], { clocks: { b: 900, c: -7_000 } }).run();
		expect(states(found, 'clock')).toEqual(['a ok', 'b warning', 'c failed']);
	});

	it('measures nodes of one machine one after the other and once, others at the same time', async () => {
		const nodes = ['a', 'b', 'c'].map((id) => report(id));
		const { asked, run } = fleet(nodes, { hosts: { a: 'one', b: 'one', c: 'other' }, calibrated: false, measure: (id) => ({ ...MEASURED, cpuMsPerJoin: id === 'c' ? 9 : 5 }) });
		const found = await run({ calibrate: undefined });
		expect(states(found, 'calibration')).toEqual(['a ok', 'b ok', 'c ok']);
		expect(found.capacity.nodes.map(({ node, calibration }) => [node, calibration.cpuMsPerJoin])).toEqual([['a', 5], ['b', 5], ['c', 9]]);
		const calls = asked.filter(({ name }) => name === 'calibrate');
		expect(calls.filter(({ params }) => 'known' in (params as object)).map(({ nodeId }) => nodeId)).toEqual(['b']);
	});

	it('measures again when told to, and never when told not to', async () => {
		const count = async (calibrated: boolean, calibrate: boolean | undefined) => {
			const { asked, run } = fleet([report('a')], { calibrated });
			await run({ calibrate });
			return asked.filter(({ name }) => name === 'calibrate').length;
		};
		expect(await count(true, undefined)).toBe(0);
		expect(await count(true, true)).toBe(1);
		expect(await count(false, false)).toBe(0);
		expect(await count(false, undefined)).toBe(1);
	});

	it('goes on with the figures it has when a machine cannot be measured', async () => {
		const busy = () => {
			throw new DomainError('no_capacity', 'This node serves 800 listeners.');
		};
		const found = await fleet([report('a')], { measure: busy }).run({ calibrate: true, expectedListeners: 1_000 });
		expect(states(found, 'calibration')).toEqual(['a warning']);
		expect(found.ready).toBe(true);
	});

	it('does without an overflow as long as everybody has a place', async () => {
		const checks = [warning('overflow', 'There is no program "ffmpeg".', 'Install it.')];
		expect(states(await fleet([report('a')], { checks }).run({ expectedListeners: 1_000 }), 'overflow')).toEqual(['a warning']);
		expect(states(await fleet([report('a')], { checks }).run({ expectedListeners: 10_000 }), 'overflow')).toEqual(['a failed']);
	});

	it('says that everybody has a place but not at once', async () => {
		const slow = { ...MEASURED, cpuMsPerJoin: 60 };
		const found = await fleet([{ ...report('a'), machine: { cores: 8, memoryBytes: 16e9, calibration: slow } }]).run({ expectedListeners: 4_000, withinSeconds: 1 });
		expect(states(found, 'capacity')).toEqual(['* warning']);
		expect(found.summary).toMatch(/there is a place for everybody, but the last one waits \d+ s for it and hears the HLS stream meanwhile/);
	});
});
