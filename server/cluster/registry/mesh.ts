import type { Logger } from 'pino';
import type { NodeReport } from '../node-report.ts';
import type { Peers } from '../peer-protocol.ts';

/** Well below the interval of beats, so that each of them has its own answer. */
const TIMEOUT_MS = 400;

export interface MeshOptions {
	peers: Pick<Peers, 'request'>;
	log: Logger;
	/** A peer's own report came back. */
	answered: (report: unknown, from: string) => void;
	/** There was no answer. */
	silent: (nodeId: string) => void;
}

/** Heartbeats from node to node, past Redis. One at a time to each peer. */
export class Mesh {
	readonly #options: MeshOptions;
	readonly #asked = new Set<string>();

	constructor(options: MeshOptions) {
		this.#options = options;
	}

	send(report: NodeReport, nodeIds: Iterable<string>): void {
		for (const nodeId of nodeIds) if (!this.#asked.has(nodeId)) void this.#ask(nodeId, report);
	}

	async #ask(nodeId: string, report: NodeReport): Promise<void> {
		const { peers, log, answered, silent } = this.#options;
		this.#asked.add(nodeId);
		try {
			const answer = await peers.request(nodeId, 'heartbeat', { report }, { timeoutMs: TIMEOUT_MS });
			answered(answer.report, nodeId);
		} catch (error) {
			log.debug({ peer: nodeId, err: error }, 'a peer did not answer a heartbeat');
			silent(nodeId);
		} finally {
			this.#asked.delete(nodeId);
		}
	}
}
