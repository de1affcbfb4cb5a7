import { isDtxPayload, opusDurationSamples } from '../../sfu/rtp/opus-packet.ts';
import { parseRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { addSequence, addTimestamp, timestampDifference } from '../../sfu/rtp/serial-number.ts';
import { Director } from '../../sfu/stage/director.ts';
import type { DirectorOptions } from '../../sfu/stage/director.ts';

export const FRAME = 960;
export const LEVEL_ID = 1;
export const LOUD = -20;
export const QUIET = -80;
const TOC = 0x78;

/** A level in dBov, undefined for audio without one, or a DTX packet. */
export type Sound = number | undefined | 'dtx';

/** One packet that left the director, read back. */
export interface Heard {
	sequenceNumber: number;
	timestamp: number;
	marker: boolean;
	csrc: number | undefined;
	dtx: boolean;
	toc: number;
	/** Which packet of its source the payload is, -1 for DTX. */
	index: number;
	/** Whose payload it is, -1 for DTX. */
	owner: number;
	atMs: number;
}

/**
 * A director with sources that send 20 ms packets whose payload says whose and which it is, on a clock of its own.
 * Everything that leaves is read back, and what must hold for any stream is checked there and then: SSRC and payload
 * type, no gap in the sequence numbers, no overlap in the timestamps.
 */
export class StageRig {
	readonly director: Director;
	readonly out: Heard[][];
	readonly raw: Buffer[][];
	readonly announced: unknown[] = [];
	nowMs = 0;
	readonly #indices = new Map<string, number>();
	readonly #owners = new Map<string, { number: number; levels: boolean }>();
	readonly #ends: number[] = [];

	constructor(options: { voices: number; onAir?: boolean } & Partial<DirectorOptions>) {
		const { voices, onAir = true } = options;
		const ssrcs = Array.from({ length: voices + 1 }, (_, index) => 1000 + index);
		this.out = ssrcs.map(() => []);
		this.raw = ssrcs.map(() => []);
		this.director = new Director({
			payloadType: 111,
			ssrcs,
			nowMs: 0,
			random: () => 0,
			emit: (voice, packet) => this.#read(voice, packet),
			onTalkersChange: () => this.announced.push(this.director.talkers()),
			...options,
			onAir,
		});
	}

	add(id: string, number: number, levels = true): void {
		this.#owners.set(id, { number, levels });
		this.director.addSource({ id, number, ...(levels ? { levelExtensionId: LEVEL_ID } : {}) });
	}

	/** Packet number `index` of a source. */
	packet(id: string, index: number, sound: Sound): Buffer {
		const owner = this.#owners.get(id) ?? { number: 0, levels: true };
		const level = owner.levels && sound !== undefined;
		const header = Buffer.alloc(level ? 20 : 12);
		header[0] = level ? 0x90 : 0x80;
		header[1] = 96;
		header.writeUInt16BE(addSequence(owner.number * 7919, index), 2);
		header.writeUInt32BE(addTimestamp(owner.number * 1_234_567_891, index * FRAME), 4);
		header.writeUInt32BE(owner.number, 8);
		if (level) {
			header.writeUInt16BE(0xbede, 12);
			header.writeUInt16BE(1, 14);
			header[16] = LEVEL_ID << 4;
			header[17] = sound === 'dtx' ? 127 : -sound;
		}
		const payload = Buffer.alloc(sound === 'dtx' ? 1 : 9, TOC);
		if (sound !== 'dtx') {
			payload.writeUInt32BE(owner.number, 1);
			payload.writeUInt32BE(index, 5);
		}
		return Buffer.concat([header, payload]);
	}

	/** The next packet of a source in its own time. */
	next(id: string, sound: Sound): Buffer {
		const index = this.lastIndex(id) + 1;
		this.#indices.set(id, index);
		return this.packet(id, index, sound);
	}

	lastIndex(id: string): number {
		return this.#indices.get(id) ?? -1;
	}

	feed(id: string, packet: Buffer, nowMs: number): void {
		this.nowMs = nowMs;
		this.director.onPacket(id, packet, nowMs);
	}

	tick(nowMs: number): void {
		this.nowMs = nowMs;
		this.director.tick(nowMs);
	}

	/** Lets `ms` pass in steps of 20: each source named sends a packet, then the timer ticks. `pass`: packets lost on the way. */
	run(ms: number, sounds: Record<string, Sound>, options: { pass?: string[] } = {}): void {
		for (const until = this.nowMs + ms; this.nowMs < until; this.nowMs += 20) {
			for (const [id, sound] of Object.entries(sounds)) this.director.onPacket(id, this.next(id, sound), this.nowMs);
			for (const id of options.pass ?? []) this.next(id, LOUD);
			this.director.tick(this.nowMs);
		}
	}

	#read(voice: number, packet: Buffer): void {
		const view = parseRtpPacket(packet);
		if (!view) throw new Error('the director sent something that is not RTP');
		const { sequenceNumber, timestamp, marker, payload, firstCsrc: csrc } = view;
		const durationSamples = opusDurationSamples(payload);
		if (durationSamples === 0) throw new Error('the director sent something that is not Opus');
		if (view.ssrc !== 1000 + voice || view.payloadType !== 111) throw new Error('wrong SSRC or payload type');
		const list = this.out[voice]!;
		const last = list.at(-1);
		if (last && sequenceNumber !== addSequence(last.sequenceNumber, 1)) throw new Error(`gap in sequence numbers of voice ${voice}`);
		const end = this.#ends[voice];
		if (end !== undefined && timestampDifference(timestamp, end) < 0) throw new Error(`timestamps of voice ${voice} overlap`);
		this.#ends[voice] = addTimestamp(timestamp, durationSamples);
		const dtx = isDtxPayload(payload);
		const known = !dtx && payload.length === 9;
		list.push({
			sequenceNumber,
			timestamp,
			marker,
			csrc,
			dtx,
			toc: payload[0]!,
			index: known ? payload.readUInt32BE(5) : -1,
			owner: known ? payload.readUInt32BE(1) : -1,
			atMs: this.nowMs,
		});
		this.raw[voice]!.push(packet);
	}
}
