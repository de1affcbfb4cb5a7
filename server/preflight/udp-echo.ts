import { randomBytes, randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { PortRange } from './system-facts.ts';

export interface UdpEcho {
	port: number;
	/** Hexadecimal: what a packet must begin with to be sent back. */
	key: string;
}

const ATTEMPTS = 20;
/** An answer to every one of them from each node of a large fleet. */
const MAX_ANSWERS = 1_000;

/** Opens one of the ports for links for a moment, and sends back what holders of the key send. Undefined when none could be had. */
export async function openUdpEcho(ip: string, { first, last }: PortRange, openMs: number): Promise<UdpEcho | undefined> {
	for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
		const socket = await bound(ip, randomInt(first, last + 1));
		if (socket) {
			const key = randomBytes(16);
			let answers = 0;
			socket.on('message', (packet, from) => {
				if (packet.subarray(0, key.length).equals(key) && answers++ < MAX_ANSWERS) {
					socket.send(packet, from.port, from.address);
				}
			});
			setTimeout(() => socket.close(), openMs).unref();
			socket.unref();
			return { port: socket.address().port, key: key.toString('hex') };
		}
	}
	return undefined;
}

async function bound(ip: string, port: number): Promise<Socket | undefined> {
	const socket = createSocket(isIPv6(ip) ? 'udp6' : 'udp4');
	try {
		socket.bind(port, ip);
		await once(socket, 'listening');
		socket.on('error', () => undefined); // A packet back to somebody who is gone.
		return socket;
	} catch {
		socket.close();
		return undefined;
	}
}
