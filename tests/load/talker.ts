import { createSocket } from 'node:dgram';
import { writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { FRAME_MS, type SpokenAudio } from '../support/speech/speech.ts';
import type { RtpTarget } from './messages.ts';
import type { Exchange } from '../support/rtc/peer.ts';

/** Somebody who talks on and on, at 20 ms. */
export interface Talker {
	start(): void;
	close(): void;
}

/** On stage by WHIP, as any encoder would be. */
export async function whipTalker(exchange: Exchange, audio: SpokenAudio): Promise<Talker> {
	const speaker = await RtcSpeaker.publish(exchange);
	return { start: () => speaker.talk(audio), close: () => speaker.close() };
}

/** Plain RTP to this port of this host. */
export function plainRtpTalker({ port, ssrc }: RtpTarget, audio: SpokenAudio): Talker {
	const socket = createSocket('udp4');
	let timer: NodeJS.Timeout | undefined;
	let sent = 0;
	let startedAtMs = 0;
	const sendDue = (): void => {
		const due = Math.floor((performance.now() - startedAtMs) / FRAME_MS);
		for (; sent < due; sent++) {
			const payload = audio.frames[sent % audio.frames.length] ?? Buffer.alloc(0);
			const packet = writeRtpPacket({ payloadType: 111, marker: sent === 0, sequenceNumber: sent & 0xffff, timestamp: sent * 48 * FRAME_MS, ssrc, payload });
			socket.send(packet, port, '127.0.0.1');
		}
	};
	return {
		start: () => {
			startedAtMs = performance.now();
			timer = setInterval(sendDue, FRAME_MS / 2);
		},
		close: () => {
			clearInterval(timer);
			socket.close();
		},
	};
}
