/** Where this shard's links listen. */
export interface LinkPorts {
	min: number;
	max: number;
	/** Address that other hosts reach; undefined while every link stays on this host. */
	announced?: string | undefined;
}

const LOOPBACK = '127.0.0.1';

/** mediasoup's listen info: loopback while a link stays on the host, every address once it may leave it. */
export function linkListenInfo({ min, max, announced }: LinkPorts, leavesHost: boolean) {
	return {
		protocol: 'udp' as const,
		ip: leavesHost ? '0.0.0.0' : LOOPBACK,
		...(leavesHost && announced !== undefined ? { announcedAddress: announced } : {}),
		portRange: { min, max },
	};
}
