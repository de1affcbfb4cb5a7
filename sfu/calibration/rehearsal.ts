import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import { makeSessionId } from '../contract/session-id.ts';
import type { RehearsalResult } from '../contract/shard-protocol.ts';
import { Edge } from '../edge/edge.ts';
import { SessionTable } from '../session/session-table.ts';
import { UNCLAIMED_LISTEN_INFO, UNCLAIMED_PORTS } from '../session/unclaimed-ports.ts';
import type { ShardHandlers } from '../shard/request-server.ts';
import { SYNTHETIC_OFFER, SYNTHETIC_VOICES } from './synthetic-offer.ts';
import { SyntheticProgramme } from './synthetic-programme.ts';

export interface RehearsalOptions {
	worker: types.Worker;
	log: Logger;
	/** Somebody real is here or on the way in. */
	isServing: () => boolean;
}

const ROOM = 'rehearsal';
const CONNECT_TIMEOUT_MS = 60_000;
/** Made in one turn, as a crowd's are; few, so that somebody real waits for no more than these. */
const AT_ONCE = 4;
/** Said to those who have joined, each time. */
const PACKETS_AT_ONCE = 10;
/** Between them: the shard may be needed for speech that goes through it, and the processor for others. */
const PAUSE_MS = 4;

/**
 * A shard's first few hundred joins cost three times what later ones do: its code is not compiled yet, its heaps have not
 * grown. Its first minute of speech costs half as much again. A crowd comes all at once, so the first few hundred joins are
 * made with nobody: the same edge, the same transports and consumers, a programme over a link, closed again. They have
 * ports, a room and a session table of their own and are in no statistics.
 */
export function rehearsalHandlers({ worker, log, isServing }: RehearsalOptions): Pick<ShardHandlers, 'shard.rehearse'> {
	return {
		'shard.rehearse': async ({ joins }): Promise<RehearsalResult> => {
			if (isServing()) {
				return { joins: 0, yielded: true };
			}
			const port = await worker.createWebRtcServer({ listenInfos: [UNCLAIMED_LISTEN_INFO] });
			const edge = Edge.create({
				worker,
				roomId: ROOM,
				voices: SYNTHETIC_VOICES,
				packingMs: 60,
				transports: (router) => router.createWebRtcTransport({ webRtcServer: port, enableUdp: true }),
				sessions: new SessionTable(CONNECT_TIMEOUT_MS),
				link: UNCLAIMED_PORTS,
				maxDownstreams: 1,
				log: log.child({}, { level: 'silent' }),
				emit: () => {},
			});
			let programme: SyntheticProgramme | undefined;
			try {
				programme = await SyntheticProgramme.start(worker, edge, UNCLAIMED_PORTS);
				let done = 0;
				while (done < joins && !isServing()) {
					const count = Math.min(AT_ONCE, joins - done);
					await Promise.all(Array.from({ length: count }, () => edge.join(makeSessionId(0, randomBytes(16).toString('hex')), SYNTHETIC_OFFER, undefined)));
					done += count;
					programme.speak(PACKETS_AT_ONCE);
					await sleep(PAUSE_MS);
				}
				return { joins: done, yielded: done < joins };
			} finally {
				programme?.close();
				edge.close('rehearsed');
				port.close();
			}
		},
	};
}
