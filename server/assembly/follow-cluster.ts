import type { Logger } from 'pino';
import type { ClusterLinks } from '../cluster/links/cluster-links.ts';
import type { Membership } from '../cluster/membership.ts';
import type { HomeReport } from '../cluster/node-report.ts';
import type { RoomState } from '../cluster/peer-protocol.ts';
import { RoomSync } from '../cluster/room-sync.ts';
import type { BanList } from '../http/ban-list.ts';
import type { Programmes } from '../programme/programmes.ts';
import type { RoomSeats } from '../programme/seats/room-seats.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { StageService } from '../stage/stage-service.ts';

export interface Followers {
	membership: Membership;
	links: ClusterLinks;
	seats: RoomSeats;
	rooms: RoomDirectory;
	stages: StageService;
	programmes: Programmes;
	bans: BanList;
	known: (roomId: string) => HomeReport;
	log: Logger;
}

/** What happens on other nodes, and what this node does about it. */
export function followCluster({ membership, links, seats, rooms, stages, programmes, bans, known, log }: Followers): void {
	const { view, homes, store, peers } = membership;
	store.on('roomChanged', (room) => void rooms.take(room));
	store.on('roomRemoved', (roomId) => rooms.drop(roomId));
	store.on('stageChanged', (roomId, epoch, roster) => stages.applyRemoteStage(roomId, epoch, roster));
	store.on('bansChanged', (roomId) => bans.forget(roomId));
	const sync = new RoomSync({ view, peers, known, take: (state: RoomState) => store.take(state), log });
	view.on('beat', () => {
		links.homesChanged();
		sync.compare();
	});
	view.on('nodeUp', ({ nodeId }) => seats.nodeUp(nodeId));
	view.on('nodeDown', (nodeId) => {
		links.nodeDown(nodeId);
		seats.nodeDown(nodeId);
	});
	view.on('redis', (state) => {
		if (state !== 'down') {
			void stages.flush();
		}
		if (state === 'lost') {
			// Not every loss closes the connection, and what nobody writes to would stay lost.
			store.rewriteAll().catch((error: unknown) => log.warn({ err: error }, 'rooms could not be written to Redis again; it is tried when Redis is back'));
		}
	});
	homes.on('gained', (roomId) => {
		const room = rooms.get(roomId);
		if (room) {
			programmes.homeGained(room);
		}
	});
	homes.on('lost', (roomId) => {
		seats.homeLost(roomId);
		programmes.homeLost(roomId);
	});
	// A room that has ended needs no home any more.
	rooms.on('changed', (room) => {
		if (room.state === 'ended' && homes.epochOf(room.id) !== undefined) {
			void stages.flush(room.id).then(() => homes.release(room.id));
		}
	});
	rooms.on('removed', (room) => void homes.release(room.id));
}

/** Writes a room that lives here to Redis again, which lost its latest or never got it: once at a time for each room. */
export function roomRewriter({ stages, store, log }: { stages: Pick<StageService, 'flush'>; store: Pick<Membership['store'], 'syncRoom'>; log: Logger }): (roomId: string) => void {
	const rewriting = new Set<string>();
	const rewrite = async (roomId: string): Promise<void> => {
		try {
			await stages.flush(roomId);
			await store.syncRoom(roomId);
		} catch (error) {
			log.warn({ err: error, room: roomId }, 'a room could not be written to Redis again; it is tried with the next heartbeat');
		} finally {
			rewriting.delete(roomId);
		}
	};
	return (roomId) => {
		// It is asked for with every heartbeat until it is done.
		if (!rewriting.has(roomId)) {
			rewriting.add(roomId);
			void rewrite(roomId);
		}
	};
}
