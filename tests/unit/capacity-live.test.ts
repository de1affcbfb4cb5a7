import { describe, expect, it } from 'vitest';
import { calibrationOf, NOT_MEASURED } from '../../server/capacity/calibration-figures.ts';
import { fleetCapacityNow, nodeCapacityNow } from '../../server/capacity/live-capacity.ts';
import { NodeCalibration, type NodeBusiness } from '../../server/capacity/node-calibration.ts';
import { DEFAULT_CALIBRATION, type ShardCalibration } from '../../server/capacity/shard-calibration.ts';
import type { NodeReport, ShardReport } from '../../server/cluster/node-report.ts';
import { CalibrationYielded, type ShardFigures } from '../../sfu/supervisor/calibrate-shard.ts';

const MEASURED_AT = new Date('2026-05-24T20:00:00.000Z');
const NOW_MS = MEASURED_AT.getTime() + 90_000;

const shard = (over: Partial<ShardReport> = {}): ShardReport => ({
	index: 1, role: 'listener', alive: true, draining: false, listeners: 0, joining: 0, maxListeners: 5_000, cpuRatio: 0, eventLoopLagMs: 0, packetsPerSecond: 0, ...over,
});
const report = (over: Partial<NodeReport> = {}): NodeReport => ({
	nodeId: 'node-a', incarnation: 'incarnation', beat: 1, startedAt: '', internalUrl: 'http://10.0.0.1:3100', draining: false, redis: true, rooms: {}, homes: {}, moving: {},
	shards: [shard({ index: 0, role: 'stage', maxListeners: 0 }), shard(), shard({ index: 2 })],
	machine: { cores: 4, memoryBytes: 16e9, calibration: DEFAULT_CALIBRATION },
	...over,
});

describe('live capacity', () => {
	it('is that of the rule, less who is there or on the way in', () => {
		const now = nodeCapacityNow(report({ shards: [shard({ listeners: 1_000, joining: 72, cpuRatio: 0.1 }), shard({ index: 2 })] }), 60, NOW_MS);
		expect(now).toMatchObject({ listeners: 1_072, shards: 2, capacity: { listeners: 5_360, limit: 'shards', cap: 10_000 }, headroom: { ratio: 0.8, listeners: 4_288 } });
		expect(now.capacity.byPacking[120]).toBeGreaterThan(now.capacity.byPacking[60]);
	});

	it('counts neither dead nor draining shards, and nothing of a node that drains', () => {
		expect(nodeCapacityNow(report({ shards: [shard({ alive: false }), shard({ draining: true }), shard()] }), 60, NOW_MS)).toMatchObject({ shards: 1, capacity: { cap: 5_000 } });
		expect(nodeCapacityNow(report({ draining: true }), 60, NOW_MS)).toMatchObject({ shards: 0, capacity: { listeners: 0 }, headroom: { ratio: 0, listeners: 0 }, joinsPerSecond: 0 });
	});

	it('believes its processors more than the rule when they work harder', () => {
		const busy = nodeCapacityNow(report({ shards: [shard({ listeners: 100, cpuRatio: 0.81 }), shard({ listeners: 100, cpuRatio: 0.81 })] }), 60, NOW_MS);
		expect(busy.headroom.ratio).toBeCloseTo(0.1);
		expect(nodeCapacityNow(report({ shards: [shard({ listeners: 100, cpuRatio: 1 })] }), 60, NOW_MS).headroom).toEqual({ ratio: 0, listeners: 0 });
	});

	it('goes by what the shards say of their pace and pressure, where they say it', () => {
		expect(nodeCapacityNow(report(), 60, NOW_MS)).toMatchObject({ waiting: 0, refusedPerSecond: 0, pressure: { level: 0, packingFloorMs: 20 } });
		expect(nodeCapacityNow(report(), 60, NOW_MS).joinsPerSecond).toBeCloseTo((2 * 0.87 * 1_000) / 2.5);
		const pressed = { level: 2, packingFloorMs: 60, reason: 'processor', since: '' } as const;
		const said = { joinsPerSecond: 120, waiting: 30, refusedPerSecond: 5, shards: [shard({ pressure: pressed }), shard({ index: 2, pressure: { ...pressed, level: 1, packingFloorMs: 40 } })] };
		expect(nodeCapacityNow(report(said), 60, NOW_MS)).toMatchObject({ joinsPerSecond: 120, waiting: 30, refusedPerSecond: 5, pressure: { level: 2, packingFloorMs: 60 } });
	});

	it('adds nodes up, those too that say nothing of their machine', () => {
		const { machine: _machine, ...older } = report({ nodeId: 'node-b', shards: [shard({ listeners: 500 })] });
		const calibration: ShardCalibration = { ...DEFAULT_CALIBRATION, source: 'measured', measuredAt: MEASURED_AT.toISOString() };
		const fleet = fleetCapacityNow([report({ machine: { cores: 4, memoryBytes: 16e9, calibration } }), older], 60, NOW_MS);
		expect(fleet.nodes.map(({ calibration }) => [calibration.source, calibration.ageSeconds])).toEqual([['measured', 90], ['defaults', undefined]]);
		expect(fleet.listeners).toBe(500);
		for (const of of ['listeners', 'cap'] as const) {
			expect(fleet.capacity[of]).toBe(fleet.nodes.reduce((sum, { capacity }) => sum + capacity[of], 0));
		}
		expect(fleet.headroom.listeners).toBe(fleet.nodes.reduce((sum, { headroom }) => sum + headroom.listeners, 0));
		expect(fleetCapacityNow([], 60, NOW_MS).headroom).toEqual({ ratio: 0, listeners: 0 });
	});
});

const FIGURES: ShardFigures = {
	cpuMsPerJoin: 0.9,
	bytesPerListener: 70_000,
	cpuUsPerListenerSecond: [{ packingMs: 20, us: 480, packetsPerSecond: 50 }, { packingMs: 60, us: 220, packetsPerSecond: 18 }],
	shardCpuRatio: 0.03,
	tookMs: 5_000,
};

describe('a calibration', () => {
	it('draws a line through what was measured, and adds what was not', () => {
		const calibration = calibrationOf(FIGURES, MEASURED_AT);
		const { consentUsPerSecond, handshakeBytes } = NOT_MEASURED;
		expect(calibration).toMatchObject({ source: 'measured', measuredAt: MEASURED_AT.toISOString(), bytesPerListener: 70_000 + handshakeBytes });
		// 480 = a + b/20, 220 = a + b/60: b = 7,800, a = 90.
		expect(calibration?.cpuUsPerListenerSecond).toEqual({ 20: 480 + consentUsPerSecond, 40: 285 + consentUsPerSecond, 60: 220 + consentUsPerSecond, 120: 155 + consentUsPerSecond });
		expect(calibration?.cpuMsPerJoin).toBeGreaterThan(0.9 + NOT_MEASURED.handshakeMs);
	});

	it.each([
		['packets that cost nothing', { ...FIGURES, cpuUsPerListenerSecond: FIGURES.cpuUsPerListenerSecond.map((each) => ({ ...each, us: 200 })) }],
		['joins that cost nothing', { ...FIGURES, cpuMsPerJoin: 0 }],
		['a packing that is missing', { ...FIGURES, cpuUsPerListenerSecond: FIGURES.cpuUsPerListenerSecond.slice(1) }],
	])('does not believe %s', (_what, figures) => {
		expect(calibrationOf(figures, MEASURED_AT)).toBeUndefined();
	});
});

describe('the calibration of a node', () => {
	async function setUp(kept?: ShardCalibration) {
		const business: NodeBusiness = { cores: 2, busyCores: 0, listeners: 0, joining: 0 };
		const written: ShardCalibration[] = [];
		const runs: { busy?: () => string | undefined; gentle?: boolean; end: (figures: ShardFigures) => void; fail: (error: Error) => void }[] = [];
		const node = await NodeCalibration.open({
			file: { read: async () => kept, write: async (calibration) => void written.push(calibration) },
			measure: (how) => {
				const { promise, resolve, reject } = Promise.withResolvers<ShardFigures>();
				runs.push({ ...how, end: resolve, fail: reject });
				return promise;
			},
			business: () => business,
			now: () => MEASURED_AT,
			log: { info: () => undefined, warn: () => undefined },
		});
		return { node, business, written, runs };
	}

	it('is figures of another machine until it has run, then its own, and those are kept', async () => {
		const { node, written, runs } = await setUp();
		expect(node.current).toBe(DEFAULT_CALIBRATION);
		const running = node.run();
		expect(node.run()).toBe(running);
		runs[0]?.end(FIGURES);
		expect(await running).toMatchObject({ source: 'measured' });
		expect(runs).toHaveLength(1);
		expect(written).toEqual([node.current]);
		expect((await setUp(written[0])).node.current).toEqual(node.current);
	});

	it('does not begin where people need the processors, and goes on beside a few', async () => {
		const { node, business, runs } = await setUp();
		Object.assign(business, { listeners: 800, busyCores: 1.2 });
		await expect(node.run()).rejects.toMatchObject({ code: 'no_capacity', extra: { reason: 'busy' } });
		expect(runs).toHaveLength(0);
		Object.assign(business, { listeners: 30, busyCores: 0.2 });
		void node.run();
		expect(runs[0]?.gentle).toBe(true);
		expect(runs[0]?.busy?.()).toBeUndefined();
	});

	it('stops when people come, and keeps what it had', async () => {
		const { node, business, runs, written } = await setUp();
		const running = node.run();
		Object.assign(business, { listeners: 800, busyCores: 1.2 });
		const reason = runs[0]?.busy?.();
		expect(reason).toContain('800 listeners');
		runs[0]?.fail(new CalibrationYielded(reason));
		await expect(running).rejects.toMatchObject({ code: 'no_capacity' });
		expect(written).toEqual([]);
		Object.assign(business, { listeners: 0, busyCores: 0 });
		const again = node.run();
		runs[1]?.fail(new Error('no worker'));
		await expect(again).rejects.toMatchObject({ code: 'media_unavailable', message: 'The calibration failed: no worker' });
		expect(node.current).toBe(DEFAULT_CALIBRATION);
	});
});
