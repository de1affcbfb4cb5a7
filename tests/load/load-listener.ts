import { randomInt } from 'node:crypto';
import nodeDataChannel from 'node-datachannel';
import type { Track } from 'node-datachannel';
import { type Exchange, Peer } from '../support/rtc/peer.ts';
import { isRtcp, StreamTally, Tally } from './stream-tally.ts';

const { Audio } = nodeDataChannel;

const VOICES = 3;
/** Mean time between a stream's receiver reports, spread from half of it to half as much again: as browsers do for audio. */
const REPORT_MS = 5_000;
/** Browsers built on libwebrtc do not report on a stream that has been silent for longer (its receive statistics' timeout). */
const SILENT_MS = 8_000;
const RTCP_SENDER_REPORT = 200;
const RTCP_RECEIVER_REPORT = 201;

export interface LoadListenerOptions {
	/** Own address to send from; `0.0.0.0` for all of this machine. Default 127.0.0.1. */
	bindAddress?: string;
	/** Every RTP packet, keep-alives included, for meters of one's own. `atMs`: `performance.now()`. */
	onRtp?: (voice: number, packet: Buffer, atMs: number) => void;
}

interface Voice {
	index: number;
	track: Track;
	stream: StreamTally;
	/** Middle 32 bits of the last sender report's time, and when it came. */
	lastReport: number;
	lastReportMs: number;
	/** When a packet came last. */
	heardAtMs: number;
	timer: NodeJS.Timeout | undefined;
}

/**
 * A listener among many: three voices, receiver reports as often as a browser's (libdatachannel's own handler answers
 * every sender report, four times as often), and just enough counted to know that it heard.
 */
export class LoadListener {
	readonly tally = new Tally();
	readonly #peer: Peer;
	readonly #onRtp: LoadListenerOptions['onRtp'];
	readonly #voices: Voice[] = [];
	readonly #ownSsrc = randomInt(1, 0xffff_ffff);

	constructor({ bindAddress, onRtp }: LoadListenerOptions = {}) {
		this.#peer = new Peer(bindAddress === undefined ? {} : { bindAddress });
		this.#onRtp = onRtp;
		for (let index = 0; index < VOICES; index++) {
			const audio = new Audio(`voice-${index}`, 'RecvOnly');
			audio.addOpusCodec(111, 'minptime=10;useinbandfec=1');
			const track = this.#peer.connection.addTrack(audio);
			const voice: Voice = { index, track, stream: new StreamTally(this.tally), lastReport: 0, lastReportMs: 0, heardAtMs: -Infinity, timer: undefined };
			track.onMessage((packet) => this.#onMessage(voice, packet));
			this.#voices.push(voice);
		}
	}

	get isConnected(): boolean {
		return this.#peer.state === 'connected';
	}
	/** Resolves once the server, or the network, has ended it. */
	whenOver(): Promise<void> {
		return this.#peer.whenOver();
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

	close(): void {
		for (const { timer } of this.#voices) {
			clearTimeout(timer);
		}
		this.#peer.close();
	}

	#onMessage(voice: Voice, packet: Buffer): void {
		if (isRtcp(packet)) {
			if (packet[1] === RTCP_SENDER_REPORT && packet.length >= 16) {
				voice.lastReport = packet.readUInt32BE(10);
				voice.lastReportMs = performance.now();
			}
			return;
		}
		voice.heardAtMs = performance.now();
		voice.stream.onRtp(packet);
		this.#onRtp?.(voice.index, packet, voice.heardAtMs);
	}

	#scheduleReport(voice: Voice): void {
		voice.timer = setTimeout(() => {
			if (performance.now() - voice.heardAtMs < SILENT_MS && voice.track.isOpen()) {
				voice.track.sendMessageBinary(this.#report(voice));
			}
			this.#scheduleReport(voice);
		}, REPORT_MS * (0.5 + Math.random()));
	}

	/** RFC 3550 §6.4.2: one report block, nothing lost, no jitter. */
	#report({ stream: { ssrc, lastSequenceNumber }, lastReport, lastReportMs }: Voice): Buffer {
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
