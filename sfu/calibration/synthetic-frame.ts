/** Opus, hybrid fullband, 20 ms, mono, one frame a packet (RFC 6716 §3.1). */
export const SYNTHETIC_TOC = 0x78;
/** Of a frame at 32 kbit/s, without the TOC byte. */
export const SYNTHETIC_FRAME_BYTES = 80;
