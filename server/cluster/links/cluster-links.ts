import type { Logger } from 'pino';
import type { LinkedVoice, LinkEndpoint } from '../../../sfu/contract/media-types.ts';
import { DomainError } from '../../errors.ts';
import type { Avoided, LinkBroker } from '../../programme/link-broker.ts';
import { media } from '../../programme/media-error.ts';
import type { RoomProgramme } from '../../programme/room-programme.ts';
import type { ClusterView } from '../cluster-view.ts';
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
/** Other nodes that are asked when the home cannot be reached from here. */
const DETOURS = 2;
const RENEW_MS = 5_000;

type LinkRequests = 'findUpstream' | 'relink' | 'detachEdge' | 'openDownstream' | 'closeDownstream' | 'renewLinks' | 'renewEdges' | 'openRelay';

/** Links between this node's shards and others', wherever those are: the asking side, the answering side, and the renewal. */
export class ClusterLinks implements LinkBroker {
	readonly #options: ClusterLinksOptions;
	readonly #log: Logger;
	readonly #timer: NodeJS.Timeout;
	/** Homes that edges here were linked for, to notice that one has moved. */
	readonly #epochs = new Map<string, number>();

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
		return this.#options.homes.epochOf(roomId) !== undefined;
	}

	async findUpstream(roomId: string, edge: EdgeRef, avoid: readonly Avoided[]): Promise<UpstreamRef> {
		const { view, peers } = this.#options;
		if (this.isHome(roomId)) {
			return this.#findAtHome(roomId, edge, avoid);
		}
		const home = view.homeOf(roomId);
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
		const { view, peers, rooms } = this.#options;
		if (this.isHome(roomId)) {
			rooms.programmeOf(roomId)?.detach(edge);
			return;
		}
		const home = view.homeOf(roomId);
		if (home && home.nodeId !== this.nodeId) {
			void this.#forget(peers.request(home.nodeId, 'detachEdge', { roomId, edge }), 'an edge could not be detached at its home');
		}
	}

	/** Tells the nodes of these edges (undefined: every node with listeners of the room) to find other upstreams. */
	tellRelink(roomId: string, edges: readonly EdgeRef[] | undefined): void {
		const { view, peers, rooms, homes } = this.#options;
		const epoch = homes.epochOf(roomId) ?? 0;
		for (const { nodeId, rooms: theirs } of view.nodes()) {
			const named = edges?.filter((edge) => edge.nodeId === nodeId);
			if (nodeId === this.nodeId) {
				if (named && named.length > 0) {
					rooms.programmeOf(roomId)?.edges.relink(named.map(({ shard }) => shard));
				}
			} else if (named ? named.length > 0 : theirs[roomId] !== undefined) {
				void this.#forget(peers.request(nodeId, 'relink', { roomId, epoch, ...(named && { edges: named }) }), 'a node could not be told to link anew');
			}
		}
	}

	/** A round of heartbeats came in: rooms whose home has moved are linked to the new one. */
	homesChanged(): void {
		const { rooms, view } = this.#options;
		for (const { roomId, edges } of rooms.programmes) {
			const epoch = view.homeOf(roomId)?.epoch;
			if (epoch !== undefined && epoch !== this.#epochs.get(roomId)) {
				const first = !this.#epochs.has(roomId);
				this.#epochs.set(roomId, epoch);
				if (!first && !this.isHome(roomId)) {
					edges.relink();
				}
			}
		}
		for (const roomId of this.#epochs.keys()) {
			if (!rooms.programmeOf(roomId)) {
				this.#epochs.delete(roomId);
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
			if (epoch !== undefined) {
				return { upstream: await this.#findAtHome(roomId, edge, avoid), epoch };
			}
			const home = this.#options.view.homeOf(roomId);
			if (via !== true || !home || home.nodeId === this.nodeId) {
				throw new DomainError('not_home', 'This room does not live on this node.', { retryAfterSeconds: 1 });
			}
			return this.#options.peers.request(home.nodeId, 'findUpstream', { roomId, edge, avoid }, { timeoutMs: FIND_TIMEOUT_MS });
		},
		relink: async ({ roomId, epoch, edges }) => {
			this.#epochs.set(roomId, epoch); // The heartbeats will bring the same news.
			this.#options.rooms.programmeOf(roomId)?.edges.relink(edges?.map(({ shard }) => shard));
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
			return {
				unknown: edges.filter(({ roomId, edge, upstream }) => !this.isHome(roomId) || this.#options.rooms.programmeOf(roomId)?.renewEdge(edge, upstream, nowMs) !== true).map(({ roomId, edge }) => ({ roomId, edge })),
			};
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
			const { view, peers, rooms } = this.#options;
			const times = (nodeId: string) => avoid.filter((one) => one.nodeId === nodeId).length;
			const isAvoided = (nodeId: string) => avoid.some((one) => one.nodeId === nodeId && one.shard === undefined);
			const [helper] = view
				.nodes()
				.filter(({ nodeId, draining }) => nodeId !== edge.nodeId && !draining && !isAvoided(nodeId))
				.toSorted((a, b) => times(a.nodeId) - times(b.nodeId));
			if (!helper) {
				throw error;
			}
			const relay = helper.nodeId === this.nodeId ? await rooms.openRelay(roomId) : (await peers.request(helper.nodeId, 'openRelay', { roomId }, { timeoutMs: OPEN_TIMEOUT_MS })).edge;
			// It asks for its own upstream at the same time; whoever comes first, it has its place before others hang on it.
			await programme.findUpstream(relay, []);
			return programme.findUpstream(edge, avoid);
		}
	}

	async #findByDetour(homeId: string, params: PeerParams<'findUpstream'>, unreachable: DomainError): Promise<UpstreamRef> {
		const { view, peers } = this.#options;
		const detours = view.nodes().filter(({ nodeId }) => nodeId !== this.nodeId && nodeId !== homeId);
		for (const { nodeId } of detours.slice(0, DETOURS)) {
			try {
				// What cannot be reached for a question cannot be reached for media either.
				const avoid = [...params.avoid, { nodeId: homeId }];
				const { upstream } = await peers.request(nodeId, 'findUpstream', { ...params, avoid, via: true }, { timeoutMs: 2 * FIND_TIMEOUT_MS + OPEN_TIMEOUT_MS });
				this.#log.warn({ room: params.roomId, home: homeId, via: nodeId, upstream }, 'the home cannot be reached from here; linked by a detour');
				return upstream;
			} catch (error) {
				this.#log.debug({ err: error, room: params.roomId, via: nodeId }, 'no detour to the home this way');
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

	/** Tells upstreams' nodes and homes what is in use here; what they do not know is linked or attached anew. */
	async #renew(): Promise<void> {
		const { view, peers, rooms } = this.#options;
		const nowMs = performance.now();
		const links = new Map<string, PeerParams<'renewLinks'>['links']>();
		const edges = new Map<string, PeerParams<'renewEdges'>['edges']>();
		for (const programme of rooms.programmes) {
			const { roomId } = programme;
			const home = view.homeOf(roomId)?.nodeId;
			for (const { linkId, shard, upstream } of programme.edges.links()) {
				const edge = { nodeId: this.nodeId, shard };
				if (upstream.nodeId !== this.nodeId) {
					append(links, upstream.nodeId, { roomId, linkId });
				}
				if (this.isHome(roomId)) {
					programme.renewEdge(edge, upstream, nowMs);
				} else if (home !== undefined && home !== this.nodeId) {
					append(edges, home, { roomId, edge, upstream });
				}
			}
		}
		await Promise.all([
			...[...links].map(async ([nodeId, list]) => {
				const { unknown } = await peers.request(nodeId, 'renewLinks', { links: list });
				for (const { roomId, linkId } of unknown) {
					rooms.programmeOf(roomId)?.edges.linkUnknown(linkId);
				}
			}),
			...[...edges].map(async ([nodeId, list]) => {
				const { unknown } = await peers.request(nodeId, 'renewEdges', { edges: list });
				for (const { roomId, edge } of unknown) {
					rooms.programmeOf(roomId)?.edges.relink([edge.shard]);
				}
			}),
		].map((renewal) => this.#forget(renewal, 'links could not be renewed')));
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
