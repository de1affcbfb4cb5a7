import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint } from '../../../sfu/contract/media-types.ts';
import { DomainError } from '../../errors.ts';
import type { Avoided, LinkBroker } from '../../programme/link-broker.ts';
import { media } from '../../programme/media-error.ts';
import type { RoomProgramme } from '../../programme/room-programme.ts';
import type { ClusterView, RoomHome } from '../cluster-view.ts';
import type { Homes } from '../homes.ts';
import type { EdgeRef, PeerHandlers, PeerParams, Peers, UpstreamRef } from '../peer-protocol.ts';

/** The rooms whose media this node carries. */
export interface LinkedRooms {
	programmeOf(roomId: string): RoomProgramme | undefined;
	readonly programmes: readonly RoomProgramme[];
	openRelay(roomId: string): Promise<EdgeRef>;
}

export interface ClusterLinksOptions {
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'node' | 'homeOf'>;
	homes: Pick<Homes, 'epochOf'>;
	peers: Peers;
	rooms: LinkedRooms;
	log: Logger;
}

/** An upstream is found by the home in memory: whoever takes longer is away, and another way is tried. */
const FIND_TIMEOUT_MS = 600;
const OPEN_TIMEOUT_MS = 1_500;
/** Whoever asked the home waits no longer than `FIND_TIMEOUT_MS` for all of them. */
const RELAY_TIMEOUT_MS = 250;
/** Nodes that are asked to relay for an edge that can use nothing there is. */
const HELPERS = 2;
/** Other nodes that are asked when the home cannot be reached from here. */
const DETOURS = 2;
const RENEW_MS = 5_000;

type LinkRequests = 'findUpstream' | 'relink' | 'detachEdge' | 'openDownstream' | 'closeDownstream' | 'renewLinks' | 'renewEdges' | 'openRelay';

/** Links between this node's shards and others', wherever those are: the asking side, the answering side, and the renewal. */
export class ClusterLinks implements LinkBroker {
	readonly #options: ClusterLinksOptions;
	readonly #log: Logger;
	readonly #timer: NodeJS.Timeout;
	/** Homes that edges here were linked for, to notice that one has moved: it may say so itself before its heartbeat does. */
	readonly #homes = new Map<string, RoomHome>();

	static create(options: ClusterLinksOptions): ClusterLinks {
		return new ClusterLinks(options);
	}

	private constructor(options: ClusterLinksOptions) {
		this.#options = options;
		this.#log = options.log.child({ part: 'links' });
		this.#timer = setInterval(() => void this.#renew(), RENEW_MS).unref();
	}

	get nodeId(): string {
		return this.#options.view.nodeId;
	}

	isHome(roomId: string): boolean {
		const epoch = this.#options.homes.epochOf(roomId);
		// The next home may have made itself known before this node has heard that it is none any more.
		return epoch !== undefined && epoch >= (this.#homes.get(roomId)?.epoch ?? epoch);
	}

	async findUpstream(roomId: string, edge: EdgeRef, avoid: readonly Avoided[]): Promise<UpstreamRef> {
		const { peers } = this.#options;
		if (this.isHome(roomId)) {
			return this.#findAtHome(roomId, edge, avoid);
		}
		const home = this.#homeOf(roomId);
		if (!home || home.nodeId === this.nodeId) {
			throw new DomainError('home_unavailable', 'This room has no home at the moment.', { retryAfterSeconds: 1 });
		}
		const params = { roomId, edge, avoid: [...avoid] };
		try {
			const { upstream } = await peers.request(home.nodeId, 'findUpstream', params, { timeoutMs: FIND_TIMEOUT_MS });
			return upstream;
		} catch (error) {
			if (!(error instanceof DomainError) || error.code !== 'peer_unreachable') {
				throw error;
			}
			return await this.#findByDetour(home.nodeId, params, error);
		}
	}

	async openDownstream(request: { roomId: string; linkId: string; upstream: UpstreamRef; child: EdgeRef; remote: LinkEndpoint }): Promise<LinkEndpoint & { voices: LinkedVoice[] }> {
		const { upstream } = request;
		if (upstream.nodeId === this.nodeId) {
			return this.#openHere(request);
		}
		return this.#options.peers.request(upstream.nodeId, 'openDownstream', request, { timeoutMs: OPEN_TIMEOUT_MS });
	}

	closeDownstream(request: { roomId: string; linkId: string; upstream: UpstreamRef }): void {
		const { roomId, linkId, upstream } = request;
		if (upstream.nodeId === this.nodeId) {
			this.#options.rooms.programmeOf(roomId)?.closeDownstream(upstream.shard, linkId);
		} else if (this.#options.view.node(upstream.nodeId)) {
			void this.#forget(this.#options.peers.request(upstream.nodeId, 'closeDownstream', request), 'a link could not be closed at its other end');
		}
	}

	detach(roomId: string, edge: EdgeRef): void {
		const { peers, rooms } = this.#options;
		if (this.isHome(roomId)) {
			rooms.programmeOf(roomId)?.detach(edge);
			return;
		}
		const home = this.#homeOf(roomId);
		if (home && home.nodeId !== this.nodeId) {
			void this.#forget(peers.request(home.nodeId, 'detachEdge', { roomId, edge }), 'an edge could not be detached at its home');
		}
	}

	tellRelink(roomId: string, edges: readonly EdgeRef[]): void {
		const epoch = this.#homeOf(roomId)?.epoch ?? 0;
		for (const [nodeId, named] of Map.groupBy(edges, (edge) => edge.nodeId)) {
			if (nodeId === this.nodeId) {
				this.#options.rooms.programmeOf(roomId)?.edges.relink(named.map(({ shard }) => shard));
			} else {
				this.#tell(nodeId, { roomId, epoch, edges: named });
			}
		}
	}

	tellRehome(roomId: string, asked: readonly EdgeRef[]): void {
		const { view, rooms, homes } = this.#options;
		const epoch = homes.epochOf(roomId);
		const programme = rooms.programmeOf(roomId);
		if (epoch === undefined || !programme) {
			return;
		}
		this.#homes.set(roomId, { nodeId: this.nodeId, epoch });
		this.#rehome(programme);
		for (const { nodeId, rooms: theirs } of view.nodes()) {
			// An edge that is new is not in a report yet, but has asked.
			if (nodeId !== this.nodeId && (theirs[roomId] !== undefined || asked.some((edge) => edge.nodeId === nodeId))) {
				this.#tell(nodeId, { roomId, epoch });
			}
		}
	}

	/** A round of heartbeats came in: rooms whose home has moved are linked to the new one. */
	homesChanged(): void {
		const { rooms, view } = this.#options;
		for (const programme of rooms.programmes) {
			const { roomId } = programme;
			const home = view.homeOf(roomId);
			const known = this.#homes.get(roomId);
			if (!home || home.epoch <= (known?.epoch ?? -1)) {
				continue;
			}
			this.#homes.set(roomId, home);
			if (home.nodeId === this.nodeId) {
				continue; // Its origin's coming links the edges.
			}
			if (known) {
				this.#rehome(programme);
			} else {
				programme.edges.relink([]); // Those that could not ask before.
			}
		}
		for (const roomId of this.#homes.keys()) {
			if (!rooms.programmeOf(roomId)) {
				this.#homes.delete(roomId);
			}
		}
	}

	nodeDown(nodeId: string): void {
		for (const programme of this.#options.rooms.programmes) {
			programme.nodeDown(nodeId);
			programme.edges.upstreamDown(nodeId);
		}
	}

	/** What other nodes may ask. */
	readonly handlers: Pick<PeerHandlers, LinkRequests> = {
		findUpstream: async ({ roomId, edge, avoid, via }) => {
			const epoch = this.#options.homes.epochOf(roomId);
			if (epoch !== undefined && this.isHome(roomId)) {
				return { upstream: await this.#findAtHome(roomId, edge, avoid), epoch };
			}
			const home = this.#homeOf(roomId);
			if (via !== true || !home || home.nodeId === this.nodeId) {
				throw new DomainError('not_home', 'This room does not live on this node.', { retryAfterSeconds: 1 });
			}
			return this.#options.peers.request(home.nodeId, 'findUpstream', { roomId, edge, avoid }, { timeoutMs: FIND_TIMEOUT_MS });
		},
		relink: async ({ roomId, epoch, edges }, from) => {
			const programme = this.#options.rooms.programmeOf(roomId);
			if (programme && edges) {
				programme.edges.relink(edges.map(({ shard }) => shard));
			} else if (programme && epoch >= (this.#homeOf(roomId)?.epoch ?? 0)) {
				// Its heartbeat will bring the same news, but may come later.
				this.#homes.set(roomId, { nodeId: from, epoch });
				this.#rehome(programme);
			}
			return {};
		},
		detachEdge: async ({ roomId, edge }) => {
			this.#options.rooms.programmeOf(roomId)?.detach(edge);
			return {};
		},
		openDownstream: async (request) => this.#openHere(request),
		closeDownstream: async ({ roomId, linkId, upstream }) => {
			this.#options.rooms.programmeOf(roomId)?.closeDownstream(upstream.shard, linkId);
			return {};
		},
		renewLinks: async ({ links }) => {
			const nowMs = performance.now();
			return { unknown: links.filter(({ roomId, linkId }) => this.#options.rooms.programmeOf(roomId)?.renewLink(linkId, nowMs) !== true) };
		},
		renewEdges: async ({ edges }) => {
			const nowMs = performance.now();
			// A room that has moved away is not this node's to judge: its new home makes itself known.
			const unknown = edges.filter(({ roomId, edge, upstream }) => this.isHome(roomId) && this.#options.rooms.programmeOf(roomId)?.renewEdge(edge, upstream, nowMs) !== true);
			return { unknown: unknown.map(({ roomId, edge }) => ({ roomId, edge })) };
		},
		openRelay: async ({ roomId }) => ({ edge: await this.#options.rooms.openRelay(roomId) }),
	};

	close(): void {
		clearInterval(this.#timer);
	}

	/** When nothing that the edge can reach has room, another node is asked to relay. */
	async #findAtHome(roomId: string, edge: EdgeRef, avoid: readonly Avoided[]): Promise<UpstreamRef> {
		const programme = this.#programme(roomId);
		try {
			return await programme.findUpstream(edge, avoid);
		} catch (error) {
			if (avoid.length === 0 || !(error instanceof DomainError) || error.code !== 'upstream_unavailable') {
				throw error;
			}
			const relay = await this.#openRelay(roomId, edge, avoid);
			if (!relay) {
				throw error;
			}
			// A new one asks for its own upstream at the same time; whoever comes first, it has its place before others hang on it.
			// One that leads to the origin keeps its place. One that does not hangs on the very edge that asks, or on another
			// that was cut off, hears nothing but keep-alives, and would never look for a way round by itself.
			if (programme.tree.depthOf(relay) === undefined) {
				const hung = programme.tree.upstreamOf(relay) !== undefined;
				await programme.findUpstream(relay, []);
				if (hung) {
					this.tellRelink(roomId, [relay]);
				}
			}
			return programme.findUpstream(edge, avoid);
		}
	}

	async #openRelay(roomId: string, edge: EdgeRef, avoid: readonly Avoided[]): Promise<EdgeRef | undefined> {
		const { view, peers, rooms } = this.#options;
		const times = (nodeId: string) => avoid.filter((one) => one.nodeId === nodeId).length;
		const isAvoided = (nodeId: string) => avoid.some((one) => one.nodeId === nodeId && one.shard === undefined);
		const helpers = view
			.nodes()
			.filter(({ nodeId, draining }) => nodeId !== edge.nodeId && !draining && !isAvoided(nodeId))
			.toSorted((a, b) => times(a.nodeId) - times(b.nodeId));
		for (const { nodeId } of helpers.slice(0, HELPERS)) {
			try {
				return nodeId === this.nodeId ? await rooms.openRelay(roomId) : (await peers.request(nodeId, 'openRelay', { roomId }, { timeoutMs: RELAY_TIMEOUT_MS })).edge;
			} catch (error) {
				this.#log.debug({ err: error, room: roomId, helper: nodeId }, 'a node could not relay');
			}
		}
		return undefined;
	}

	async #findByDetour(homeId: string, params: PeerParams<'findUpstream'>, unreachable: DomainError): Promise<UpstreamRef> {
		const { view, peers } = this.#options;
		const detours = view.nodes().filter(({ nodeId }) => nodeId !== this.nodeId && nodeId !== homeId);
		for (const { nodeId } of detours.slice(0, DETOURS)) {
			try {
				// What cannot be reached for a question cannot be reached for media either.
				const avoid = [...params.avoid, { nodeId: homeId }];
				const { upstream } = await peers.request(nodeId, 'findUpstream', { ...params, avoid, via: true }, { timeoutMs: 2 * FIND_TIMEOUT_MS });
				this.#log.warn({ room: params.roomId, peer: homeId, via: nodeId, upstream }, 'the home cannot be reached from here; linked by a detour');
				return upstream;
			} catch (error) {
				this.#log.debug({ err: error, room: params.roomId, peer: homeId, via: nodeId }, 'no detour to the home this way');
			}
		}
		throw unreachable;
	}

	async #openHere({ roomId, linkId, upstream, child, remote }: PeerParams<'openDownstream'> | Parameters<LinkBroker['openDownstream']>[0]): Promise<LinkEndpoint & { voices: LinkedVoice[] }> {
		const programme = this.#programme(roomId);
		// Schema and type differ in what stands for a suite's name alone; the worker refuses those it does not know.
		return media(() => programme.openDownstream(upstream.shard, linkId, child, remote as LinkEndpoint));
	}

	#programme(roomId: string): RoomProgramme {
		const programme = this.#options.rooms.programmeOf(roomId);
		if (!programme) {
			throw new DomainError('upstream_unavailable', 'This room has no media on this node.', { retryAfterSeconds: 1 });
		}
		return programme;
	}

	/** By the newest claim: in the heartbeats, or made by the home itself since. */
	#homeOf(roomId: string): RoomHome | undefined {
		const { view } = this.#options;
		const heard = view.homeOf(roomId);
		const told = this.#homes.get(roomId);
		return told && told.epoch > (heard?.epoch ?? -1) && view.node(told.nodeId) ? told : heard;
	}

	#tell(nodeId: string, params: PeerParams<'relink'>): void {
		void this.#forget(this.#options.peers.request(nodeId, 'relink', params), 'a node could not be told to link anew');
	}

	/** Its edges look for the new home's origin, or stay where they are and let it know. */
	#rehome(programme: RoomProgramme): void {
		programme.edges.rehome();
		void this.#renewEdges([programme]);
	}

	/** Tells upstreams' nodes and homes what is in use here; what they do not know is linked anew. */
	async #renew(): Promise<void> {
		const { programmes } = this.#options.rooms;
		await Promise.all([this.#renewLinks(programmes), this.#renewEdges(programmes)]);
	}

	async #renewLinks(programmes: readonly RoomProgramme[]): Promise<void> {
		const lists = new Map<string, PeerParams<'renewLinks'>['links']>();
		for (const { roomId, edges } of programmes) {
			for (const { linkId, upstream } of edges.links()) {
				if (upstream.nodeId !== this.nodeId) {
					append(lists, upstream.nodeId, { roomId, linkId });
				}
			}
		}
		await Promise.all([...lists].map(([nodeId, links]) => this.#forget(this.#renewLinksAt(nodeId, links), 'links could not be renewed')));
	}

	async #renewLinksAt(nodeId: string, links: PeerParams<'renewLinks'>['links']): Promise<void> {
		const { unknown } = await this.#options.peers.request(nodeId, 'renewLinks', { links });
		for (const { roomId, linkId } of unknown) {
			this.#options.rooms.programmeOf(roomId)?.edges.linkUnknown(linkId);
		}
	}

	/** While another link is on its way to an edge, the home knows better than the edge where it hangs. */
	async #renewEdges(programmes: readonly RoomProgramme[]): Promise<void> {
		const nowMs = performance.now();
		const lists = new Map<string, (PeerParams<'renewEdges'>['edges'][number] & { linkId: string })[]>();
		for (const programme of programmes) {
			const { roomId } = programme;
			const isHome = this.isHome(roomId);
			const home = this.#homeOf(roomId)?.nodeId;
			for (const { linkId, shard, upstream, settled } of programme.edges.links()) {
				const edge = { nodeId: this.nodeId, shard };
				if (!settled) {
					continue;
				}
				if (isHome) {
					if (!programme.renewEdge(edge, upstream, nowMs)) {
						programme.edges.linkUnknown(linkId);
					}
				} else if (home !== undefined && home !== this.nodeId) {
					append(lists, home, { roomId, edge, upstream, linkId });
				}
			}
		}
		await Promise.all([...lists].map(([nodeId, list]) => this.#forget(this.#renewEdgesAt(nodeId, list), 'edges could not be renewed')));
	}

	async #renewEdgesAt(nodeId: string, list: readonly (PeerParams<'renewEdges'>['edges'][number] & { linkId: string })[]): Promise<void> {
		const edges = list.map(({ roomId, edge, upstream }) => ({ roomId, edge, upstream }));
		const { unknown } = await this.#options.peers.request(nodeId, 'renewEdges', { edges });
		const refused = new Set(unknown.map(({ roomId, edge }) => `${edge.shard} ${roomId}`));
		for (const { roomId, edge, linkId } of list) {
			// It may hang on something else by now, and that is for the next renewal.
			if (refused.has(`${edge.shard} ${roomId}`)) {
				this.#options.rooms.programmeOf(roomId)?.edges.linkUnknown(linkId);
			}
		}
	}

	#forget(request: Promise<unknown>, message: string): Promise<void> {
		return request.then(
			() => undefined,
			(error: unknown) => this.#log.debug({ err: error }, message),
		);
	}
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
	const list = lists.get(key);
	if (list) {
		list.push(item);
	} else {
		lists.set(key, [item]);
	}
}
