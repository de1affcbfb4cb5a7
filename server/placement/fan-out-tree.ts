import type { EdgeRef, UpstreamRef } from '../cluster/peer-protocol.ts';

/** What an edge cannot link to: one end, or without `shard` everything on that node. */
export interface AvoidRef {
	nodeId: string;
	shard?: number | 'origin';
}

export interface FanOutTreeOptions {
	/** The home: its origin is the root. */
	homeNodeId: string;
	/** Links that may begin at the origin and at each relay; at least 1. */
	maxFanOut?: number;
	/** A node's region, if it is known; relays in the asking edge's own are preferred. */
	regionOf?: (nodeId: string) => string | undefined;
	/** Whether an edge is about to go (drain): it relays for others only when nothing else can. */
	isLeaving?: (edge: EdgeRef) => boolean;
}

/** An edge with what hangs on it, for the admin API. */
export interface FanOutBranch {
	nodeId: string;
	shard: number;
	children: FanOutBranch[];
}

export interface FanOutDescription {
	/** Depth of the deepest edge; 0 when nothing is attached. */
	depth: number;
	edges: number;
	/** Below the origin. */
	children: FanOutBranch[];
	/** Edges that lost their upstream and have not asked for another yet, each with what hangs on it. */
	floating: FanOutBranch[];
}

interface Place {
	readonly ref: UpstreamRef;
	/** Links from the origin; undefined while it does not lead there. */
	depth: number | undefined;
	parent: Place | undefined;
	readonly children: Set<Place>;
	/** Undefined from when it was heard of until the next round of `expire` or `touch`. */
	seenMs: number | undefined;
}

const DEFAULT_FAN_OUT = 32;

/**
 * Sending halves of links that a shard may have at one place, when the book gives away `maxFanOut`. An edge that moves has
 * its new link before it lets go of the old one, and one that a cut cable separates cannot let go of it at all, until
 * nobody renews it: whoever gets its room in the book must not be refused by the shard meanwhile.
 */
export const sendingHalves = (maxFanOut: number): number => 2 * maxFanOut;

/**
 * Which edge of one room hangs on which, kept at the room's home. The origin takes edges until it has `maxFanOut`, then
 * those nearest to it do: with a fan-out of 32, a thousand shards are two links away. Each method leaves a forest: one
 * tree below the origin, and floating ones whose uppermost edge lost its upstream and has not asked for another yet.
 * Many deaths can leave edges further down than need be. They stay there until they ask for some other reason: a new link for
 * the sake of a shorter way is a risk to those who hear well, most of all while the network is in trouble.
 * It is a book of what others do, and they report (`attachAs`), so every message may come late, twice or never.
 */
export class FanOutTree {
	readonly #root: Place;
	readonly #places = new Map<string, Place>();
	readonly #maxFanOut: number;
	readonly #regionOf: (nodeId: string) => string | undefined;
	readonly #isLeaving: (edge: EdgeRef) => boolean;

	constructor({ homeNodeId, maxFanOut = DEFAULT_FAN_OUT, regionOf = () => undefined, isLeaving = () => false }: FanOutTreeOptions) {
		this.#root = { ref: { nodeId: homeNodeId, shard: 'origin' }, depth: 0, parent: undefined, children: new Set(), seenMs: undefined };
		this.#maxFanOut = maxFanOut;
		this.#regionOf = regionOf;
		this.#isLeaving = isLeaving;
	}

	/** Edges it knows of, attached or floating. */
	get size(): number {
		return this.#places.size;
	}

	/**
	 * Finds an edge its upstream and hangs it there, with all that hangs on it. An edge that asks again stays where it
	 * is unless it avoids that, or there is a place nearer to the origin by now.
	 *
	 * @returns undefined when nothing that is not avoided has room; the edge floats then, until it asks again
	 */
	attach(edge: EdgeRef, avoid: readonly AvoidRef[] = []): UpstreamRef | undefined {
		const place = this.#place(edge);
		place.seenMs = undefined;
		const before = place.parent;
		// Cut off, it and all below it lead nowhere: so none of them can be chosen.
		this.#hang(place, undefined);
		const best = this.#choose(place, before, avoid);
		this.#hang(place, best);
		return best && { ...best.ref };
	}

	/**
	 * Takes note of a link that an edge has. The upstream may be one that has not reported itself yet.
	 *
	 * @returns false when it would close a circle, or the upstream has as many as it may: the edge is to ask for another
	 */
	attachAs(edge: EdgeRef, upstream: UpstreamRef): boolean {
		const parent = this.#upstream(upstream, keyOf(edge));
		if (!parent) {
			return false;
		}
		const place = this.#place(edge);
		place.seenMs = undefined;
		if (place.parent !== parent) {
			this.#hang(place, parent);
		}
		return true;
	}

	/** The edge is closed. @returns those that hung on it: they float, each with its own subtree */
	detach(edge: EdgeRef): EdgeRef[] {
		const place = this.#places.get(keyOf(edge));
		return place ? this.#remove([place]) : [];
	}

	/** A node is gone with all its edges. @returns edges on other nodes that hung on them */
	detachNode(nodeId: string): EdgeRef[] {
		return this.#remove([...this.#places.values()].filter(({ ref }) => ref.nodeId === nodeId));
	}

	/**
	 * The home's own node hears nothing from this one, so that one most likely hears nothing from the home either: what it has
	 * straight from the home floats, and its room there is for others. Those edges look for another way by themselves, or say
	 * with their next renewal that they are well.
	 */
	cutOff(nodeId: string): void {
		const home = this.#root.ref.nodeId;
		for (const place of this.#places.values()) {
			if (place.ref.nodeId === nodeId && nodeId !== home && place.parent?.ref.nodeId === home) {
				this.#hang(place, undefined);
			}
		}
	}

	/** The edge was heard of. */
	touch(edge: EdgeRef, nowMs: number): void {
		const place = this.#places.get(keyOf(edge));
		if (place) {
			place.seenMs = nowMs;
		}
	}

	/** Drops edges that were not heard of for `maxAgeMs`. @returns edges that hung on them and were not dropped themselves */
	expire(nowMs: number, maxAgeMs: number): EdgeRef[] {
		const dropped: Place[] = [];
		for (const place of this.#places.values()) {
			place.seenMs ??= nowMs;
			if (nowMs - place.seenMs > maxAgeMs) {
				dropped.push(place);
			}
		}
		return this.#remove(dropped);
	}

	/** Edges that hang on this one. */
	children(ref: UpstreamRef): EdgeRef[] {
		const place = ref.shard === 'origin' ? this.#rootOf(ref) : this.#places.get(keyOf(ref));
		return place ? [...place.children].map(edgeOf) : [];
	}

	/** Where an edge hangs; undefined when it floats or is not known. */
	upstreamOf(edge: EdgeRef): UpstreamRef | undefined {
		const parent = this.#places.get(keyOf(edge))?.parent;
		return parent && { ...parent.ref };
	}

	/** Links between the origin and this edge; undefined when it does not lead there. */
	depthOf(edge: EdgeRef): number | undefined {
		return this.#places.get(keyOf(edge))?.depth;
	}

	describe(): FanOutDescription {
		const places = [...this.#places.values()];
		return {
			depth: places.reduce((deepest, { depth = 0 }) => Math.max(deepest, depth), 0),
			edges: places.length,
			children: [...this.#root.children].map(branchOf),
			floating: places.filter(({ parent }) => parent === undefined).map(branchOf),
		};
	}

	/** Which of all that lead to the origin and have room: nearest to it, where it was, on its own node, in its own region, with fewest children. */
	#choose(place: Place, before: Place | undefined, avoid: readonly AvoidRef[]): Place | undefined {
		const region = this.#regionOf(place.ref.nodeId);
		let best: Place | undefined;
		let bestRank: number[] | undefined;
		for (const candidate of this.#candidates()) {
			const { ref, depth, children } = candidate;
			if (depth === undefined || children.size >= this.#maxFanOut || avoid.some((avoided) => covers(avoided, ref))) {
				continue;
			}
			const rank = [
				ref.shard !== 'origin' && this.#isLeaving({ nodeId: ref.nodeId, shard: ref.shard }) ? 1 : 0,
				depth,
				candidate === before ? 0 : 1,
				ref.nodeId === place.ref.nodeId ? 0 : 1,
				region !== undefined && this.#regionOf(ref.nodeId) === region ? 0 : 1,
				children.size,
			];
			if (!bestRank || isBefore(rank, bestRank)) {
				best = candidate;
				bestRank = rank;
			}
		}
		return best;
	}

	*#candidates(): Iterable<Place> {
		yield this.#root;
		yield* this.#places.values();
	}

	/** The place of a reported upstream if the edge may hang there. One that is not known yet floats until it reports itself. */
	#upstream(upstream: UpstreamRef, edgeKey: string): Place | undefined {
		if (upstream.shard === 'origin') {
			return hasRoom(this.#rootOf(upstream), this.#places.get(edgeKey), this.#maxFanOut);
		}
		const { nodeId, shard } = upstream;
		if (keyOf(upstream) === edgeKey) {
			return undefined;
		}
		const known = this.#places.get(keyOf(upstream));
		for (let above = known; above; above = above.parent) {
			if (keyOf(above.ref) === edgeKey) {
				return undefined;
			}
		}
		return hasRoom(known ?? this.#place({ nodeId, shard }), this.#places.get(edgeKey), this.#maxFanOut);
	}

	/** An origin elsewhere is another home's. */
	#rootOf({ nodeId }: UpstreamRef): Place | undefined {
		return nodeId === this.#root.ref.nodeId ? this.#root : undefined;
	}

	#place({ nodeId, shard }: EdgeRef): Place {
		const key = keyOf({ nodeId, shard });
		let place = this.#places.get(key);
		if (!place) {
			place = { ref: { nodeId, shard }, depth: undefined, parent: undefined, children: new Set(), seenMs: undefined };
			this.#places.set(key, place);
		}
		return place;
	}

	#hang(place: Place, parent: Place | undefined): void {
		place.parent?.children.delete(place);
		place.parent = parent;
		parent?.children.add(place);
		setDepth(place, parent?.depth === undefined ? undefined : parent.depth + 1);
	}

	#remove(places: readonly Place[]): EdgeRef[] {
		const orphans = new Set<Place>();
		for (const place of places) {
			for (const child of place.children) {
				orphans.add(child);
				this.#hang(child, undefined);
			}
			this.#hang(place, undefined);
			this.#places.delete(keyOf(place.ref));
		}
		return [...orphans].filter((orphan) => this.#places.get(keyOf(orphan.ref)) === orphan).map(edgeOf);
	}
}

const keyOf = ({ nodeId, shard }: UpstreamRef) => `${nodeId}.${shard}`;
const edgeOf = ({ ref }: Place): EdgeRef => ({ nodeId: ref.nodeId, shard: Number(ref.shard) });
const branchOf = (place: Place): FanOutBranch => ({ ...edgeOf(place), children: [...place.children].map(branchOf) });
const covers = (avoided: AvoidRef, { nodeId, shard }: UpstreamRef) => avoided.nodeId === nodeId && (avoided.shard === undefined || avoided.shard === shard);

function hasRoom(parent: Place | undefined, child: Place | undefined, maxFanOut: number): Place | undefined {
	return parent && (parent.children.size < maxFanOut || (child && parent.children.has(child))) ? parent : undefined;
}

function setDepth(place: Place, depth: number | undefined): void {
	// No circle can be below it, so this ends.
	if (place.depth === depth) {
		return;
	}
	place.depth = depth;
	for (const child of place.children) {
		setDepth(child, depth === undefined ? undefined : depth + 1);
	}
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
	const differs = a.findIndex((value, index) => value !== b[index]);
	return differs >= 0 && (a[differs] ?? 0) < (b[differs] ?? 0);
}
