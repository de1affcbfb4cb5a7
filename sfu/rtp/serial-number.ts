/**
 * Serial number arithmetic (RFC 1982) for RTP's sequence numbers (mod 2^16) and timestamps (mod 2^32).
 * Differences are signed: positive when `a` is newer than `b`, and at most half the number space.
 */

/** Signed distance from `b` to `a` modulo 2^16, in -32768…32767. */
export const sequenceDifference = (a: number, b: number): number => ((a - b) << 16) >> 16;

/** Whether sequence number `a` comes after `b`; false when they are equal or exactly half the space apart. */
export const isNewerSequence = (a: number, b: number): boolean => sequenceDifference(a, b) > 0;

/** `a` + `delta` modulo 2^16; `delta` may be negative. */
export const addSequence = (a: number, delta: number): number => (a + delta) & 0xffff;

/** Signed distance from `b` to `a` modulo 2^32, in -2^31…2^31 - 1. */
export const timestampDifference = (a: number, b: number): number => (a - b) | 0;

/** Whether timestamp `a` comes after `b`; false when they are equal or exactly half the space apart. */
export const isNewerTimestamp = (a: number, b: number): boolean => timestampDifference(a, b) > 0;

/** `a` + `delta` modulo 2^32; `delta` is any safe integer, negative ones included. */
export const addTimestamp = (a: number, delta: number): number => (a + delta) >>> 0;
