import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import type { PackingMs } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import { STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';
import type { VoicePacket } from '../rtp/voice-packet.ts';
import type { TransportFactory } from '../session/web-rtc-server.ts';
import { type EdgeKind, edgeKindKey, edgeKindOf, effectivePackingMs, RELAY_KIND } from './edge-kind.ts';
import { EdgeRouter } from './edge-router.ts';
import type { EdgeTap } from './edge-tap.ts';
import { SpareRow } from './spare-row.ts';
import { SpareRows, type SparePlace } from './spare-rows.ts';

/** Kinds of clients at once; a client can choose among 61 payload types, and must not make a router for each. */
const MAX_ROUTERS = 24;
/** An edge router that nobody has used for this long is closed, unless it is the last one that clients may use. */
const IDLE_ROUTER_MS = 60_000;
/** Each crowd leaves a router with those who came with it, which costs a little with every packet; so many crowds are enough. */
const MAX_ROWS = 8;
const RELAY_KEY = edgeKindKey(RELAY_KIND);
/** Chromium, Safari and all that are made like them: who is expected where nobody listens yet. */
const COMMON_KIND = edgeKindOf(STAGE_PAYLOAD_TYPE, 120, undefined);

export interface EdgeRoutersOptions {
	worker: types.Worker;
	/** K; a solo voice is added. */
	voices: number;
	packingMs: PackingMs;
	/** Whether anybody takes this voice has changed. */
	onDemand: (voiceIndex: number) => void;
	transports: TransportFactory;
	log: Logger;
}

/**
 * The routers of an edge: one for each kind of client (see `EdgeKind`) and one for links, made when first asked for, and one
 * more with transports for a crowd, made ahead.
 */
export class EdgeRouters {
	readonly #options: EdgeRoutersOptions;
	readonly #routers = new Map<string, Promise<EdgeRouter>>();
	/** Of those, who are ready. A row that a crowd has begun is none of them: nobody else is sent there. */
	readonly #byKind = new Map<string, EdgeRouter>();
	/** The routers that are ready, for the packet path; the relay first, for those behind it are further away. */
	readonly #ready: EdgeRouter[] = [];
	readonly #taps = new Set<EdgeTap>();
	readonly #spare: SpareRows;
	/** The link whose packets come. */
	#upstream: string | undefined;
	#packingMs: PackingMs;
	#packetsSentByClosed = 0;
	#closed = false;

	constructor(options: EdgeRoutersOptions) {
		this.#options = options;
		this.#packingMs = options.packingMs;
		const all = Array.from({ length: options.voices }, (_, index) => index);
		this.#spare = new SpareRows({
			open: async (kind) => {
				const router = await this.#open(kind);
				router.introduce(performance.now());
				return router;
			},
			kindToExpect: () => this.#ready.reduce((most, { kind, takers }) => (kind.relay || takers <= most.takers ? most : { kind, takers }), { kind: COMMON_KIND, takers: 0 }).kind,
			makeRow: (router) => new SpareRow(router, options.transports, all),
			log: options.log,
		});
	}

	get packetsSent(): number {
		return this.#ready.reduce((sum, router) => sum + router.packetsSent, this.#packetsSentByClosed);
	}

	/** Single-flight for each kind; a failure is not remembered. */
	require(kind: EdgeKind): Promise<EdgeRouter> {
		const key = edgeKindKey(kind);
		let router = this.#routers.get(key);
		if (!router) {
			if (!kind.relay) {
				this.#makeRoom();
			}
			router = this.#open(kind).then(
				(opened) => {
					this.#byKind.set(key, opened);
					return opened;
				},
				(error: unknown) => {
					this.#routers.delete(key);
					throw error;
				},
			);
			this.#routers.set(key, router);
		}
		return router;
	}

	/** A place that was made ahead, for a listener of all voices who comes with a crowd. */
	takeSpare(kind: EdgeKind): SparePlace | undefined {
		return this.#spare.take(kind);
	}

	/** Transports made ahead that wait. */
	get spareTransports(): number {
		return this.#spare.size;
	}

	/** Called at each tick of a shard that is not held up. @param target of transports to be ready for a crowd */
	prepare(target: number, nowMs: number, busy: boolean): void {
		const rows = this.#ready.length - this.#byKind.size;
		this.#spare.tick(rows > MAX_ROWS ? 0 : target, nowMs, busy);
	}

	/** Whether anybody takes this voice. */
	wants(index: number): boolean {
		return (this.#taps.size > 0 && index < this.#options.voices) || this.#ready.some((router) => router.wants(index));
	}

	/** All voices are fetched for it until it is removed. */
	addTap(tap: EdgeTap): void {
		this.#taps.add(tap);
		if (this.#upstream !== undefined) {
			tap.setUpstream(this.#upstream);
		}
		this.#tapsChanged();
	}

	removeTap(tap: EdgeTap): void {
		if (this.#taps.delete(tap)) {
			this.#tapsChanged();
		}
	}

	/** The packet path. */
	onVoicePacket(index: number, packet: VoicePacket, nowMs: number): void {
		for (const router of this.#ready) {
			router.onVoicePacket(index, packet, nowMs);
		}
		if (this.#taps.size > 0 && index < this.#options.voices) {
			for (const tap of this.#taps) {
				tap.onVoicePacket(index, packet, nowMs);
			}
		}
	}

	setUpstream(linkId: string): void {
		this.#upstream = linkId;
		for (const router of this.#ready) {
			router.setUpstream(linkId);
		}
		for (const tap of this.#taps) {
			tap.setUpstream(linkId);
		}
	}

	setPackingMs(packingMs: PackingMs): void {
		this.#packingMs = packingMs;
		for (const router of this.#ready) {
			router.setPackingMs(effectivePackingMs(router.kind, packingMs));
		}
	}

	tick(nowMs: number): void {
		for (const router of this.#ready) {
			router.tick(nowMs);
		}
		this.#closeIdle(nowMs, IDLE_ROUTER_MS);
	}

	close(reason: string): void {
		this.#closed = true;
		this.#spare.close();
		for (const router of this.#ready) {
			router.close(reason);
		}
	}

	#tapsChanged(): void {
		for (let index = 0; index < this.#options.voices; index++) {
			this.#options.onDemand(index);
		}
	}

	#makeRoom(): void {
		const full = () => this.#routers.size - (this.#routers.has(RELAY_KEY) ? 1 : 0) >= MAX_ROUTERS;
		if (full()) {
			this.#closeIdle(performance.now(), 0);
		}
		if (full()) {
			throw new SfuError('shard_full', 'too many different kinds of clients listen to this room here; offer Opus as payload type 111');
		}
	}

	async #open(kind: EdgeKind): Promise<EdgeRouter> {
		const { worker, voices, onDemand } = this.#options;
		const router = await EdgeRouter.create({
			worker,
			kind,
			voices,
			packingMs: effectivePackingMs(kind, this.#packingMs),
			nowMs: performance.now(),
			onDemand,
		});
		if (this.#closed) {
			router.close('room closed');
			throw new SfuError('room_unknown', 'the room closed meanwhile');
		}
		router.setPackingMs(effectivePackingMs(kind, this.#packingMs)); // It may have changed while the router was made.
		if (this.#upstream !== undefined) {
			router.setUpstream(this.#upstream);
		}
		if (kind.relay) {
			this.#ready.unshift(router);
		} else {
			this.#ready.push(router);
		}
		return router;
	}

	#closeIdle(nowMs: number, idleMs: number): void {
		let forClients = [...this.#byKind.values()].filter(({ kind }) => !kind.relay).length;
		for (let i = this.#ready.length - 1; i >= 0; i--) {
			const router = this.#ready[i];
			if (!router || this.#spare.holds(router) || router.idleMs(nowMs) <= idleMs) {
				continue;
			}
			const key = edgeKindKey(router.kind);
			if (this.#byKind.get(key) === router) {
				if (!router.kind.relay && forClients <= 1) {
					continue;
				}
				forClients -= router.kind.relay ? 0 : 1;
				this.#byKind.delete(key);
				this.#routers.delete(key);
			}
			this.#ready.splice(i, 1);
			this.#packetsSentByClosed += router.packetsSent;
			router.close('idle');
		}
	}
}
