import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterNode } from '../support/cluster/cluster-node.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { RostrumCluster } from '../support/cluster/rostrum-cluster.ts';
import { until } from '../support/cluster/until.ts';

const WHY_NOT = ClusterNetwork.whyNot();
const WARNING_MS = 8_000;

interface Room {
	state: string;
	version: number;
	endsAt: string;
	endingAt?: string;
	endedAt?: string;
}

describe.skipIf(WHY_NOT !== undefined)(`the end of rooms on three nodes${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let cluster: RostrumCluster;
	beforeAll(async () => {
		cluster = await RostrumCluster.start({ env: { ROSTRUM_DOORS_END_WARNING_MS: String(WARNING_MS) } });
	});
	afterAll(() => cluster?.close());

	const read = (node: ClusterNode, id: string) => node.process.json<Room>('GET', `/v1/rooms/${id}`);
	const everywhere = (what: string, withinMs: number, id: string, fits: (room: Room) => boolean) =>
		until(`${id} ${what} everywhere`, withinMs, async () => {
			const rooms = await Promise.all(cluster.running.map((node) => read(node, id)));
			return rooms.every(fits) || JSON.stringify(rooms.map(({ state, endingAt, version }) => ({ state, endingAt, version })));
		});
	const room = (id: string, inMs: number) => cluster.anyNode.process.room({ id, endsAt: new Date(Date.now() + inMs).toISOString() });
	/** By one node, at its time, and written twice only: the warning and the end. */
	const expectEndedOnce = async (id: string, lateMs: number) => {
		const rooms = await Promise.all(cluster.running.map((node) => read(node, id)));
		for (const { version, endedAt = '', endsAt } of rooms) {
			expect(version).toBe(5);
			expect(endedAt).toBe(rooms[0]?.endedAt);
			expect(Date.parse(endedAt) - Date.parse(endsAt)).toBeGreaterThanOrEqual(0);
			expect(Date.parse(endedAt) - Date.parse(endsAt)).toBeLessThan(lateMs);
		}
	};

	it('is told ahead and comes once, although the home dies between', async () => {
		await room('doomed', WARNING_MS + 6_000);
		await everywhere('warns', 30_000, 'doomed', ({ endingAt, endsAt }) => endingAt === endsAt);
		const home = await cluster.homeOf('doomed');
		await home.killHost();
		await everywhere('has ended', WARNING_MS + 20_000, 'doomed', ({ state }) => state === 'ended');
		await expectEndedOnce('doomed', 6_000);
	});

	it('comes once although the room moves on purpose, and where its host puts it off, wherever that was asked', async () => {
		await room('moving', WARNING_MS + 8_000);
		await everywhere('warns', 30_000, 'moving', ({ endingAt }) => endingAt !== undefined);
		const home = await cluster.homeOf('moving');
		const other = cluster.running.find((node) => node !== home) ?? expect.fail('one node alone');
		const { endsAt } = await read(other, 'moving');
		const later = new Date(Date.parse(endsAt) + WARNING_MS).toISOString();
		await other.process.json('PATCH', '/v1/rooms/moving', { endsAt: later });
		await other.process.json('POST', `/v1/admin/nodes/${home.name}/drain`, {});
		await until('it lives elsewhere', 30_000, async () => (await cluster.homeOf('moving')) !== home);
		await everywhere('has ended', 60_000, 'moving', ({ state }) => state === 'ended');
		const rooms = await Promise.all(cluster.running.map((node) => read(node, 'moving')));
		// Made, opened, live, warned, put off, warned again, ended.
		expect(rooms.map(({ version }) => version)).toEqual(rooms.map(() => 7));
		expect(Date.parse(rooms[0]?.endedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(later));
	});
});
