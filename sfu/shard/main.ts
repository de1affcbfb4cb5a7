// Entry of a shard process: one mediasoup worker, one WebRtcServer, and the rooms' parts that are placed here.
// Started by sfu/supervisor; everything it knows comes over the child-process channel.
import type { types } from 'mediasoup';
import pino from 'pino';
import { calibrationHandlers } from '../calibration/calibration-handlers.ts';
import { rehearsalHandlers } from '../calibration/rehearsal.ts';
import { workerBinary } from '../worker/worker-binary.ts';
import { startWorker } from '../worker/worker-requests.ts';
import { RequestServer } from './request-server.ts';
import { ShardHost } from './shard-host.ts';

/** Time for the last words (RTCP BYE, results) to leave the process. */
const LINGER_MS = 50;

const log = pino({ level: process.env['ROSTRUM_SHARD_LOG_LEVEL'] ?? 'info' });

// The node is gone: nobody can be told anything, and nobody may be served by a shard without its node.
process.on('disconnect', () => process.exit(0));
if (!process.connected) {
	process.exit(0); // It went while our modules were loaded, and that is not announced again.
}
// Signals meant for the node's terminal do not concern a shard; the node ends it over the channel.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

const workerBin = workerBinary();
const worker = await startWorker({
	logLevel: (process.env['ROSTRUM_WORKER_LOG_LEVEL'] ?? 'error') as types.WorkerLogLevel,
	...(workerBin === undefined ? {} : { workerBin }),
});

// One failure to handle instead of two: a shard does not outlive its worker.
worker.on('died', (error) => {
	log.fatal({ err: error }, 'the mediasoup worker died; leaving');
	process.exit(1);
});

function leave(reason: string): void {
	host.close(reason);
	setTimeout(() => process.exit(0), LINGER_MS);
}

const host = new ShardHost({
	worker,
	log,
	emit: (name, data) => server.event(name, data),
	onNodeHung: () => {
		log.error('the node process hangs; ending every session, so that people go elsewhere');
		leave('the server hangs');
	},
});
const server = new RequestServer(
	process,
	{
		...host.handlers,
		...calibrationHandlers(worker),
		...rehearsalHandlers({ worker, log, isServing: () => host.isServing }),
		'shard.close': async ({ reason }) => {
			leave(reason);
			return {};
		},
	},
	(error, request) => log.error({ err: error, request }, 'a request failed unexpectedly'),
);
server.event('shard.ready', { workerPid: worker.pid });
