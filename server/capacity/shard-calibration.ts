import { type Static, Type } from 'typebox';
import type { PackingMs } from '../../sfu/contract/media-types.ts';

export const PACKINGS = [20, 40, 60, 120] as const satisfies readonly PackingMs[];

const Positive = (description: string) => Type.Number({ exclusiveMinimum: 0, description });

/** What one listener shard of a machine spends on people, and where that is known from. */
export const ShardCalibration = Type.Object(
	{
		source: Type.Enum(['measured', 'defaults'], { description: 'Measured on that machine, or figures of another one' }),
		measuredAt: Type.Optional(Type.String({ maxLength: 40 })),
		cpuUsPerListenerSecond: Type.Object(
			{ 20: Positive('At 20 ms'), 40: Positive('At 40 ms'), 60: Positive('At 60 ms'), 120: Positive('At 120 ms') },
			{ description: 'Processor time a listener costs each second while one person talks, in µs, by packing' },
		),
		cpuMsPerJoin: Positive('Processor time of a join, in ms, over all processes of the node'),
		bytesPerListener: Positive('Memory'),
	},
	// No word on further members: calibrations travel in heartbeats, and a newer version may say more.
);
export type ShardCalibration = Static<typeof ShardCalibration>;

/**
 * Until a machine was calibrated: what `npm run bench` found on a shared 2-core machine (Xeon, Node 24, mediasoup 3.27,
 * SRTP AEAD_AES_256_GCM), the worse figure where runs differ.
 */
export const DEFAULT_CALIBRATION: ShardCalibration = {
	source: 'defaults',
	cpuUsPerListenerSecond: { 20: 430, 40: 300, 60: 250, 120: 170 },
	cpuMsPerJoin: 2.5,
	bytesPerListener: 120_000,
};
