// The server to compare with: mediasoup used plainly, as `BareFanOut` does. Packets go out as they came in, at 20 ms.
import { BareFanOut, FIRST_SSRC } from './bare-fan-out.ts';
import type { FromServer, ToServer } from './messages.ts';

const [mediaPort = 26_000, talkers = 1] = process.argv.slice(2).map(Number);
const fanOut = await BareFanOut.open(mediaPort);
await fanOut.rehearse();

const tell = (message: FromServer): void => void process.send?.(message);

async function listen(id: number, sdp: string): Promise<void> {
	try {
		tell({ kind: 'answer', id, answer: (await fanOut.seat(sdp)).answer });
	} catch (error) {
		tell({ kind: 'refused', id, message: String(error) });
	}
}

process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToServer) => {
	switch (message.kind) {
		case 'exchange':
			void listen(message.id, message.offer);
			break;
		case 'accept':
			break; // Clients offer.
		case 'status':
			tell({ kind: 'status', packingMs: 20 });
			break;
		case 'close':
			fanOut.worker.close();
			process.exit(0);
	}
});

tell({
	kind: 'ready',
	processes: [
		{ name: 'node', part: 'media', pid: process.pid },
		{ name: 'worker', part: 'media', pid: fanOut.worker.pid },
	],
	rtp: Array.from({ length: talkers }, (_, talker) => ({ port: fanOut.rtpPorts[talker] ?? 0, ssrc: FIRST_SSRC + talker })),
});
