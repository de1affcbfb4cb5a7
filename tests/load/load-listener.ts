import { randomInt } from 'node:crypto';
import nodeDataChannel from 'node-datachannel';
import type { Track } from 'node-datachannel';
import { type Exchange, Peer } from '../support/rtc/peer.ts';

const { Audio } = nodeDataChannel;

const VOICES = 3;
/** Mean time between a stream's receiver reports, spread from half of it to half as much again: as browsers do for audio. */
const REPORT_MS = 5_000;
const RTCP_SENDER_REPORT = 200;
const RTCP_RECEIVER_REPORT = 201;

interface Voice {
	track: Track;
	ssrc: number;
	lastSequenceNumber: number;
	/** Middle 32 bits of the last sender report's time, and when it came. */
	lastReport: number;
	lastReportMs: number;
	timer: NodeJS.Timeout | undefined;
}

/**
 * A listener among many: three voices, receiver reports as often as a browser's (libdatachannel's own handler answers
 * every sender report, four times as often), and just enough counted to know that it heard.
 */
export class LoadListener {
	packets = 0;
	audioPackets = 0;
	lost = 0;
	largestGapMs = 0;
	readonly #peer = new Peer();
	readonly #voices: Voice[] = [];
	readonly #ownSsrc = randomInt(1, 0xffff_ffff);
	#lastAudioMs = 0;

	constructor() {
		for (let index = 0; index < VOICES; index++) {
			const audio = new Audio(`voice-${index}`, 'RecvOnly');
			audio.addOpusCodec(111, 'minptime=10;useinbandfec=1');
			const track = this.#peer.connection.addTrack(audio);
			const voice: Voice = { track, ssrc: 0, lastSequenceNumber: -1, lastReport: 0, lastReportMs: 0, timer: undefined };
			track.onMessage((packet) => this.#onMessage(voice, packet));
			this.#voices.push(voice);
		}
	}

	get isConnected(): boolean {
		return this.#peer.state === 'connected';
	}

	/** @returns ms from the offer to ICE and DTLS being through */
	async join(exchange: Exchange): Promise<number> {
		const startedAtMs = performance.now();
		await this.#peer.connect(exchange);
		for (const voice of this.#voices) {
			this.#scheduleReport(voice);
		}
		return performance.now() - startedAtMs;
	}

	/** Counts from now on. */
	mark(): void {
		this.packets = 0;
		this.audioPackets = 0;
		this.lost = 0;
		this.largestGapMs = 0;
	}

	close(): void {
		for (const { timer } of this.#voices) {
			clearTimeout(timer);
		}
		this.#peer.close();
	}

	#onMessage(voice: Voice, packet: Buffer): void {
		const type = packet[1] ?? 0;
		if (type >= 192 && type <= 223) {
			if (type === RTCP_SENDER_REPORT && packet.length >= 16) {
				voice.lastReport = packet.readUInt32BE(10);
				voice.lastReportMs = performance.now();
			}
			return;
		}
		this.packets++;
		voice.ssrc = packet.readUInt32BE(8);
		const sequenceNumber = packet.readUInt16BE(2);
		const step = (sequenceNumber - voice.lastSequenceNumber) & 0xffff;
		if (voice.lastSequenceNumber >= 0 && step > 1 && step < 0x8000) {
			this.lost += step - 1;
		}
		voice.lastSequenceNumber = sequenceNumber;
		// A keep-alive's payload is one byte, the TOC.
		if (packet.length - headerBytes(packet) > 1) {
			const nowMs = performance.now();
			if (this.audioPackets++ > 0) {
				this.largestGapMs = Math.max(this.largestGapMs, nowMs - this.#lastAudioMs);
			}
			this.#lastAudioMs = nowMs;
		}
	}

	#scheduleReport(voice: Voice): void {
		voice.timer = setTimeout(() => {
			if (voice.ssrc !== 0 && voice.track.isOpen()) {
				voice.track.sendMessageBinary(this.#report(voice));
			}
			this.#scheduleReport(voice);
		}, REPORT_MS * (0.5 + Math.random()));
	}

	/** RFC 3550 §6.4.2: one report block, nothing lost, no jitter. */
	#report({ ssrc, lastSequenceNumber, lastReport, lastReportMs }: Voice): Buffer {
		const report = Buffer.alloc(32);
		report[0] = 0x81;
		report[1] = RTCP_RECEIVER_REPORT;
		report.writeUInt16BE(7, 2);
		report.writeUInt32BE(this.#ownSsrc, 4);
		report.writeUInt32BE(ssrc, 8);
		report.writeUInt32BE(lastSequenceNumber, 16);
		report.writeUInt32BE(lastReport, 24);
		report.writeUInt32BE(lastReport === 0 ? 0 : Math.round((performance.now() - lastReportMs) * 65.536), 28);
		return report;
	}
}

/** RFC 3550 §5.1, §5.3.1; mediasoup adds a header extension (MID) to whatever it sends. */
function headerBytes(packet: Buffer): number {
	const first = packet[0] ?? 0;
	const fixed = 12 + (first & 0x0f) * 4;
	return (first & 0x10) === 0 ? fixed : fixed + 4 + packet.readUInt16BE(fixed + 2) * 4;
}
