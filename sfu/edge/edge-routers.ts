import type { types } from 'mediasoup';
import type { PackingMs } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import type { VoicePacket } from '../rtp/voice-packet.ts';
import { type EdgeKind, edgeKindKey, effectivePackingMs, RELAY_KIND } from './edge-kind.ts';
import { EdgeRouter } from './edge-router.ts';
import type { EdgeTap } from './edge-tap.ts';

/** Kinds of clients at once; a client can choose among 61 payload types, and must not make a router for each. */
const MAX_ROUTERS = 24;
/** An edge router that nobody has used for this long is closed, unless it is the last one that clients may use. */
const IDLE_ROUTER_MS = 60_000;
const RELAY_KEY = edgeKindKey(RELAY_KIND);

export interface EdgeRoutersOptions {
	worker: types.Worker;
	/** K; a solo voice is added. */
	voices: number;
	packingMs: PackingMs;
	/** Whether anybody takes this voice has changed. */
	onDemand: (voiceIndex: number) => void;
}

/** The routers of an edge: one for each kind of client (see `EdgeKind`) and one for links, made when first asked for. */
export class EdgeRouters {
	readonly #options: EdgeRoutersOptions;
	readonly #routers = new Map<string, Promise<EdgeRouter>>();
	/** The routers that are ready, for the packet path; the relay first, for those behind it are further away. */
	readonly #ready: EdgeRouter[] = [];
	readonly #taps = new Set<EdgeTap>();
	/** The link whose packets come. */
	#upstream: string | undefined;
	#packingMs: PackingMs;
	#packetsSentByClosed = 0;
	#closed = false;

	constructor(options: EdgeRoutersOptions) {
		this.#options = options;
		this.#packingMs = options.packingMs;
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
			router = this.#open(kind).catch((error: unknown) => {
				this.#routers.delete(key);
				throw error;
			});
			this.#routers.set(key, router);
		}
		return router;
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
		let forClients = this.#ready.filter(({ kind }) => !kind.relay).length;
		for (let i = this.#ready.length - 1; i >= 0; i--) {
			const router = this.#ready[i];
			if (!router || router.idleMs(nowMs) <= idleMs || (!router.kind.relay && forClients <= 1)) {
				continue;
			}
			forClients -= router.kind.relay ? 0 : 1;
			this.#ready.splice(i, 1);
			this.#routers.delete(edgeKindKey(router.kind));
			this.#packetsSentByClosed += router.packetsSent;
			router.close('idle');
		}
	}
}
