import { readFile, statfs } from 'node:fs/promises';
import os from 'node:os';

export interface PortRange {
	first: number;
	last: number;
}

/** What the operating system says of itself; a member is undefined where it does not say, as in some containers. */
export interface SystemFacts {
	/** Soft limit of open files; Infinity: none. */
	openFiles: number | undefined;
	/** Ports that outgoing connections take by themselves, and those of them that they must not. */
	ephemeralPorts: PortRange | undefined;
	reservedPorts: readonly PortRange[];
	/** UDP ports in use in this network namespace, whoever uses them. */
	udpPorts: ReadonlySet<number> | undefined;
	/** Bytes a UDP socket gets. */
	udpBuffers: { receiveDefault: number; receiveMax: number; sendDefault: number; sendMax: number } | undefined;
	/** Processes that want a processor, mean of a minute. */
	load: number;
	freeDiskBytes: number | undefined;
}

/** Linux: proc(5), ip(7), socket(7). */
export async function readSystemFacts(dataDir: string): Promise<SystemFacts> {
	const [limits, local, reserved, udp4, udp6] = await Promise.all([
		text('/proc/self/limits'),
		text('/proc/sys/net/ipv4/ip_local_port_range'),
		text('/proc/sys/net/ipv4/ip_local_reserved_ports'),
		text('/proc/net/udp'),
		text('/proc/net/udp6'),
	]);
	const buffers = await Promise.all(['rmem_default', 'rmem_max', 'wmem_default', 'wmem_max'].map(async (name) => Number((await text(`/proc/sys/net/core/${name}`)) ?? Number.NaN)));
	const disk = await statfs(dataDir).catch(() => undefined);
	const [first = Number.NaN, last = Number.NaN] = (local ?? '').trim().split(/\s+/).map(Number);
	return {
		openFiles: limits === undefined ? undefined : openFilesOf(limits),
		ephemeralPorts: first <= last ? { first, last } : undefined,
		reservedPorts: rangesOf(reserved ?? ''),
		udpPorts: udp4 === undefined ? undefined : new Set([...portsOf(udp4), ...portsOf(udp6 ?? '')]),
		udpBuffers: buffers.some(Number.isNaN)
			? undefined
			: { receiveDefault: buffers[0] ?? 0, receiveMax: buffers[1] ?? 0, sendDefault: buffers[2] ?? 0, sendMax: buffers[3] ?? 0 },
		load: os.loadavg()[0] ?? 0,
		freeDiskBytes: disk ? disk.bavail * disk.bsize : undefined,
	};
}

const text = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);

/** `Max open files            1024                 1048576              files` */
export function openFilesOf(limits: string): number | undefined {
	const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
	return soft === undefined ? undefined : soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** `8080,40000-41999` */
export function rangesOf(list: string): PortRange[] {
	return list.trim().split(',').filter(Boolean).map((range) => {
		const [first = Number.NaN, last = first] = range.split('-').map(Number);
		return { first, last };
	});
}

/** Local ports, in hexadecimal behind the address: `  123: 0100007F:A028 00000000:0000 07 …`. */
export function* portsOf(table: string): Generator<number> {
	for (const [, port = ''] of table.matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) /gm)) {
		yield Number.parseInt(port, 16);
	}
}
