import type { NodeReport } from '../node-report.ts';

/** What everybody wrote, as it is: reports are checked by whoever reads them. */
export interface HeartbeatRound {
	reports: unknown[];
	/** Nodes that said goodbye a moment ago. */
	left: { nodeId: string; incarnation: string }[];
	/** Another one than last time: the store has lost what it had. */
	generation: string;
	/** The store's clock. */
	nowMs: number;
	/** The generation began with this very call: the store was empty. */
	fresh: boolean;
	/** Another process that beats under this node's name. */
	rival: string | undefined;
}

/** Where heartbeats are exchanged. Methods settle within about a second: they reject while the store does not answer. */
export interface HeartbeatStore {
	/** Writes a report, unless a newer one of the same incarnation is there, and reads those of all other nodes. */
	beat(report: NodeReport): Promise<HeartbeatRound>;
	/** Tells the others that the node is gone. */
	leave(nodeId: string, incarnation: string): Promise<void>;
}

/** Reports that are not renewed for so long are dropped. */
export const REPORT_TTL_MS = 3_000;
