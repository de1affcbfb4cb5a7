import { readFileSync } from 'node:fs';

/** A listener's TCP connection and its UDP socket; its HLS player's two, when it may have to have one. */
const PER_LISTENER = 2;
const PER_HLS = 2;
const OWN = 200;

/**
 * Whether this machine lets so many listeners be: file descriptors of each process, and local ports.
 *
 * @returns what to do first, in plain words, or undefined
 */
export function limitsInTheWay({ perProcess, all, overflow }: { perProcess: number; all: number; overflow: boolean }): string | undefined {
	const files = openFilesLimit();
	const needed = perProcess * (PER_LISTENER + (overflow ? PER_HLS : 0)) + OWN;
	if (files !== undefined && needed > files) {
		return (
			`${perProcess} listeners a process need up to ${needed} file descriptors, and a process may open ${files}.\n` +
			`Type \`ulimit -n ${2 ** Math.ceil(Math.log2(needed))}\` in this shell first (as root, or raise nofile in /etc/security/limits.conf), or use more --generators.`
		);
	}
	const ports = localPorts();
	if (ports !== undefined && all > ports * 0.9) {
		return (
			`${all} listeners need as many local ports, and this machine gives ${ports}.\n` +
			`Type \`sysctl -w net.ipv4.ip_local_port_range="1024 65535"\` as root first, or start this program on several machines.`
		);
	}
	return undefined;
}

/** Of this process, and so of its children; Node has raised the soft limit to the hard one. */
function openFilesLimit(): number | undefined {
	const match = /^Max open files\s+(\d+)/m.exec(read('/proc/self/limits'));
	return match?.[1] === undefined ? undefined : Number(match[1]);
}

function localPorts(): number | undefined {
	const [from, to] = read('/proc/sys/net/ipv4/ip_local_port_range').trim().split(/\s+/).map(Number);
	return from === undefined || to === undefined ? undefined : to - from;
}

function read(file: string): string {
	try {
		return readFileSync(file, 'utf8');
	} catch {
		return '';
	}
}
