/**
 * What a join costs on a listener shard before its client has sent a packet: `node tests/load/join-path.bench.ts [PROFILE]`.
 * Canned offers, the real worker, no DTLS. Prints processor time a join of this process and of the worker (best of several
 * rounds), and writes a profile of this process; asserts nothing.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { createWorker } from 'mediasoup';
import pino from 'pino';
import { Edge } from '../../sfu/edge/edge.ts';
import { SessionTable } from '../../sfu/session/session-table.ts';
import { openWebRtcServer, webRtcTransportFactory } from '../../sfu/session/web-rtc-server.ts';
import { workerBinary } from '../../sfu/worker/worker-binary.ts';
import { LIBDATACHANNEL_THREE_VOICES } from '../support/sdp-fixtures.ts';
import { cpuUs } from './processor-time.ts';

const JOINS = 500;
const ROUNDS = 6;
const CONCURRENCY = 8;
const [profile, mediaPort = '26900'] = process.argv.slice(2);

const workerBin = workerBinary();
const worker = await createWorker({ logLevel: 'error', ...(workerBin === undefined ? {} : { workerBin }) });
const assignment = {
	index: 0, role: 'listener', mediaPort: Number(mediaPort), listenAddresses: [{ ip: '127.0.0.1' }], linkPortMin: 26_950, linkPortMax: 26_999, iceConsentTimeoutSeconds: 30,
	connectTimeoutMs: 60_000, maxListeners: 100_000, maxDownstreams: 32,
} as const;
const server = await openWebRtcServer(worker, { ...assignment, listenAddresses: [...assignment.listenAddresses] });
const sessions = new SessionTable(assignment.connectTimeoutMs);
const transports = webRtcTransportFactory(server, { ...assignment, listenAddresses: [...assignment.listenAddresses] });

async function round(count: number): Promise<{ nodeUs: number; workerUs: number }> {
	const edge = Edge.create({
		worker, roomId: 'bench', voices: 3, packingMs: 60, transports, sessions,
		link: { min: assignment.linkPortMin, max: assignment.linkPortMax }, maxDownstreams: 32, log: pino({ level: 'silent' }), emit: () => undefined,
	} as Parameters<typeof Edge.create>[0]);
	const before = { node: process.cpuUsage(), worker: cpuUs(worker.pid) };
	let left = count;
	await Promise.all(
		Array.from({ length: CONCURRENCY }, async () => {
			while (left-- > 0) {
				await edge.join(randomBytes(16).toString('hex'), LIBDATACHANNEL_THREE_VOICES, undefined);
			}
		}),
	);
	const { user, system } = process.cpuUsage(before.node);
	const result = { nodeUs: (user + system) / count, workerUs: (cpuUs(worker.pid) - before.worker) / count };
	edge.close('the round is over');
	return result;
}

await round(200);
const inspector = new Session();
if (profile !== undefined) {
	inspector.connect();
	await inspector.post('Profiler.enable');
	await inspector.post('Profiler.setSamplingInterval', { interval: 100 });
	await inspector.post('Profiler.start');
}
const rounds: { nodeUs: number; workerUs: number }[] = [];
for (let index = 0; index < ROUNDS; index++) {
	rounds.push(await round(JOINS));
}
if (profile !== undefined) {
	writeFileSync(profile, JSON.stringify((await inspector.post('Profiler.stop')).profile));
}
const best = (of: (one: { nodeUs: number; workerUs: number }) => number): string => Math.min(...rounds.map(of)).toFixed(0);
console.log(`a join, without DTLS: ${best(({ nodeUs }) => nodeUs)} µs in the shard's Node, ${best(({ workerUs }) => workerUs)} µs in its worker`);
worker.close();
process.exit(0);
