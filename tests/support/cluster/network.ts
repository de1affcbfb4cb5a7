import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { whyNoNamespace } from '../browser/netns.ts';

/** From a range that is for documentation (RFC 5737), so that no network can be meant by it. */
const SUBNET = '192.0.2';
const FIRST_ADDRESS = 11;
const PREFIX = 'rostrum-net';
const BRIDGE = 'br0';
/** Nobody has this hardware address: what is sent to it is carried to the bridge and taken by nobody. */
const NOBODY = '02:00:00:00:de:ad';
/** Waits until its input ends, which it does when we end, however that comes about; then removes what begins with its argument. */
const CARETAKER = `cat >/dev/null
for netns in $(ip netns list | cut -d' ' -f1 | grep -E "^$1(-|$)"); do
	for pid in $(ip netns pids "$netns"); do kill -9 "$pid"; done
	ip netns del "$netns"
done`;

interface Host {
	address: string;
	netns: string;
	/** Its port of the bridge. */
	port: string;
	isolated: boolean;
}

function run(args: readonly string[]): { ok: boolean; stdout: string; error: string } {
	const { status, stdout, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
	return { ok: status === 0, stdout, error: error?.message ?? stderr.trim() };
}

function ip(...args: string[]): string {
	const { ok, stdout, error } = run(args);
	if (!ok) {
		throw new Error(`ip ${args.join(' ')}: ${error}`);
	}
	return stdout;
}

const pair = (a: string, b: string): string => [a, b].toSorted().join('|');

/**
 * Hosts of their own as far as the network goes: a network namespace each, joined by a bridge in a further namespace.
 * The machine's own interfaces are never touched, and nothing gets out. Cuts lose packets silently, as a broken
 * network does: nobody is told, connections hang.
 */
export class ClusterNetwork {
	readonly #switch: string;
	readonly #hosts = new Map<string, Host>();
	readonly #cuts = new Set<string>();
	readonly #caretaker: ChildProcess;
	#closed = false;

	/** Why this user cannot have one, in words for whoever reads the report; undefined when they can. */
	static whyNot(): string | undefined {
		return whyNoNamespace()?.replace(/, to make a network namespace: .*$/, ', to make a network namespace for each host');
	}

	/** @throws when not root; ask `whyNot()` first */
	static create({ hosts }: { hosts: readonly string[] }): ClusterNetwork {
		const network = new ClusterNetwork(`${PREFIX}-${process.pid}-${counter++}`);
		try {
			network.#build(hosts);
			return network;
		} catch (error) {
			network.close();
			throw error;
		}
	}

	private constructor(name: string) {
		this.#switch = name;
		this.#caretaker = spawn('sh', ['-c', CARETAKER, 'sh', name], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
		this.#caretaker.unref();
	}

	get hosts(): string[] {
		return [...this.#hosts.keys()];
	}
	address(host: string): string {
		return this.#host(host).address;
	}
	/** Name of the namespace, for `ip netns exec`. */
	netns(host: string): string {
		return this.#host(host).netns;
	}

	/** From now on neither hears from the other. */
	cut(a: string, b: string): void {
		this.#cuts.add(pair(a, b));
		this.#lead(a, b, NOBODY);
		this.#lead(b, a, NOBODY);
	}

	heal(a: string, b: string): void {
		if (this.#cuts.delete(pair(a, b))) {
			this.#lead(a, b, undefined);
			this.#lead(b, a, undefined);
		}
	}

	/** The bridge carries nothing to or from this host any more. */
	isolate(host: string): void {
		this.#host(host).isolated = true;
		this.#forward(host, false);
	}

	rejoin(host: string): void {
		const known = this.#host(host);
		if (known.isolated) {
			known.isolated = false;
			this.#forward(host, true);
		}
	}

	/** Everybody reaches everybody. */
	restore(): void {
		for (const cut of this.#cuts) {
			const [a = '', b = ''] = cut.split('|');
			this.heal(a, b);
		}
		for (const host of this.hosts) {
			this.rejoin(host);
		}
	}

	/** Processes of this host, whoever started them. */
	pids(host: string): number[] {
		return pidsIn(this.netns(host));
	}

	/** What still runs on the hosts is killed: it was started for the test, and must not outlive its network. */
	close(): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		for (const netns of [...[...this.#hosts.values()].map(({ netns }) => netns), this.#switch]) {
			remove(netns);
		}
		this.#caretaker.stdin?.end();
	}

	#build(hosts: readonly string[]): void {
		ip('netns', 'add', this.#switch);
		ip('-n', this.#switch, 'link', 'add', BRIDGE, 'type', 'bridge');
		ip('-n', this.#switch, 'link', 'set', BRIDGE, 'up');
		for (const [index, name] of hosts.entries()) {
			const host: Host = { address: `${SUBNET}.${FIRST_ADDRESS + index}`, netns: `${this.#switch}-${name}`, port: `port${index}`, isolated: false };
			ip('netns', 'add', host.netns);
			this.#hosts.set(name, host);
			ip('-n', this.#switch, 'link', 'add', host.port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host.netns);
			ip('-n', this.#switch, 'link', 'set', host.port, 'master', BRIDGE, 'up');
			ip('-n', host.netns, 'link', 'set', 'lo', 'up');
			ip('-n', host.netns, 'address', 'add', `${host.address}/24`, 'dev', 'eth0');
			ip('-n', host.netns, 'link', 'set', 'eth0', 'up');
			// Some programs look for the interface that leads everywhere.
			ip('-n', host.netns, 'route', 'add', 'default', 'dev', 'eth0');
		}
	}

	/** Not by the link's state, which the kernel takes up to a second to tell the other end. */
	#forward(host: string, forwards: boolean): void {
		ip('-n', this.#switch, 'link', 'set', this.#host(host).port, ...(forwards ? ['master', BRIDGE] : ['nomaster']));
	}

	/** Where `from` sends what is meant for `to`: a permanent neighbour, or whoever answers to the address. */
	#lead(from: string, to: string, hardwareAddress: string | undefined): void {
		const { netns } = this.#host(from);
		const { address } = this.#host(to);
		if (hardwareAddress === undefined) {
			ip('-n', netns, 'neigh', 'del', address, 'dev', 'eth0');
		} else {
			ip('-n', netns, 'neigh', 'replace', address, 'lladdr', hardwareAddress, 'nud', 'permanent', 'dev', 'eth0');
		}
	}

	#host(name: string): Host {
		const host = this.#hosts.get(name);
		if (!host) {
			throw new Error(`no host "${name}" in this network`);
		}
		return host;
	}
}

let counter = 0;

function pidsIn(netns: string): number[] {
	const { stdout } = run(['netns', 'pids', netns]);
	return stdout.split('\n').filter(Boolean).map(Number);
}

function remove(netns: string): void {
	for (const pid of pidsIn(netns)) {
		try {
			process.kill(pid, 'SIGKILL');
		} catch {
			// It went by itself.
		}
	}
	run(['netns', 'del', netns]);
}
