// A thread that owns a UDP socket and never reads it: packets to it go all the way through the kernel and are dropped
// where a reader would find them, so that receiving costs the measurement nothing.
import { createSocket } from 'node:dgram';
import { parentPort } from 'node:worker_threads';

const socket = createSocket('udp4');
socket.bind(0, '127.0.0.1', () => {
	// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, and no window
	parentPort?.postMessage(socket.address().port);
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
