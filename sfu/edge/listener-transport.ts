import type { types } from 'mediasoup';
import type { TransportFactory } from '../session/web-rtc-server.ts';
import type { EdgeRouter } from './edge-router.ts';

/** All that a listener needs of the worker: a transport with a consumer for each voice it takes. */
export interface ListenerTransport {
	readonly transport: types.WebRtcTransport;
	/** Of its voices, in order. */
	readonly ssrcs: readonly number[];
}

/**
 * @param dtlsParameters the listener's; without, the transport is made ahead of one, and connected when somebody comes
 * @throws whatever mediasoup throws, with nothing left behind
 */
export async function makeListenerTransport(
	router: EdgeRouter,
	transports: TransportFactory,
	voiceIndices: readonly number[],
	dtlsParameters?: types.DtlsParameters,
): Promise<ListenerTransport> {
	router.gatherRequests();
	const transport = await transports(router.router);
	try {
		router.gatherRequests();
		// One burst to the worker: it works them off in order, and one round trip covers all.
		const [consumers] = await Promise.all([
			Promise.all(
				voiceIndices.map((index) => transport.consume({ producerId: router.producerId(index), rtpCapabilities: router.capabilities, enableRtx: false })),
			),
			dtlsParameters && transport.connect({ dtlsParameters }),
		]);
		return { transport, ssrcs: consumers.map(({ rtpParameters }) => ssrcOf(rtpParameters.encodings?.[0]?.ssrc)) };
	} catch (error) {
		transport.close();
		throw error;
	}
}

function ssrcOf(ssrc: number | undefined): number {
	if (ssrc === undefined) {
		throw new Error('mediasoup gave a consumer no SSRC');
	}
	return ssrc;
}
