import type { NetworkInterfaceInfo } from 'node:os';
import { isLoopbackHost } from '../../config/checks.ts';
import type { Config } from '../../config/schema.ts';

/** Where other nodes reach this one: as configured, or found out by the same rule as the media address. */
export function internalAddress({ http, cluster }: Pick<Config, 'http' | 'cluster'>, interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): string {
	if (cluster.internalAddress !== undefined) {
		return cluster.internalAddress;
	}
	if (isLoopbackHost(http.host)) {
		return '127.0.0.1';
	}
	return outsideAddress(interfaces);
}

/** Where this machine itself sends from and listens when others reach it at `internal`: there, or behind a NAT that has that address. */
export function linkAddress(internal: string, interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): { ip: string; announcedAddress?: string } {
	const own = Object.values(interfaces).some((addresses) => addresses?.some(({ address }) => address === internal));
	return own ? { ip: internal } : { ip: outsideAddress(interfaces), announcedAddress: internal };
}

/** The first address of this machine that is not loopback, IPv4 before IPv6. */
function outsideAddress(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): string {
	const outside = Object.values(interfaces)
		.flatMap((addresses) => addresses ?? [])
		.filter(({ internal, address }) => !internal && !address.toLowerCase().startsWith('fe80:'));
	return (outside.find(({ family }) => family === 'IPv4') ?? outside[0])?.address ?? '127.0.0.1';
}

/** As a URL, brackets around IPv6. */
export const urlOf = (host: string, port: number): string => `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
