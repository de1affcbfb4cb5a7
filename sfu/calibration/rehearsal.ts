import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import { makeSessionId } from '../contract/session-id.ts';
import type { RehearsalResult } from '../contract/shard-protocol.ts';
import { Edge } from '../edge/edge.ts';
import { SessionTable } from '../session/session-table.ts';
import type { ShardHandlers } from '../shard/request-server.ts';
import { SYNTHETIC_OFFER, SYNTHETIC_VOICES } from './synthetic-offer.ts';

export interface RehearsalOptions {
	worker: types.Worker;
	log: Logger;
	/** Somebody real is here or on the way in. */
	isServing: () => boolean;
}

const LOOPBACK = '127.0.0.1';
const ROOM = 'rehearsal';
const CONNECT_TIMEOUT_MS = 60_000;
/** Made in one turn, as a crowd's are; few, so that somebody real waits for no more than these. */
const AT_ONCE = 4;
/** Between them: the shard may be needed for speech that goes through it, and the processor for others. */
const PAUSE_MS = 4;

/**
 * A shard's first few hundred joins cost three times what later ones do: its code is not compiled yet, its heaps have not
 * grown. A crowd comes all at once, so the first few hundred are made with nobody: the same edge, the same transports and
 * consumers, closed again. They have a port, a room and a session table of their own and are in no statistics.
 */
export function rehearsalHandlers({ worker, log, isServing }: RehearsalOptions): Pick<ShardHandlers, 'shard.rehearse'> {
	return {
		'shard.rehearse': async ({ joins }): Promise<RehearsalResult> => {
			if (isServing()) {
				return { joins: 0, yielded: true };
			}
			const port = await worker.createWebRtcServer({ listenInfos: [{ protocol: 'udp', ip: LOOPBACK, port: 0 }] }); // Any that is free.
			const edge = Edge.create({
				worker,
				roomId: ROOM,
				voices: SYNTHETIC_VOICES,
				packingMs: 60,
				transports: (router) => router.createWebRtcTransport({ webRtcServer: port, enableUdp: true }),
				sessions: new SessionTable(CONNECT_TIMEOUT_MS),
				link: { min: 1, max: 1 }, // No link begins or ends here.
				maxDownstreams: 1,
				log: log.child({}, { level: 'silent' }),
				emit: () => {},
			});
			try {
				let done = 0;
				while (done < joins && !isServing()) {
					const count = Math.min(AT_ONCE, joins - done);
					await Promise.all(Array.from({ length: count }, () => edge.join(makeSessionId(0, randomBytes(16).toString('hex')), SYNTHETIC_OFFER, undefined)));
					done += count;
					await sleep(PAUSE_MS);
				}
				return { joins: done, yielded: done < joins };
			} finally {
				edge.close('rehearsed');
				port.close();
			}
		},
	};
}
