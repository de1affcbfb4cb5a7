import type { TrackPacket } from './ogg-opus-writer.ts';

/** The shortest Opus frame, 2.5 ms: tracks are laid out on this grid, since every Opus packet is a whole number of them. */
export const GRID_SAMPLES = 120;

/**
 * CELT, fullband, one channel, with nothing but the flag that says silence (RFC 6716 §4.3): by length of the frame. Not a
 * DTX frame, for that asks a decoder to make up noise.
 */
const FRAMES: readonly TrackPacket[] = [
	{ samples: 960, payload: Buffer.of(31 << 3, 0xff, 0xfe) },
	{ samples: 480, payload: Buffer.of(30 << 3, 0xff, 0xfe) },
	{ samples: 240, payload: Buffer.of(29 << 3, 0xff, 0xfe) },
	{ samples: 120, payload: Buffer.of(28 << 3, 0xff, 0xfe) },
];

/** Packets of silence that last this long. @throws RangeError when that is not a whole number of `GRID_SAMPLES` */
export function opusSilence(samples: number): TrackPacket[] {
	if (samples < 0 || samples % GRID_SAMPLES !== 0) {
		throw new RangeError(`silence of ${samples} samples cannot be made`);
	}
	const packets: TrackPacket[] = [];
	let left = samples;
	for (const frame of FRAMES) {
		for (; left >= frame.samples; left -= frame.samples) {
			packets.push(frame);
		}
	}
	return packets;
}
