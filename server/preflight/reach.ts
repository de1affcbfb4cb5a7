import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { isLoopbackHost } from '../../config/checks.ts';
import { answeredTransaction, bindingRequest } from './stun.ts';
import type { MediaTarget, ProbeTarget } from './probe-target.ts';

/** Of another node, as seen from this one. */
export interface Reached {
	nodeId: string;
	announced: boolean;
	/** Shards whose media port answered. */
	udp: number[];
	tcp: number[];
	shards: number[];
	/** Undefined where the node had no link port to show. */
	link: boolean | undefined;
}

/** A packet may be lost; three in a row are not. */
const SEND_AT_MS = [0, 200, 500] as const;
const WAIT_MS = 1_200;

/** Looks at other nodes' media ports the way a browser does (a STUN request over UDP, a TCP connection), and at a link port of each. */
export async function reachTargets(targets: readonly ProbeTarget[]): Promise<Reached[]> {
	const asker = new UdpAsker();
	try {
		return await Promise.all(targets.map((target) => reach(target, asker)));
	} finally {
		asker.close();
	}
}

async function reach({ nodeId, announced, media, link }: ProbeTarget, asker: UdpAsker): Promise<Reached> {
	const [udp, tcp, linkAnswers] = await Promise.all([
		answering(media, (target) => anyOf(addressesOf(target, 'udp').map(({ host, port }) => asker.binding(host, port, target)))),
		answering(media, (target) => anyOf(addressesOf(target, 'tcp').map(({ host, port }) => connects(host, port)))),
		link && asker.echo(link.host, link.port, link.key),
	]);
	return { nodeId, announced, udp, tcp, shards: media.map(({ shard }) => shard), link: linkAnswers };
}

async function answering(media: readonly MediaTarget[], answers: (target: MediaTarget) => Promise<boolean>): Promise<number[]> {
	const found = await Promise.all(media.map(async (target) => ((await answers(target)) ? [target.shard] : [])));
	return found.flat();
}

/** Loopback is another machine's there; it counts only where it is all a node has: then both may be on one machine. */
function addressesOf({ addresses }: MediaTarget, protocol: 'udp' | 'tcp') {
	const all = addresses.filter((address) => address.protocol === protocol);
	const outside = all.filter(({ host }) => !isLoopbackHost(host));
	return outside.length > 0 ? outside : all;
}

const anyOf = async (attempts: readonly Promise<boolean>[]): Promise<boolean> => (await Promise.all(attempts)).includes(true);

async function connects(host: string, port: number): Promise<boolean> {
	const { promise, resolve } = Promise.withResolvers<boolean>();
	const socket = connect({ host, port });
	const timer = setTimeout(() => resolve(false), WAIT_MS);
	socket.once('connect', () => resolve(true));
	socket.once('error', () => resolve(false));
	const connected = await promise;
	clearTimeout(timer);
	socket.destroy();
	return connected;
}

/** One socket for each family of addresses; answers are told apart by what they bear. */
class UdpAsker {
	readonly #sockets = new Map<string, Socket>();
	readonly #waiting = new Map<string, (answered: boolean) => void>();

	/** A STUN binding request. */
	binding(host: string, port: number, { usernameFragment, password }: MediaTarget): Promise<boolean> {
		const { packet, transactionId } = bindingRequest(usernameFragment, password);
		return this.#ask(host, port, packet, transactionId);
	}

	echo(host: string, port: number, key: string): Promise<boolean> {
		const packet = Buffer.concat([Buffer.from(key, 'hex'), randomBytes(16)]);
		return this.#ask(host, port, packet, packet.toString('hex'));
	}

	close(): void {
		for (const socket of this.#sockets.values()) {
			socket.close();
		}
		this.#sockets.clear();
	}

	async #ask(host: string, port: number, packet: Buffer, id: string): Promise<boolean> {
		const { promise, resolve } = Promise.withResolvers<boolean>();
		this.#waiting.set(id, resolve);
		const socket = this.#socket(isIPv6(host) ? 'udp6' : 'udp4');
		const timers = SEND_AT_MS.map((atMs) => setTimeout(() => socket.send(packet, port, host, () => undefined), atMs));
		timers.push(setTimeout(() => resolve(false), WAIT_MS));
		const answered = await promise;
		timers.forEach(clearTimeout);
		this.#waiting.delete(id);
		return answered;
	}

	#socket(family: 'udp4' | 'udp6'): Socket {
		const known = this.#sockets.get(family);
		if (known) {
			return known;
		}
		const socket = createSocket(family);
		socket.on('error', () => undefined); // Whoever cannot be sent to does not answer either.
		socket.on('message', (packet) => this.#waiting.get(answeredTransaction(packet) ?? packet.toString('hex'))?.(true));
		this.#sockets.set(family, socket);
		return socket;
	}
}
