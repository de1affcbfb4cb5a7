import type { SupervisorOptions } from '../../sfu/supervisor/supervisor.ts';

/**
 * Shards on 127.0.0.1, as tests start them.
 * @param mediaPort the first of 100 ports: shards from here on, links from 20 further on
 */
export function loopbackShards(mediaPort: number): Omit<SupervisorOptions, 'log'> {
	return {
		stageShards: 1,
		listenerShards: 1,
		spareShards: 0,
		mediaPort,
		listenAddresses: [{ ip: '127.0.0.1' }],
		linkPortMin: mediaPort + 20,
		linkPortMax: mediaPort + 99,
		iceConsentTimeoutSeconds: 30,
		connectTimeoutMs: 10_000,
		maxListenersPerShard: 1_000,
		requestTimeoutMs: 5_000,
	};
}
