import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const NODE = path.resolve(import.meta.dirname, '../../../node_modules/.bin/node');
const RELAY = path.join(import.meta.dirname, 'netns-relay.ts');

/** The two ends of the one cable; from a range that is for documentation, so that no network can be meant by it. */
const NEAR = '192.0.2.1';
const FAR = '192.0.2.2';

function ip(...args: string[]): void {
	const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
	if (status !== 0) {
		throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
	}
}

/** Why this user cannot make network namespaces here, in words for whoever reads the test's report; undefined when they can. */
export function whyNoNamespace(): string | undefined {
	if (process.getuid?.() !== 0) {
		return 'needs root, to make a network namespace: Firefox does no ICE over the loopback address';
	}
	const name = `rostrum-probe-${process.pid}`;
	try {
		ip('netns', 'add', name);
		try {
			ip('-n', name, 'link', 'set', 'lo', 'up');
		} finally {
			ip('netns', 'del', name);
		}
		return undefined;
	} catch (error) {
		const reason = String(error);
		if (reason.includes('Operation not permitted')) {
			return 'needs network namespaces, which are not permitted here even to root (a container?)';
		}
		if (reason.includes('make-rslave')) {
			return 'needs network namespaces, which `ip` cannot enter where "/" is no mount point (a chroot?)';
		}
		throw error;
	}
}

/**
 * A host of its own as far as the network goes: loopback, and a cable (veth pair) of which both ends are inside, with
 * an address each and a default route, so that browsers find an interface that is not loopback. Nothing gets out.
 */
export class NetworkNamespace {
	readonly name: string;
	/** That media servers listen on: on the cable, not on loopback. */
	readonly address = NEAR;
	readonly #directory = mkdtempSync(path.join(tmpdir(), 'rostrum-netns-'));
	readonly #servers: Server[] = [];
	readonly #relay: ChildProcess;
	#closed = false;
	readonly #onExit = () => this.#remove();

	/** @throws when not root; ask `whyNoNamespace()` first */
	static async create(): Promise<NetworkNamespace> {
		const namespace = new NetworkNamespace(`rostrum-${process.pid}`);
		const ready = await new Promise<boolean>((resolve) => {
			namespace.#relay.stdout?.once('data', () => resolve(true));
			namespace.#relay.once('exit', () => resolve(false));
		});
		if (!ready) {
			await namespace.close();
			throw new Error('the relay of the network namespace did not start');
		}
		return namespace;
	}

	private constructor(name: string) {
		this.name = name;
		ip('netns', 'add', name);
		process.once('exit', this.#onExit);
		const inside = (...args: string[]) => ip('-n', name, ...args);
		inside('link', 'set', 'lo', 'up');
		inside('link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far');
		for (const [link, address] of [['near', NEAR], ['far', FAR]] as const) {
			inside('address', 'add', `${address}/24`, 'dev', link);
			inside('link', 'set', link, 'up');
		}
		inside('route', 'add', 'default', 'via', NEAR, 'dev', 'far');
		this.#relay = spawn('ip', ['netns', 'exec', name, NODE, RELAY, this.#socketPath], { stdio: ['pipe', 'pipe', 'inherit'] });
	}

	/** A program that runs another inside: for launchers that take only the path of an executable. */
	wrapper(program: string): string {
		const file = path.join(this.#directory, path.basename(program));
		writeFileSync(file, `#!/bin/sh\nexec ip netns exec ${this.name} ${program} "$@"\n`, { mode: 0o755 });
		return file;
	}

	/**
	 * A TCP port on 127.0.0.1 that means the same on both sides: who connects to it outside reaches whoever listens
	 * on it inside. So a server's URL can be used by the test and by browsers inside alike.
	 */
	async share(): Promise<number> {
		const server = createServer((outer) => {
			const carried = connect(this.#socketPath);
			outer.on('error', () => carried.destroy());
			carried.on('error', () => outer.destroy());
			outer.on('close', () => carried.destroy());
			carried.on('close', () => outer.destroy());
			carried.write(`${port}\n`);
			outer.pipe(carried).pipe(outer);
		});
		this.#servers.push(server);
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		const { port } = server.address() as AddressInfo;
		return port;
	}

	/** What runs inside must have been ended before. */
	async close(): Promise<void> {
		if (this.#closed) {
			return;
		}
		for (const server of this.#servers) {
			server.close();
		}
		if (this.#relay.exitCode === null && this.#relay.signalCode === null) {
			const exited = once(this.#relay, 'exit');
			this.#relay.stdin?.end();
			await exited;
		}
		this.#remove();
	}

	get #socketPath(): string {
		return path.join(this.#directory, 'relay');
	}

	#remove(): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		process.off('exit', this.#onExit);
		rmSync(this.#directory, { recursive: true, force: true });
		// With its name goes the namespace, and with the namespace the cable.
		ip('netns', 'del', this.name);
	}
}
