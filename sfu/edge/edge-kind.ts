import type { PackingMs } from '../contract/media-types.ts';
import { STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';

/**
 * What sets one edge router apart from another of the same room: mediasoup sends with the router's payload
 * type, and packing is done before the router.
 */
export interface EdgeKind {
	payloadType: number;
	/** Asked for by `?packing=`; undefined follows the room. */
	fixedMs: PackingMs | undefined;
	/** The longest packet this kind of client takes (RFC 7587 `maxptime`). */
	maxMs: PackingMs;
	/** For edges behind this one, and not for clients: every packet goes on as it came. */
	relay: boolean;
}

/** One router serves all links that begin at an edge. Its packing is that of links: as spoken. */
export const RELAY_KIND: EdgeKind = { payloadType: STAGE_PAYLOAD_TYPE, fixedMs: 20, maxMs: 20, relay: true };

const STEPS: readonly PackingMs[] = [20, 40, 60, 120];

/** @param maxPackingMs as the client said it, 20 to 120; rounded down to a step so that few kinds arise */
export function edgeKindOf(payloadType: number, maxPackingMs: number, fixedMs: PackingMs | undefined): EdgeKind {
	return { payloadType, fixedMs, maxMs: STEPS.findLast((step) => step <= maxPackingMs) ?? 20, relay: false };
}

export const edgeKindKey = ({ payloadType, fixedMs, maxMs, relay }: EdgeKind): string => (relay ? 'relay' : `${payloadType}/${fixedMs ?? 'room'}/${maxMs}`);

/** What a router of this kind sends when the room packs `roomMs`. */
export function effectivePackingMs({ fixedMs, maxMs }: EdgeKind, roomMs: PackingMs): PackingMs {
	return Math.min(fixedMs ?? roomMs, maxMs) as PackingMs;
}
