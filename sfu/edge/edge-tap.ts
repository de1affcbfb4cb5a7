import type { VoicePacket } from '../rtp/voice-packet.ts';

/** Takes a room's programme from its edge without being a client: all voices as they come, and not the solo voice. */
export interface EdgeTap {
	onVoicePacket(index: number, packet: VoicePacket, nowMs: number): void;
	/** What comes from now on comes over another link, with other numbers. */
	setUpstream(linkId: string): void;
}
