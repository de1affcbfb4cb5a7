import { SfuError } from '../contract/sfu-error.ts';

/** Where this shard's links listen. */
export interface LinkPorts {
	min: number;
	max: number;
	/** For links that leave the host, and what other hosts are told instead; undefined while none may. */
	address?: { ip: string; announcedAddress?: string } | undefined;
}

const LOOPBACK = '127.0.0.1';

/**
 * mediasoup's listen info: loopback while a link stays on the host, this shard's one address for links once it leaves.
 * @throws SfuError `wrong_role` when links of this shard may not leave the host
 */
export function linkListenInfo({ min, max, address }: LinkPorts, leavesHost: boolean) {
	if (leavesHost && !address) {
		throw new SfuError('wrong_role', 'this shard has no address for links that leave the host');
	}
	return {
		protocol: 'udp' as const,
		ip: LOOPBACK,
		...(leavesHost ? address : {}),
		portRange: { min, max },
	};
}
