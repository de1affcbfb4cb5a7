// What a node knows of the cluster, from memory: no method here waits for anything. `NodeRegistry` implements it over
// heartbeats, `LoneNode` for a node without Redis.
import type { EventEmitter } from 'node:events';
import type { NodeReport } from './node-report.ts';

export interface RoomHome {
	nodeId: string;
	/** Fencing token: grows with each change of the home. */
	epoch: number;
}

export interface ClusterViewEvents {
	/** A node was heard for the first time, or again after it had been taken for dead or was restarted. */
	nodeUp: [report: NodeReport];
	/** No heartbeat for too long, or it said goodbye, or came back with another incarnation: all that was on it is gone. */
	nodeDown: [nodeId: string, reason: string];
	/** A round of heartbeats came in. */
	beat: [];
	/** Redis answers again (`lost`: it does not have what it had), or does not. */
	redis: [state: 'up' | 'down' | 'lost'];
}

export interface ClusterView extends EventEmitter<ClusterViewEvents> {
	readonly nodeId: string;
	/** Living nodes, this one first and always there. */
	nodes(): readonly NodeReport[];
	node(nodeId: string): NodeReport | undefined;
	/** Where a room lives, by the newest claim heard of; undefined while it has no living home. */
	homeOf(roomId: string): RoomHome | undefined;
	/** On all living nodes together. */
	listenersIn(roomId: string): number;
	/** Whether Redis answered the last heartbeat; true for a node that needs none. */
	readonly redisAnswers: boolean;
}
