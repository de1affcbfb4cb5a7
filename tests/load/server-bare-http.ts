// What a storm is compared with: bare mediasoup behind Node's own HTTP server, one worker for each of Rostrum's listener shards,
// and one voice that never pauses, in packets as long as Rostrum's. No admission, no room state, nothing but a place and sound.
import dgram from 'node:dgram';
import http from 'node:http';
import type { types } from 'mediasoup';
import { SAMPLES_PER_MS } from '../../sfu/rtp/opus-packet.ts';
import { writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { BareFanOut, FIRST_SSRC } from './bare-fan-out.ts';

export type FromBareHttp = { kind: 'ready'; url: string; pids: number[] };
export type ToBareHttp = { kind: 'close' };

const [mediaPort = 26_000, workers = 2, packingMs = 60] = process.argv.slice(2).map(Number);
/** Three frames of 20 ms at about 32 kbit/s, which nobody decodes. */
const PAYLOAD = Buffer.concat([Buffer.from([0xfb, packingMs / 20]), Buffer.alloc(packingMs * 4, 0x5a)]);
const LOOK_MS = 5;

const fanOuts = await Promise.all(Array.from({ length: workers }, (_, index) => BareFanOut.open(mediaPort + index)));
for (const fanOut of fanOuts) {
	await fanOut.rehearse();
}

const socket = dgram.createSocket('udp4');
const startedAtMs = performance.now();
let packets = 0;
setInterval(() => {
	for (; packets * packingMs < performance.now() - startedAtMs; packets++) {
		const timestamp = (packets * packingMs * SAMPLES_PER_MS) % 2 ** 32;
		for (const { rtpPorts } of fanOuts) {
			socket.send(writeRtpPacket({ payloadType: 111, marker: false, sequenceNumber: packets % 2 ** 16, timestamp, ssrc: FIRST_SSRC, payload: PAYLOAD }), rtpPorts[0], '127.0.0.1');
		}
	}
}, LOOK_MS);

const sessions = new Map<string, types.WebRtcTransport>();
let seats = 0;

async function listen(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
	const chunks: Buffer[] = [];
	for await (const chunk of request) {
		chunks.push(chunk as Buffer);
	}
	const { transport, answer } = await (fanOuts[seats % workers] as BareFanOut).seat(Buffer.concat(chunks).toString());
	const location = `/sessions/${++seats}`;
	sessions.set(location, transport);
	response.writeHead(201, { 'content-type': 'application/sdp', location }).end(answer);
}

const server = http.createServer((request, response) => {
	const { method, url = '' } = request;
	if (method === 'POST') {
		listen(request, response).catch(() => response.writeHead(500).end());
	} else if (method === 'DELETE') {
		sessions.get(url)?.close();
		response.writeHead(sessions.delete(url) ? 200 : 404).end();
	} else if (url.startsWith('/v1/rooms/')) {
		response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ state: 'live', visibility: 'public', stage: [] }));
	} else {
		response.writeHead(404).end();
	}
});
process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToBareHttp) => {
	if (message.kind === 'close') process.exit(0); // Workers leave when their channel does.
});
server.listen(0, '127.0.0.1', () => {
	const address = server.address();
	const port = typeof address === 'object' && address !== null ? address.port : 0;
	process.send?.({ kind: 'ready', url: `http://127.0.0.1:${port}`, pids: [process.pid, ...fanOuts.map(({ worker }) => worker.pid)] } satisfies FromBareHttp);
});
