/**
 * Where those who are nobody listen, rehearsals and calibrations: above what Linux gives to outgoing connections (32768
 * to 60999), and outside the default ports of nodes, so that a run in one shard takes no media port of another that is
 * about to start.
 */
export const UNCLAIMED_PORTS = { min: 61_000, max: 65_535 };

/** mediasoup's listen info for any of them that is free. */
export const UNCLAIMED_LISTEN_INFO = { protocol: 'udp' as const, ip: '127.0.0.1', portRange: UNCLAIMED_PORTS };
