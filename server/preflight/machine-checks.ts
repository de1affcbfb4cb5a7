import { type Check, failed, number, ok, warning } from './check.ts';
import type { PortRange, SystemFacts } from './system-facts.ts';

/** What a node is asked to carry, and what it has for that. */
export interface NodeNeeds {
	/** Of the expected audience; undefined where nobody is expected in particular. */
	listeners: number | undefined;
	bytesPerListener: number;
	maxEventStreams: number;
	shards: number;
	cores: number;
	freeMemoryBytes: number;
	mediaPorts: PortRange;
	linkPorts: PortRange;
	/** Ends of links that this node may come to have at once. */
	linksNeeded: number;
}

/** Log, database, Redis, other nodes, shards, and requests under way. */
const OTHER_FILES = 1_024;
/** A socket that has less loses packets when a burst is sent to thousands: a packet takes about 1 KB of it, whatever it holds. */
const BUFFER_BYTES = 1_048_576;
const CROWD = 1_000;
const LOADED = 0.7;
const DISK_FAILED_BYTES = 100e6;
const DISK_WARNING_BYTES = 1e9;
const SPARE_MEMORY = 1.25;

/** The machine under a node: what the operating system says against what the node needs. Pure. */
export function machineChecks(facts: SystemFacts, needs: NodeNeeds): Check[] {
	return [files(facts, needs), ...ports(facts, needs), buffers(facts, needs), processor(facts, needs), memory(needs), disk(facts)];
}

function files({ openFiles }: SystemFacts, { listeners, maxEventStreams }: NodeNeeds): Check {
	const check = 'file_descriptors';
	if (openFiles === undefined) {
		return ok(check, 'The limit cannot be read here.');
	}
	const needed = Math.min(listeners ?? CROWD, maxEventStreams) + OTHER_FILES;
	const wanted = maxEventStreams + OTHER_FILES;
	const advice = `Raise the limit to ${number(wanted)} or more: LimitNOFILE in the systemd unit, --ulimit nofile with Docker, ulimit -n in a shell.`;
	if (openFiles < needed) {
		return failed(check, `This process may open ${number(openFiles)} files; every listener's page keeps one socket open for events, so ${number(needed)} are needed.`, advice);
	}
	return openFiles < wanted
		? warning(check, `This process may open ${number(openFiles)} files; http.maxEventStreams allows ${number(maxEventStreams)} event streams.`, advice)
		: ok(check, `This process may open ${openFiles === Number.POSITIVE_INFINITY ? 'any number of' : number(openFiles)} files.`);
}

function ports({ ephemeralPorts, reservedPorts, udpPorts }: SystemFacts, { mediaPorts, linkPorts, linksNeeded }: NodeNeeds): Check[] {
	const ranges = [mediaPorts, linkPorts];
	const exposed = ephemeralPorts
		? ranges.filter((range) => range.first <= ephemeralPorts.last && range.last >= ephemeralPorts.first && !covered(range, ephemeralPorts, reservedPorts))
		: [];
	const own = ranges.map(({ first, last }) => `${first}-${last}`).join(',');
	const ephemeral = exposed.length === 0
		? ok('ephemeral_ports', 'No other program is given a media or link port by chance.')
		: warning(
				'ephemeral_ports',
				`${exposed.map(({ first, last }) => `Ports ${first}-${last}`).join(' and ')} lie within those that the system gives to outgoing connections (${ephemeralPorts?.first}-${ephemeralPorts?.last}): any program may happen to hold one when a shard needs it.`,
				`Reserve them: sysctl -w net.ipv4.ip_local_reserved_ports=${own} (and in /etc/sysctl.d), or choose ports outside of that range.`,
			);
	if (udpPorts === undefined) {
		return [ephemeral];
	}
	let free = 0;
	for (let port = linkPorts.first; port <= linkPorts.last; port++) {
		free += udpPorts.has(port) ? 0 : 1;
	}
	const found = `${number(free)} of the ${number(linkPorts.last - linkPorts.first + 1)} link ports ${linkPorts.first}-${linkPorts.last} are free`;
	return [
		ephemeral,
		free < linksNeeded
			? failed('link_ports', `${found}; up to ${number(linksNeeded)} may be needed at once.`, 'See who holds them (ss -lunp), or give links another or a larger range: sfu.linkPortMin and sfu.linkPortMax.')
			: ok('link_ports', `${found}.`),
	];
}

/** Whether every port that outgoing connections could take is reserved. */
function covered({ first, last }: PortRange, ephemeral: PortRange, reserved: readonly PortRange[]): boolean {
	for (let port = Math.max(first, ephemeral.first); port <= Math.min(last, ephemeral.last); port++) {
		if (!reserved.some((range) => port >= range.first && port <= range.last)) {
			return false;
		}
	}
	return true;
}

function buffers({ udpBuffers }: SystemFacts, { listeners = CROWD }: NodeNeeds): Check {
	const check = 'udp_buffers';
	if (udpBuffers === undefined) {
		return ok(check, 'Not to be seen from in here (a container?); on the host: sysctl net.core.wmem_default net.core.rmem_default, 1 MB or more.');
	}
	const { sendDefault, sendMax, receiveDefault, receiveMax } = udpBuffers;
	const said = `A UDP socket gets ${kilobytes(sendDefault)} to send from and ${kilobytes(receiveDefault)} to receive into (at most ${kilobytes(sendMax)} and ${kilobytes(receiveMax)})`;
	const small = Math.min(sendDefault, receiveDefault) < BUFFER_BYTES;
	return small && listeners >= CROWD
		? warning(
				check,
				`${said}: a packet for a thousand listeners at once may not fit.`,
				`sysctl -w ${['wmem_default', 'wmem_max', 'rmem_default', 'rmem_max'].map((name) => `net.core.${name}=${BUFFER_BYTES}`).join(' ')} (and in /etc/sysctl.d), before the node starts.`,
			)
		: ok(check, `${said}.`);
}

function processor({ load }: SystemFacts, { cores, shards }: NodeNeeds): Check {
	const check = 'processor';
	const said = `${number(cores)} processor cores for ${number(shards)} shards; over the last minute ${load.toFixed(1)} programs wanted one`;
	if (load / cores > LOADED) {
		return warning(check, `${said}.`, 'Find out what keeps this machine busy (top) before the event does.');
	}
	return shards > Math.max(2, cores)
		? warning(check, `${said}: shards that share a core disturb each other.`, 'Set sfu.listenerShards to the number of cores less one.')
		: ok(check, `${said}.`);
}

function memory({ freeMemoryBytes, bytesPerListener, listeners }: NodeNeeds): Check {
	const check = 'memory';
	const needed = (listeners ?? 0) * bytesPerListener;
	const said = `${megabytes(freeMemoryBytes)} are free; ${listeners === undefined ? 'a thousand listeners take' : `this node's share of the audience takes`} ${megabytes(listeners === undefined ? CROWD * bytesPerListener : needed)}`;
	const advice = 'Give the machine more memory, take other programs off it, or add a node.';
	if (freeMemoryBytes < needed) {
		return failed(check, `${said}.`, advice);
	}
	return freeMemoryBytes < Math.max(needed * SPARE_MEMORY, CROWD * bytesPerListener) ? warning(check, `${said}.`, advice) : ok(check, `${said}.`);
}

function disk({ freeDiskBytes }: SystemFacts): Check {
	const check = 'disk';
	if (freeDiskBytes === undefined) {
		return failed(check, 'The data folder cannot be looked at.', 'Check that dataDir exists and that this user may use it.');
	}
	const said = `${megabytes(freeDiskBytes)} are free for the data folder.`;
	const advice = 'Make room on the disk of dataDir: rooms that cannot be written are not changed.';
	return freeDiskBytes < DISK_FAILED_BYTES ? failed(check, said, advice) : freeDiskBytes < DISK_WARNING_BYTES ? warning(check, said, advice) : ok(check, said);
}

const kilobytes = (bytes: number) => `${number(bytes / 1_024)} KiB`;
const megabytes = (bytes: number) => `${number(bytes / 1e6)} MB`;
