import { setTimeout as sleep } from 'node:timers/promises';
import type { types } from 'mediasoup';
import { SfuError } from '../contract/sfu-error.ts';
import type { ShardAssignment } from '../contract/shard-protocol.ts';
import { UNCLAIMED_PORTS } from './unclaimed-ports.ts';

/** Makes a WebRTC transport on the shard's one port. */
export type TransportFactory = (router: types.Router) => Promise<types.WebRtcTransport>;

/** Less than a shard has for its answer, so that it can say what is wrong. */
const BIND_WITHIN_MS = 3_500;
const BIND_PAUSE_MS = 20;

/**
 * Opens the shard's UDP and TCP port. A shard that replaces a dead one may come before the kernel
 * has taken the port back from the dead worker, so it tries for a while.
 */
export async function openWebRtcServer(worker: types.Worker, { listenAddresses, mediaPort }: ShardAssignment): Promise<types.WebRtcServer> {
	const listenInfos = listenAddresses.flatMap(({ ip, announcedAddress }) =>
		(['udp', 'tcp'] as const).map((protocol) => ({
			protocol,
			ip,
			...(mediaPort === 0 ? { portRange: UNCLAIMED_PORTS } : { port: mediaPort }),
			...(announcedAddress === undefined ? {} : { announcedAddress }),
		})),
	);
	const untilMs = performance.now() + BIND_WITHIN_MS;
	for (;;) {
		try {
			return await worker.createWebRtcServer({ listenInfos });
		} catch (error) {
			if (performance.now() > untilMs) {
				// Of the sfu's own kind, so that these words reach whoever started the node.
				throw new SfuError('shard_failed', `media port ${mediaPort} cannot be opened (UDP and TCP): is another program using it?`, { cause: error });
			}
			await sleep(BIND_PAUSE_MS);
		}
	}
}

export function webRtcTransportFactory(webRtcServer: types.WebRtcServer, { iceConsentTimeoutSeconds }: ShardAssignment): TransportFactory {
	return (router) =>
		router.createWebRtcTransport({
			webRtcServer,
			enableUdp: true,
			enableTcp: true,
			preferUdp: true,
			iceConsentTimeout: iceConsentTimeoutSeconds,
		});
}
