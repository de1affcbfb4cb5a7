import type { ShardFigures } from '../../sfu/supervisor/calibrate-shard.ts';
import { NODE_MS_A_JOIN } from './capacity-rule.ts';
import { DEFAULT_CALIBRATION, type ShardCalibration } from './shard-calibration.ts';

/**
 * What real listeners cost and synthetic ones do not, taken from `npm run bench` (real DTLS clients) beside a calibration
 * on the same machine. They are the same on every machine in figures that a faster one beats, so a calibration errs on the safe side there.
 */
export const NOT_MEASURED = {
	/** The DTLS handshake in the worker, and what the shard is told of it. */
	handshakeMs: 1.5,
	/** ICE consent, and RTCP that listeners send. */
	consentUsPerSecond: 50,
	/** Keys and buffers of DTLS and SRTP. */
	handshakeBytes: 45_000,
} as const;

/** Less than this is a mistake of the measurement: a transport alone has more. */
const MIN_BYTES = 20_000;

/**
 * A calibration out of what was measured at 20 and 60 ms. Cost goes with packets, so that two points give the others.
 * Undefined when the figures make no sense: a packet has to cost something.
 */
export function calibrationOf({ cpuMsPerJoin, bytesPerListener, cpuUsPerListenerSecond: measured }: ShardFigures, measuredAt: Date): ShardCalibration | undefined {
	const often = measured.find(({ packingMs }) => packingMs === 20)?.us;
	const seldom = measured.find(({ packingMs }) => packingMs === 60)?.us;
	if (often === undefined || seldom === undefined || !(often > seldom && seldom > 0 && cpuMsPerJoin > 0)) {
		return undefined;
	}
	const usTimesMs = (often - seldom) / (1 / 20 - 1 / 60);
	const still = Math.max(0, seldom - usTimesMs / 60);
	const at = (packingMs: number) => Math.round(still + usTimesMs / packingMs + NOT_MEASURED.consentUsPerSecond);
	return {
		source: 'measured',
		measuredAt: measuredAt.toISOString(),
		cpuUsPerListenerSecond: { 20: at(20), 40: at(40), 60: at(60), 120: at(120) },
		cpuMsPerJoin: Math.round((cpuMsPerJoin + NOT_MEASURED.handshakeMs + NODE_MS_A_JOIN) * 100) / 100,
		bytesPerListener: Number.isFinite(bytesPerListener)
			? Math.round(Math.max(MIN_BYTES, bytesPerListener) + NOT_MEASURED.handshakeBytes)
			: DEFAULT_CALIBRATION.bytesPerListener,
	};
}
