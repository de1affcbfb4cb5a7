/**
 * What a packet costs in our own code, without mediasoup: `node tests/load/packet-path.bench.ts`.
 * Prints nanoseconds per packet (best of several rounds); asserts nothing.
 */
import { EdgeVoice, parseVoicePacket } from '../../sfu/edge/edge-voice.ts';
import { Director } from '../../sfu/stage/director.ts';

const FRAME_SAMPLES = 960;
const PACKETS = 200_000;
const ROUNDS = 5;
const PAYLOAD_BYTES = 80;
const TOC = 0x78;

/** Packets of one source as mediasoup hands them over: with the level extension or with a CSRC. */
const makePackets = (count: number, options: { level?: number; csrc?: number; source?: number }): Buffer[] => {
	const { level, csrc, source = 0 } = options;
	const headerBytes = 12 + (csrc === undefined ? 0 : 4) + (level === undefined ? 0 : 8);
	return Array.from({ length: count }, (_, index) => {
		const packet = Buffer.alloc(headerBytes + 1 + PAYLOAD_BYTES, index & 255);
		packet[0] = 0x80 | (csrc === undefined ? 0 : 1) | (level === undefined ? 0 : 0x10);
		packet[1] = 111;
		packet.writeUInt16BE((index + source * 1000) & 0xffff, 2);
		packet.writeUInt32BE((index * FRAME_SAMPLES) >>> 0, 4);
		packet.writeUInt32BE(source + 1, 8);
		if (csrc !== undefined) packet.writeUInt32BE(csrc, 12);
		if (level !== undefined) {
			packet.writeUInt16BE(0xbede, 12);
			packet.writeUInt16BE(1, 14);
			packet.fill(0, 16, 20);
			packet[16] = 0x10;
			packet[17] = level;
		}
		packet[headerBytes] = TOC;
		return packet;
	});
};

const measure = (name: string, packets: number, round: () => number): void => {
	let best = Infinity;
	let out = 0;
	for (let count = 0; count < ROUNDS; count++) {
		const start = process.hrtime.bigint();
		out = round();
		best = Math.min(best, Number(process.hrtime.bigint() - start) / packets);
	}
	console.log(`${name.padEnd(62)} ${best.toFixed(0).padStart(6)} ns/packet   ${(out / packets).toFixed(2)} out`);
};

const directorRound = (inputs: Buffer[][]) => (): number => {
	let out = 0;
	const director = new Director({ voices: 3, payloadType: 111, ssrcs: [1, 2, 3, 4], nowMs: 0, onAir: true, emit: () => out++ });
	const ids = inputs.map((_, index) => `participant-${index}`);
	ids.forEach((id, number) => director.addSource({ id, number, levelExtensionId: 1 }));
	const perSource = inputs[0]!.length;
	for (let index = 0; index < perSource; index++) {
		const nowMs = index * 20;
		for (let source = 0; source < ids.length; source++) director.onPacket(ids[source]!, inputs[source]![index]!, nowMs);
		director.tick(nowMs);
	}
	return out;
};

const edgeRound = (packets: Buffer[], packings: number[]) => (): number => {
	let out = 0;
	const voices = packings.map((packingMs) => new EdgeVoice({ ssrc: 1, payloadType: 111, packingMs, nowMs: 0, emit: () => out++ }));
	for (let index = 0; index < packets.length; index++) {
		const nowMs = index * 20;
		const packet = parseVoicePacket(packets[index]!);
		if (!packet) throw new Error('the benchmark made a malformed packet');
		for (const voice of voices) {
			voice.onUpstreamPacket(packet, nowMs);
			voice.tick(nowMs);
		}
	}
	return out;
};

const LOUD = 20;
const SILENT = 100;
const talker = makePackets(PACKETS, { level: LOUD });
measure('director: one talker (one voice and solo)', PACKETS, directorRound([talker]));
const five = Array.from({ length: 5 }, (_, source) => makePackets(PACKETS / 5, { level: LOUD + source, source }));
measure('director: five talkers, three voices', PACKETS, directorRound(five));
const twenty = Array.from({ length: 20 }, (_, source) => makePackets(PACKETS / 20, { level: SILENT, source }));
measure('director: twenty silent sources', PACKETS, directorRound(twenty));

const voice = makePackets(PACKETS, { csrc: 7 });
measure('parseVoicePacket alone', PACKETS, () => {
	let parsed = 0;
	for (const packet of voice) if (parseVoicePacket(packet)) parsed++;
	return parsed;
});
for (const packingMs of [20, 40, 60, 120]) measure(`edge voice, parsing included: 20 ms in, ${packingMs} ms out`, PACKETS, edgeRound(voice, [packingMs]));
measure('three edge voices of one packet: 20, 60, 60 ms', PACKETS, edgeRound(voice, [20, 60, 60]));

{
	const director = new Director({ voices: 3, payloadType: 111, ssrcs: [1, 2, 3, 4], nowMs: 0, emit: () => undefined });
	measure('director: idle tick', PACKETS, () => {
		for (let index = 0; index < PACKETS; index++) director.tick(2000 + index / PACKETS);
		return 0;
	});
}
