import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PreRollRing } from '../../sfu/rtp/pre-roll-ring.ts';
import { parseRtpPacket, writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';

const push = (ring: PreRollRing, sequenceNumber: number): boolean => {
	const packet = writeRtpPacket({ payloadType: 0, marker: false, sequenceNumber, timestamp: 0, ssrc: 1, payload: Buffer.of(1) });
	parseRtpPacket(packet, ring.spare);
	return ring.push() !== undefined;
};
const content = (ring: PreRollRing): number[] => Array.from({ length: ring.count }, (_, index) => ring.at(index).sequenceNumber);

describe('pre-roll ring', () => {
	test('keeps the newest in order of sequence number, without duplicates, whatever order they come in', () => {
		fc.assert(
			fc.property(
				fc.integer({ min: 1, max: 8 }),
				fc.integer({ min: 0, max: 0xffff }),
				fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 80 }),
				(capacity, first, offsets) => {
					const ring = new PreRollRing(capacity);
					let model: number[] = [];
					for (const offset of offsets) {
						const known = model.includes(offset);
						const tooOld = model.length === capacity && offset < model[0]!;
						expect(push(ring, (first + offset) & 0xffff)).toBe(!known);
						if (!known && !tooOld) model = [...model, offset].toSorted((a, b) => a - b).slice(-capacity);
						expect(content(ring)).toEqual(model.map((value) => (first + value) & 0xffff));
					}
				},
			),
			{ numRuns: 500 },
		);
	});

	test('a restarted source begins an empty ring', () => {
		const ring = new PreRollRing(4);
		for (const sequenceNumber of [1, 2, 3, 30_000, 30_001]) push(ring, sequenceNumber);
		expect(content(ring)).toEqual([30_000, 30_001]);
		ring.clear();
		expect(ring.count).toBe(0);
		push(ring, 5);
		expect(content(ring)).toEqual([5]);
	});
});
