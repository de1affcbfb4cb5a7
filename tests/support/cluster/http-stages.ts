import { TokenVerifier } from '../../../auth/token-verifier.ts';
import type { SocketRelayLimits } from '../../../server/cluster/peers/socket-relay.ts';
import { RoomDirectory } from '../../../server/rooms/room-directory.ts';
import { registerStageSocket } from '../../../server/stage/stage-socket.ts';
import { StageService } from '../../../server/stage/stage-service.ts';
import { FakeMedia, FakeStore, recordingLog, VirtualClock } from '../stage-fakes.ts';
import { type HttpNode, type HttpNodes, startHttpNodes } from './http-nodes.ts';

/** The stage of one node: the real service and socket over fakes of media and store. */
export interface StageOfNode {
	stageService: StageService;
	stageRooms: RoomDirectory;
	stageStore: FakeStore;
	stageClock: VirtualClock;
}

/** Nodes with stages, in HTTP alone; the first one is home of the room. */
export async function startStages(
	ids: readonly string[],
	roomId: string,
	relayLimits: Partial<SocketRelayLimits>,
): Promise<{ cluster: HttpNodes; nodes: Record<string, HttpNode & StageOfNode> }> {
	const stages: Record<string, StageOfNode> = {};
	const cluster = await startHttpNodes(ids, {
		relayLimits,
		stageSocket: ({ id, cluster, keyRing }) => async (app) => {
			const clock = new VirtualClock();
			const store = new FakeStore();
			const media = new FakeMedia();
			const log = recordingLog();
			let mediaIds = 0;
			const shared = { store, media, now: clock.now, schedule: clock.schedule, randomId: () => `media-${++mediaIds}`, log };
			const rooms = await RoomDirectory.create({ store, now: clock.now, randomId: () => 'some-room', defaults: { voices: 3 } });
			await rooms.create({ id: roomId, title: 'The announcement' });
			const stageService = StageService.create({ ...shared, rooms, reconnectGraceMs: 10_000, maxStageSize: 20 });
			stages[id] = { stageService, stageRooms: rooms, stageStore: store, stageClock: clock };
			const verifier = new TokenVerifier({
				keys: keyRing, issuer: 'rostrum', audience: 'rostrum', maxTokenTtlSeconds: 90 * 86_400, clockToleranceSeconds: 0, foreignIssuers: [],
				now: () => clock.now().getTime(),
			});
			await registerStageSocket(app, { ...shared, stages: stageService, verifier, iceServers: () => [], maxStageSize: 20, atHome: { cluster, rooms } });
		},
	});
	const nodes = Object.fromEntries(Object.entries(cluster.nodes).map(([id, node]) => [id, Object.assign(node, stages[id])]));
	for (const node of Object.values(nodes)) node.homes.set(roomId, ids[0] ?? '');
	return { cluster, nodes };
}
