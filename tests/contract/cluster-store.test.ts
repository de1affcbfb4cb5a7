// Two nodes, each with its copy on disk, around one real redis-server that is hung, killed, and emptied.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import type { StageRoster } from '../../server/rooms/stage-roster.ts';
import type { ClusterRoomStore } from '../../server/rooms/store/cluster-store.ts';
import { Keys } from '../../server/cluster/redis/keys.ts';
import { whenDown, whenUp } from '../support/redis/connections.ts';
import { keysWithoutExpiry } from '../support/redis/expiry.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { StoreNode } from '../support/redis/store-node.ts';
import { aRoom } from '../support/rooms.ts';

const keys = new Keys('rostrum');
const ban = (subject: string) => ({ roomId: 'launch', subject, name: 'Sam', bannedBy: 'host-1', bannedAt: '2026-05-24T20:10:00.000Z' });
const roster = (version: number): StageRoster => ({
	version,
	participants: [
		{ id: 'p_1', subject: 'host', number: 1, name: 'Hana', role: 'host', kind: 'browser', muted: false, connection: 'connected', mediaId: null, joinedAt: '2026-05-24T20:00:00.000Z' },
	],
});
const outcome = (work: Promise<unknown>): Promise<string> =>
	work.then(
		() => 'done',
		(error: unknown) => (error instanceof DomainError ? error.code : String(error)),
	);
const subjects = async (store: ClusterRoomStore): Promise<string[]> => (await store.listBans('launch')).map(({ subject }) => subject);

let redis: RedisServer;
let a: StoreNode;
let b: StoreNode;
beforeEach(async () => {
	redis = await RedisServer.start();
	[a, b] = await Promise.all([StoreNode.start('node-a', redis.url), StoreNode.start('node-b', redis.url)]);
});
afterEach(async () => {
	redis.resume();
	const kept = await keysWithoutExpiry(redis);
	await Promise.all([a.stop(), b.stop()]);
	await redis.stop();
	expect(kept).toEqual([]);
});

/** As the lease would have it. */
async function makeHome(node: StoreNode, epoch: number): Promise<void> {
	await redis.cli('HSET', keys.home('launch'), 'node', node.nodeId, 'epoch', String(epoch), 'untilMs', String(Date.now() + 60_000));
	await redis.cli('PEXPIRE', keys.home('launch'), '100000');
	node.homes.set('launch', epoch);
}

/** The room with something of everything, home at node a, known on both. */
async function launch(): Promise<void> {
	await a.store.createRoom(aRoom());
	await makeHome(a, 5);
	await a.store.updateRoom(aRoom({ version: 2, state: 'open' }));
	await a.store.speakerNumber('launch', 'host');
	await a.store.ban(ban('banned'));
	await a.store.saveStage('launch', 5, roster(3));
	await b.hears('stageChanged');
}

async function expectAlike(): Promise<void> {
	expect(await b.store.roomState('launch')).toEqual(await a.store.roomState('launch'));
}

describe('a change on one node', () => {
	it('is known on the other, with every part of it', async () => {
		await launch();
		expect(b.heard).toEqual(['roomChanged:launch', 'roomChanged:launch', 'bansChanged:launch', 'stageChanged:launch']);
		expect(await b.store.roomState('launch')).toEqual({ room: aRoom({ version: 2, state: 'open' }), epoch: 5, roster: roster(3), bans: [ban('banned')], numbers: { host: 1 } });
		await a.store.unban('launch', 'banned');
		await a.store.removeRoom('launch');
		await b.hears('roomRemoved');
		expect(await b.store.getRoom('launch')).toBeUndefined();
		expect(await b.store.listBans('launch')).toEqual([]);
		expect(b.store.stageOf('launch')).toBeUndefined();
	});

	it('is no news to the node that made it', async () => {
		await launch();
		expect(a.heard).toEqual([]);
	});

	it('is refused on a node that is not home, which then has what the home has', async () => {
		await launch();
		expect(await outcome(b.store.updateRoom(aRoom({ version: 3 })))).toBe('not_home');
		expect(await outcome(b.store.ban(ban('other')))).toBe('not_home');
		expect(await outcome(b.store.createRoom(aRoom()))).toBe('room_exists');
		await expectAlike();
	});

	it('costs Redis nothing where people are looked up or come back', async () => {
		await launch();
		const before = a.connection.count;
		for (let times = 0; times < 100; times++) {
			await a.store.isBanned('launch', `user-${times}`);
			await a.store.listBans('launch');
			await a.store.getRoom('launch');
			await a.store.speakerNumber('launch', 'host');
		}
		expect(a.connection.count).toBe(before);
	});
});

describe('a node that starts', () => {
	it('with an empty disk learns everything', async () => {
		await launch();
		await b.restart({ emptyDisk: true });
		await expectAlike();
		expect(b.heard).toEqual([]);
	});

	it('learns what happened while it was away, removals too', async () => {
		await launch();
		await a.store.createRoom(aRoom({ id: 'second' }));
		await b.hears('roomChanged', 'second');
		await b.store.close();
		await a.store.updateRoom(aRoom({ version: 3, state: 'live' }));
		await a.store.ban(ban('later'));
		await a.store.speakerNumber('launch', 'guest');
		await a.store.saveStage('launch', 5, roster(4));
		await a.store.removeRoom('second');
		await b.restart();
		await expectAlike();
		expect((await b.store.listRooms({ limit: 10 })).map(({ id }) => id)).toEqual(['launch']);
	});

	it('without Redis has what it had', async () => {
		await launch();
		await redis.kill();
		await whenDown(b.connection);
		await b.restart();
		expect(await b.store.getRoom('launch')).toEqual(aRoom({ version: 2, state: 'open' }));
		expect(b.store.stageOf('launch')).toEqual({ epoch: 5, roster: roster(3) });
		const settled = Promise.all([a.settled(), b.settled()]);
		await redis.restart();
		await settled;
	});
});

describe('while Redis hangs', () => {
	beforeEach(async () => {
		await launch();
		redis.pause();
		// Whoever asks first waits for a second, and then it is known.
		expect(await outcome(b.store.updateRoom(aRoom({ version: 3 })))).toBe('store_unavailable');
	});

	it('the home goes on, and saves everything once Redis is back', async () => {
		await a.store.updateRoom(aRoom({ version: 3, state: 'live' }));
		await a.store.ban(ban('meanwhile'));
		expect(await a.store.unban('launch', 'banned')).toBe(true);
		expect(await a.store.speakerNumber('launch', 'guest')).toBe(2);
		await a.store.saveStage('launch', 5, roster(4));
		expect(a.store.unsaved).toEqual(['launch']);
		expect(await subjects(a.store)).toEqual(['meanwhile']);

		const saved = a.settled();
		redis.resume();
		await saved;
		expect(a.store.unsaved).toEqual([]);
		await b.until(() => b.store.stageOf('launch')?.roster.version === 4);
		await expectAlike();
		expect((await b.store.getRoom('launch'))?.state).toBe('live');
		expect(await subjects(b.store)).toEqual(['meanwhile']);
		expect(b.heard).not.toContain('roomRemoved:launch');
	});

	it('other nodes refuse changes at once, and go on reading', async () => {
		const startedAt = performance.now();
		for (const work of [b.store.ban(ban('x')), b.store.saveStage('launch', 4, roster(9)), b.store.createRoom(aRoom({ id: 'new' })), b.store.removeRoom('launch')]) {
			expect(await outcome(work)).toBe('store_unavailable');
		}
		expect(await b.store.isBanned('launch', 'banned')).toBe(true);
		expect(await b.store.getRoom('launch')).toBeDefined();
		expect(performance.now() - startedAt).toBeLessThan(500);
	});

	it('what the home changed survives its own end, and is saved when it starts again', async () => {
		await a.store.updateRoom(aRoom({ version: 3, title: 'While Redis was away' }));
		await a.store.ban(ban('meanwhile'));
		await whenDown(a.connection);
		await a.restart();
		expect(a.store.unsaved).toEqual(['launch']);
		const saved = a.settled();
		redis.resume();
		await saved;
		expect(a.store.unsaved).toEqual([]);
		await b.until(async () => (await subjects(b.store)).includes('meanwhile'));
		await expectAlike();
		expect((await b.store.getRoom('launch'))?.title).toBe('While Redis was away');
	});

	it('a room removed at home is gone everywhere afterwards', async () => {
		await a.store.removeRoom('launch');
		redis.resume();
		await b.hears('roomRemoved');
		expect(await b.store.listRooms({ limit: 10 })).toEqual([]);
	});
});

describe('a home that was taken over meanwhile', () => {
	it('gives up what it changed and has what the new home has', async () => {
		await launch();
		a.homes.set('launch', 5);
		const down = whenDown(a.connection);
		redis.pause();
		await a.store.updateRoom(aRoom({ version: 3, title: 'lost' }));
		await a.store.updateRoom(aRoom({ version: 4, title: 'lost' }));
		await a.store.ban(ban('lost'));
		await a.store.saveStage('launch', 5, roster(9));
		await down;
		// Node a stays cut off while Redis is back and node b becomes home.
		await a.connection.close();
		redis.resume();
		await whenUp(b.connection);
		await makeHome(b, 6);
		// The first of those changes was under way when Redis hung, so it may have been made in the end.
		await b.store.sync();
		const version = ((await b.store.getRoom('launch'))?.version ?? 0) + 1;
		await b.store.updateRoom(aRoom({ version, title: 'kept' }));
		await b.store.saveStage('launch', 6, roster(1));
		await b.store.ban(ban('kept'));
		await a.reconnect(redis.url);
		expect(a.store.unsaved).toEqual([]);
		expect((await a.store.getRoom('launch'))?.title).toBe('kept');
		expect(await subjects(a.store)).toEqual(['banned', 'kept']);
		expect(a.store.stageOf('launch')?.epoch).toBe(6);
		await expectAlike();
	});
});

describe('after Redis has lost everything', () => {
	it('the nodes write all of it again, and know that it was lost', async () => {
		await launch();
		const before = await a.store.roomState('launch');
		const lost: boolean[] = [];
		a.store.on('synced', (was) => lost.push(was));
		const settled = Promise.all([a.settled(), b.settled()]);
		await redis.restart();
		await settled;
		expect(lost).toContain(true);
		expect(await a.store.roomState('launch')).toEqual(before);
		await b.restart({ emptyDisk: true });
		expect(await b.store.roomState('launch')).toEqual(before);
		await makeHome(a, 5);
		await a.store.updateRoom(aRoom({ version: 3 }));
	});

	it('a removed room stays removed, though a node that missed the removal comes back with it', async () => {
		await launch();
		await b.store.close();
		await a.store.removeRoom('launch');
		await redis.flush();
		// The one that missed it comes first: nobody in Redis knows of the removal yet.
		await b.restart();
		expect((await b.store.listRooms({ limit: 10 })).map(({ id }) => id)).toEqual(['launch']);
		await a.store.rewriteAll();
		await b.hears('roomRemoved');
		expect(await b.store.listRooms({ limit: 10 })).toEqual([]);
		expect(await a.store.listRooms({ limit: 10 })).toEqual([]);
		await b.restart({ emptyDisk: true });
		expect(await b.store.listRooms({ limit: 10 })).toEqual([]);
	});

	it('an id that was used anew after a removal keeps the new room', async () => {
		await launch();
		await a.store.removeRoom('launch');
		await b.hears('roomRemoved');
		a.homes.clear();
		await redis.cli('DEL', keys.home('launch'));
		const anew = aRoom({ createdAt: '2026-07-01T00:00:00.000Z', title: 'anew' });
		await b.store.createRoom(anew);
		await a.hears('roomChanged');
		await redis.flush();
		await Promise.all([a.store.rewriteAll(), b.store.rewriteAll()]);
		for (const node of [a, b]) expect((await node.store.getRoom('launch'))?.title).toBe('anew');
		expect(await a.store.listBans('launch')).toEqual([]);
	});

	it('a change that comes before anybody has noticed is made all the same', async () => {
		await launch();
		await redis.flush();
		await a.store.updateRoom(aRoom({ version: 3 }));
		await a.store.ban(ban('late'));
		expect(await a.store.speakerNumber('launch', 'guest')).toBe(2);
		await b.restart({ emptyDisk: true });
		await expectAlike();
		expect(await subjects(b.store)).toEqual(['banned', 'late']);
	});

	it('or only the latest (a failover to a replica that lagged), the newer copy of the nodes wins', async () => {
		await launch();
		await redis.cli('HSET', keys.room('launch'), 'version', '1', 'record', JSON.stringify(aRoom()));
		await a.store.updateRoom(aRoom({ version: 3, state: 'live' }));
		await b.hears('roomChanged');
		await a.store.sync();
		await b.store.sync();
		expect((await b.store.getRoom('launch'))?.state).toBe('live');
		await expectAlike();

		await redis.cli('HSET', keys.room('launch'), 'version', '2', 'record', JSON.stringify(aRoom({ version: 2 })));
		await a.store.syncRoom('launch');
		expect(await redis.cli('HGET', keys.room('launch'), 'version')).toBe('3');
	});
});

describe('messages that are no changes', () => {
	it('are passed over', async () => {
		await launch();
		for (const text of ['', '{', '{"kind":"room","node":"x","room":{"id":"launch"}}', '{"kind":"later","node":"x"}', JSON.stringify({ kind: 'removed', node: 'x', roomId: '../etc', createdAtMs: 9e12 })]) {
			await redis.cli('PUBLISH', keys.changes, text);
		}
		await a.store.updateRoom(aRoom({ version: 3, state: 'live' }));
		await b.until(async () => (await b.store.getRoom('launch'))?.version === 3);
		await expectAlike();
	});
});
