import type { PackingMs } from '../../sfu/contract/media-types.ts';
import type { Packing } from '../rooms/room.ts';

export interface AutoPacking {
	/** From this audience on packets carry more. */
	thresholdListeners: number;
	smallMs: PackingMs;
	largeMs: PackingMs;
}

/** An audience must shrink to this part of the threshold before packing goes back, so that it does not flap. */
const HYSTERESIS = 0.8;

/** What a room's packets to listeners carry now. */
export function choosePackingMs(packing: Packing, listeners: number, current: PackingMs | undefined, auto: AutoPacking): PackingMs {
	if (packing !== 'auto') {
		return packing;
	}
	const threshold = current === auto.largeMs ? auto.thresholdListeners * HYSTERESIS : auto.thresholdListeners;
	return listeners >= threshold ? auto.largeMs : auto.smallMs;
}
