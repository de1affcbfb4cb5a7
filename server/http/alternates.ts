import type { ClusterView } from '../cluster/cluster-view.ts';

/** So many other nodes a client is told of. */
const MAX_ALTERNATES = 4;
/** Nodes come and go in seconds, listeners in microseconds. */
const REFRESH_MS = 1_000;

/** `Link` header values that tell a listener which other nodes it could turn to, should this one die. */
export class Alternates {
	readonly #view: Pick<ClusterView, 'nodeId' | 'nodes'>;
	readonly #publicUrl: () => string;
	readonly #now: () => number;
	#links: string[] = [];
	#madeAtMs = -Infinity;
	#turn = 0;

	/** @param publicUrl this node's own */
	constructor(view: Pick<ClusterView, 'nodeId' | 'nodes'>, publicUrl: () => string, now: () => number) {
		this.#view = view;
		this.#publicUrl = publicUrl;
		this.#now = now;
	}

	/** Others each time, so that not everybody turns to the same node. */
	next(): string[] {
		const nowMs = this.#now();
		if (Math.abs(nowMs - this.#madeAtMs) >= REFRESH_MS) {
			this.#madeAtMs = nowMs;
			this.#links = this.#make();
		}
		const all = this.#links;
		const start = all.length > 0 ? this.#turn++ % all.length : 0;
		return [...all.slice(start), ...all.slice(0, start)].slice(0, MAX_ALTERNATES);
	}

	#make(): string[] {
		const own = trimmed(this.#publicUrl());
		const urls = this.#view.nodes().flatMap(({ nodeId, draining, publicUrl }) => (nodeId === this.#view.nodeId || draining || publicUrl === undefined ? [] : [trimmed(publicUrl)]));
		// An address that several nodes share leads to any of them, this one too.
		const ofOne = urls.filter((url, index) => url !== own && urls.indexOf(url) === index && urls.lastIndexOf(url) === index);
		return ofOne.map((url) => `<${url}>; rel="alternate"`);
	}
}

const trimmed = (url: string) => url.replace(/\/+$/, '');
