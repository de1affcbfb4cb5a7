import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { types } from 'mediasoup';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { edgeKindOf } from '../../sfu/edge/edge-kind.ts';
import { EdgeRouter } from '../../sfu/edge/edge-router.ts';
import { makeListenerTransport } from '../../sfu/edge/listener-transport.ts';
import { workerBinary } from '../../sfu/worker/worker-binary.ts';
import { gatherRequests, startWorker } from '../../sfu/worker/worker-requests.ts';

const VOICES = 3;

let worker: types.Worker;
let router: EdgeRouter;
/** What the worker reads from. */
let pipe: Socket;

beforeAll(async () => {
	const children: ChildProcess[] = [];
	const note = (message: unknown) => void children.push((message as { process: ChildProcess }).process);
	subscribe('child_process', note);
	const workerBin = workerBinary();
	worker = await startWorker({ logLevel: 'error', ...(workerBin === undefined ? {} : { workerBin }) });
	unsubscribe('child_process', note);
	pipe = children.find(({ pid }) => pid === worker.pid)?.stdio[3] as Socket;
	router = await EdgeRouter.create({ worker, kind: edgeKindOf(111, 120, undefined), voices: VOICES, packingMs: 60, nowMs: 0, onDemand: () => undefined });
});
afterAll(() => worker.close());

/** How many requests each write carries: one, or as many as the stream was given while it was corked. */
function writes() {
	const sizes: number[] = [];
	const { _write: one, _writev: many } = Object.getPrototypeOf(pipe) as Required<Pick<Writable, '_write' | '_writev'>>;
	pipe._write = (...args) => {
		sizes.push(1);
		one.apply(pipe, args);
	};
	pipe._writev = (...args) => {
		sizes.push(args[0].length);
		many.apply(pipe, args);
	};
	const stop = (): void => {
		pipe._write = one;
		pipe._writev = many;
	};
	return { sizes, stop };
}

const join = () =>
	makeListenerTransport(router, (on) => on.createWebRtcTransport({ listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }] }), [0, 1, 2], {
		role: 'client',
		fingerprints: [{ algorithm: 'sha-256', value: Array(32).fill('AB').join(':') }],
	});

it('a join is two writes to the worker: the transport, then all that hangs on it', async () => {
	const { sizes, stop } = writes();
	const { transport, ssrcs } = await join();
	stop();
	expect(sizes).toEqual([1, VOICES + 1]);
	expect(new Set(ssrcs).size).toBe(VOICES);
	transport.close();
});

it('those who come together are asked for together', async () => {
	const { sizes, stop } = writes();
	const made = await Promise.all(Array.from({ length: 8 }, join));
	stop();
	expect(sizes[0]).toBe(8);
	expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(8 * (1 + VOICES + 1));
	expect(new Set(made.flatMap(({ ssrcs }) => ssrcs)).size).toBe(8 * VOICES);
	for (const { transport } of made) transport.close();
});

it('nothing waits longer than its turn, whatever fails in it', async () => {
	gatherRequests(worker);
	gatherRequests(worker);
	await expect(router.router.createWebRtcTransport({ listenInfos: [{ protocol: 'udp', ip: 'no address' }] })).rejects.toThrow();
	expect(pipe.writableCorked).toBe(0);
	expect(await worker.dump()).toMatchObject({ pid: worker.pid });
});
