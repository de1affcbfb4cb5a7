import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeReport } from '../../server/cluster/node-report.ts';
import { PeerTable } from '../../server/cluster/registry/peer-table.ts';
import { KnownHomes } from '../../server/cluster/registry/known-homes.ts';
import { StallWatch } from '../../server/cluster/registry/stall-watch.ts';
import { LeaseSimulation, type SimulatedNode } from '../support/cluster/lease-simulation.ts';
import { aReport } from '../support/cluster/reports.ts';

describe('what a node knows of the others', () => {
	let simulation: LeaseSimulation;
	let watcher: SimulatedNode;
	let other: SimulatedNode;
	let third: SimulatedNode;

	beforeEach(async () => {
		let seed = 5;
		simulation = new LeaseSimulation({ nodes: 3, rooms: [], random: () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647 });
		simulation.nodes.forEach((node, index) => simulation.schedule(() => node.start(), index * 150));
		await simulation.run(3_000);
		[watcher, other, third] = simulation.nodes as [SimulatedNode, SimulatedNode, SimulatedNode];
	});
	/** What arrives is known before it is passed on. */
	const tell = (report: NodeReport): void => void watcher.registry.onPeerHeartbeat(report, report.nodeId);
	const seen = (): string[] => watcher.registry.nodes().map(({ nodeId }) => nodeId);
	const events = (kind: string): string[] => watcher.log.filter((line) => line.includes(` ${kind} `)).map((line) => line.replace(/^\d+ /, ''));

	it('is all who live, itself first, whatever their clocks show', () => {
		expect(seen()).toEqual(['n0', 'n1', 'n2']);
		for (const node of simulation.nodes) expect(node.registry.nodes()[0]?.nodeId).toBe(node.nodeId);
	});

	it('is that a node is dead between 1.75 and 2.4 s after its last beat', async () => {
		other.die();
		await simulation.run(1_150);
		expect(seen()).toContain('n1');
		const rest = await simulation.until(() => !seen().includes('n1'), 2_000);
		expect(rest).toBeLessThan(1_250);
		expect(events('down')).toEqual(['down n1: no heartbeat']);
		expect(watcher.registry.node('n1')).toBeUndefined();
		expect(watcher.registry.lastReportOf('n1')?.internalUrl, 'where to ask whether it really is').toBe('http://n1.test:3100');
	});

	it('is that a node which says goodbye is gone within a beat', async () => {
		const closed = other.close();
		expect(await simulation.until(() => !seen().includes('n1'), 1_000)).toBeLessThan(600);
		await closed;
		expect(events('down')).toEqual(['down n1: it left']);
		expect(watcher.registry.hasLeft('n1')).toBe(true);
	});

	it('is that a restarted node has nothing of what it had', async () => {
		other.die();
		other.start();
		await simulation.run(1_200);
		expect(events('down')).toEqual(['down n1: it was restarted']);
		expect(events('up').at(-1)).toBe('up n1');
		expect(watcher.registry.node('n1')?.incarnation).toBe('n1-run-2');
	});

	it('is not that everybody died while this node itself stood still', async () => {
		watcher.pause();
		await simulation.run(30_000);
		watcher.resume();
		await simulation.run(5_000);
		expect(events('down')).toEqual([]);
		expect(seen()).toEqual(['n0', 'n1', 'n2']);
	});

	it('is found out after its own stall, too, if somebody did die meanwhile', async () => {
		watcher.pause();
		await simulation.run(2_000);
		other.die();
		await simulation.run(10_000);
		watcher.resume();
		expect(await simulation.until(() => !seen().includes('n1'), 3_000)).toBeDefined();
		expect(seen()).toEqual(['n0', 'n2']);
	});

	it('goes on without Redis: a death is seen, and a new start of a known node', async () => {
		simulation.redisAway = 'refuses';
		await simulation.run(3_000);
		other.die();
		expect(await simulation.until(() => !seen().includes('n1'), 2_600)).toBeDefined();
		expect(seen()).toContain('n2');
		third.isolated = true;
		await simulation.run(5_000);
		expect(seen()).toEqual(['n0']);
		third.isolated = false;
		expect(await simulation.until(() => seen().includes('n2'), 3_000), 'they look for each other').toBeDefined();
	});

	it('refuses a heartbeat in another node’s name', async () => {
		await expect(watcher.registry.onPeerHeartbeat(aReport('n2', 900), 'n1')).rejects.toMatchObject({ code: 'forbidden' });
		expect(watcher.registry.node('n2')?.beat).toBeLessThan(900);
	});

	it('does not believe a report that is not one', async () => {
		const bad = { ...aReport('n7', 1), shards: [{ index: -1 }] };
		await watcher.registry.onPeerHeartbeat(bad as never, 'n7');
		expect(seen()).toEqual(['n0', 'n1', 'n2']);
	});

	it('is how many listen to a room, whatever the room is called', async () => {
		const beat = 10_000;
		tell(aReport('n1', beat, { incarnation: other.incarnation, rooms: { hall: 40, constructor: 2 } }));
		tell(aReport('n2', beat, { incarnation: third.incarnation, rooms: { hall: 2 } }));
		expect(watcher.registry.listenersIn('hall')).toBe(42);
		expect(watcher.registry.listenersIn('constructor')).toBe(2);
		expect(watcher.registry.listenersIn('toString')).toBe(0);
	});

	it('is that the highest epoch ever heard of is the home, and none while that node is dead', async () => {
		const homeAt = (epoch: number) => ({ hall: { epoch, roomVersion: 1, stageVersion: 1 } });
		tell(aReport('n1', 10_000, { incarnation: other.incarnation, homes: homeAt(4) }));
		tell(aReport('n2', 10_000, { incarnation: third.incarnation, homes: homeAt(5) }));
		expect(watcher.registry.homeOf('hall')).toEqual({ nodeId: 'n2', epoch: 5 });
		tell(aReport('n2', 10_001, { incarnation: third.incarnation }));
		expect(watcher.registry.homeOf('hall'), 'the older claim does not count again').toBeUndefined();
	});
});

describe('the table of peers', () => {
	it('counts looks that could have shown something, not only time', () => {
		const table = new PeerTable();
		table.hear(aReport('b', 1), 0);
		expect(table.expire(60_000, 1_750, 3)).toEqual([]);
		for (let look = 0; look < 3; look++) table.look();
		expect(table.expire(60_000, 1_750, 3)).toEqual(['b']);
		expect(table.expire(60_000, 1_750, 3), 'once').toEqual([]);
		expect(table.hear(aReport('b', 2), 61_000)).toBe('up');
	});

	it('does not take an older or doubled report, or one of an earlier run, for a sign of life', () => {
		const table = new PeerTable();
		table.hear(aReport('b', 5), 0);
		expect(table.hear(aReport('b', 5), 10)).toBe('nothing new');
		expect(table.hear(aReport('b', 4), 10)).toBe('nothing new');
		const second = { incarnation: 'b-second-run', startedAt: '2025-06-01T00:00:01.000Z' };
		expect(table.hear(aReport('b', 1, second), 20)).toBe('restarted');
		expect(table.hear(aReport('b', 99), 30)).toBe('nothing new');
		expect(table.leave('b', 'b-first-run'), 'the goodbye of the earlier run').toBe(false);
		expect(table.leave('b', 'b-second-run')).toBe(true);
		expect(table.hear(aReport('b', 2, second), 40)).toBe('nothing new');
	});

	it('believes a run that seems older, for the clock was set back, once the other one is silent', () => {
		const table = new PeerTable();
		const setBack = { incarnation: 'b-second-run', startedAt: '2025-01-01T00:00:00.000Z' };
		table.hear(aReport('b', 5), 0);
		expect(table.hear(aReport('b', 1, setBack), 20)).toBe('nothing new');
		for (let look = 0; look < 3; look++) table.look();
		expect(table.expire(2_000, 1_750, 3)).toEqual(['b']);
		expect(table.hear(aReport('b', 5), 2_050), 'nothing that was heard before').toBe('nothing new');
		expect(table.hear(aReport('b', 4, setBack), 2_100)).toBe('up');
		expect(table.hear(aReport('b', 5), 2_200)).toBe('nothing new');
		expect(table.hear(aReport('b', 5, setBack), 2_600)).toBe('grown');
	});
});

describe('the watch on this process’ own stalls', () => {
	it('is silent while it is looked at often, and tells the first who looks after a gap', () => {
		let nowMs = 0;
		let wallMs = 1e12;
		const stalls: [number, boolean][] = [];
		const watch = new StallWatch({ nowMs: () => nowMs }, () => wallMs);
		watch.onStall((lengthMs, asleep) => stalls.push([lengthMs, asleep]));
		const pass = (monotonic: number, wall = monotonic): void => {
			nowMs += monotonic;
			wallMs += wall;
			watch.look();
		};
		for (let look = 0; look < 50; look++) pass(400);
		expect(stalls).toEqual([]);
		pass(700);
		pass(100, 5_000);
		// The time of day was set back: nothing stood still.
		pass(100, -3_600_000);
		expect(stalls).toEqual([[700, false], [100, true]]);
	});
});

describe('the memory of homes', () => {
	it('keeps the highest epoch, and what the store itself says', () => {
		const homes = new KnownHomes();
		homes.note('hall', 'a', 3);
		homes.note('hall', 'b', 2);
		expect(homes.last('hall')).toEqual({ nodeId: 'a', epoch: 3 });
		homes.correct('hall', 'b', 2);
		expect(homes.last('hall')).toEqual({ nodeId: 'b', epoch: 2 });
	});
});
