import type { NetworkInterfaceInfo } from 'node:os';

export interface MediaAddressSettings {
	/** An address, or `auto` for every address of this machine. */
	mediaAddress: string;
	/** What clients are told instead, as behind NAT. */
	announcedAddress?: string | undefined;
}

/**
 * Where shards listen for media. One entry makes one ICE candidate for UDP and one for TCP, so `auto` names
 * each address by itself: a browser on this machine takes loopback, others take the one they can reach.
 */
export function mediaAddresses(
	{ mediaAddress, announcedAddress }: MediaAddressSettings,
	interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>,
): { ip: string; announcedAddress?: string }[] {
	if (mediaAddress !== 'auto') {
		return [{ ip: mediaAddress, ...(announcedAddress === undefined ? {} : { announcedAddress }) }];
	}
	if (announcedAddress !== undefined) {
		return [{ ip: '0.0.0.0', announcedAddress }];
	}
	const all = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
	const outside = all.filter(({ internal, address }) => !internal && !address.toLowerCase().startsWith('fe80:')).map(({ address }) => ({ ip: address }));
	return [...outside, { ip: '127.0.0.1' }];
}
