import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import type { RedisConnection } from '../../../server/cluster/redis/redis-connection.ts';
import { ClusterRoomStore } from '../../../server/rooms/store/cluster-store.ts';
import { DiskRoomStore } from '../../../server/rooms/store/disk-store.ts';
import { openConnection, silent } from './connections.ts';

const EVENTS = ['roomChanged', 'roomRemoved', 'stageChanged', 'bansChanged', 'synced'] as const;

/** What of a node keeps rooms: its connection to Redis, its replica on disk, and which homes it believes to have. */
export class StoreNode {
	readonly nodeId: string;
	connection: RedisConnection;
	store: ClusterRoomStore;
	/** Room → epoch. */
	readonly homes: Map<string, number>;
	/** Events of the store, in order, as `name:room`. */
	readonly heard: string[] = [];
	readonly #folder: string;

	static async start(nodeId: string, url: string): Promise<StoreNode> {
		const folder = mkdtempSync(path.join(tmpdir(), 'rostrum-replica-'));
		const connection = await openConnection(url);
		const homes = new Map<string, number>();
		return new StoreNode(nodeId, connection, folder, homes, await openStore(nodeId, connection, folder, homes));
	}

	private constructor(nodeId: string, connection: RedisConnection, folder: string, homes: Map<string, number>, store: ClusterRoomStore) {
		this.nodeId = nodeId;
		this.connection = connection;
		this.homes = homes;
		this.#folder = folder;
		this.store = store;
		this.#listen();
	}

	/** The process ends and starts again, on the same disk unless told otherwise; it is home of nothing then. */
	async restart({ emptyDisk = false } = {}): Promise<void> {
		await this.store.close();
		this.homes.clear();
		this.heard.length = 0;
		if (emptyDisk) rmSync(path.join(this.#folder, 'rostrum.db'));
		this.store = await openStore(this.nodeId, this.connection, this.#folder, this.homes);
		this.#listen();
	}

	/** As `restart()`, but with a new connection in place of one that was closed. */
	async reconnect(url: string): Promise<void> {
		await this.connection.close();
		this.connection = await openConnection(url);
		await this.restart();
	}

	/** The next time that Redis and this node have been brought together; ask before what leads to it. */
	async settled(): Promise<void> {
		await once(this.store, 'synced');
	}

	/** Resolves when this holds, now or after something that the store tells. */
	async until(holds: () => Promise<boolean> | boolean): Promise<void> {
		for (;;) {
			const { promise, resolve } = Promise.withResolvers<void>();
			const told = (): void => resolve();
			for (const event of EVENTS) this.store.once(event, told);
			const done = await holds();
			if (!done) await promise;
			for (const event of EVENTS) this.store.off(event, told);
			if (done) return;
		}
	}

	/** Resolves when the store has announced this, in the past or to come. */
	hears(name: (typeof EVENTS)[number], room = 'launch'): Promise<void> {
		return this.until(() => this.heard.includes(`${name}:${room}`));
	}

	async stop(): Promise<void> {
		await this.store.close();
		await this.connection.close();
		rmSync(this.#folder, { recursive: true, force: true });
	}

	#listen(): void {
		this.store.on('roomChanged', (room) => this.heard.push(`roomChanged:${room.id}`));
		this.store.on('roomRemoved', (roomId) => this.heard.push(`roomRemoved:${roomId}`));
		this.store.on('stageChanged', (roomId) => this.heard.push(`stageChanged:${roomId}`));
		this.store.on('bansChanged', (roomId) => this.heard.push(`bansChanged:${roomId}`));
	}
}

async function openStore(nodeId: string, connection: RedisConnection, folder: string, homes: ReadonlyMap<string, number>): Promise<ClusterRoomStore> {
	const replica = await DiskRoomStore.open({ file: path.join(folder, 'rostrum.db') });
	const store = await ClusterRoomStore.open({
		connection,
		replica,
		nodeId,
		epochOf: (roomId) => homes.get(roomId),
		newId: randomUUID,
		now: Date.now,
		log: silent,
	});
	if (connection.answers && !store.listening) await once(store, 'listening');
	return store;
}
