/**
 * How far an overflow stream is behind the clock before it is encoded: packets that come this late are still in their place. Long,
 * for the stream is there for times when processors are busy, and who hears it is seconds behind anyway.
 */
export const OVERFLOW_LAG_MS = 600;
