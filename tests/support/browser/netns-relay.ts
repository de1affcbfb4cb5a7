// The half of `NetworkNamespace.share()` that runs inside: a Unix socket is found by its path from every namespace.
// Each connection to it says a port in its first line and is then carried to that port on the loopback address.
import { connect, createServer } from 'node:net';

const socketPath = process.argv[2];
if (socketPath === undefined) {
	throw new Error('usage: netns-relay.ts SOCKET');
}

const server = createServer((outside) => {
	outside.on('error', () => outside.destroy());
	let head = Buffer.alloc(0);
	const onData = (chunk: Buffer) => {
		head = Buffer.concat([head, chunk]);
		const end = head.indexOf('\n');
		if (end < 0) {
			return;
		}
		outside.off('data', onData);
		outside.pause();
		const inside = connect(Number(head.subarray(0, end)), '127.0.0.1');
		inside.on('error', () => outside.destroy());
		inside.on('close', () => outside.destroy());
		outside.on('close', () => inside.destroy());
		inside.write(head.subarray(end + 1));
		inside.pipe(outside).pipe(inside);
	};
	outside.on('data', onData);
});
server.listen(socketPath, () => console.log('ready'));
// The test that started us is gone when its end of the pipe is.
process.stdin.on('end', () => process.exit(0)).resume();
