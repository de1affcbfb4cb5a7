import { ADMIN_TOKEN } from '../process/rostrum-process.ts';
import type { CommandResult, ListenerReport, SpeakerReport } from './client-protocol.ts';
import type { RostrumCluster } from './rostrum-cluster.ts';
import { until } from './until.ts';

/** A packet is at most 120 ms apart from the next; whoever has had none for so long hears nothing. */
const HEARS_MS = 400;
const GATHER_MS = 60_000;

export interface AudienceReport {
	atMs: number;
	listeners: ListenerReport[];
	speaker: SpeakerReport | undefined;
	/** Longest time a client process did nothing: no figure is better than this. */
	lagMs: number;
}

export const hearsNow = (listener: ListenerReport, atMs: number): boolean => listener.connected && atMs - listener.lastAtMs < HEARS_MS;

/** A live room with a speaker who never pauses and its listeners, spread over the client processes. */
export class Audience {
	readonly room: string;
	readonly #cluster: RostrumCluster;

	/** Makes the room, live, and puts the speaker on stage; at this node, if one is named. */
	static async begin(cluster: RostrumCluster, { id = 'hall', at, settings = {} }: { id?: string; at?: string; settings?: object } = {}): Promise<Audience> {
		const node = at === undefined ? cluster.anyNode : cluster.node(at);
		const room = await node.process.room({ id, ...settings });
		const { token } = await node.process.token(room, 'host', 'Hana', { subject: 'hana' });
		const { number } = await cluster.client.ask('speak', { room, token, baseUrl: node.base });
		await Promise.all(cluster.clients.map((client) => client.ask('attend', { number })));
		await Promise.all(cluster.clients.map((client, index) => client.ask('follow', { room, baseUrl: cluster.running[index % cluster.running.length]?.base ?? node.base })));
		return new Audience(cluster, room);
	}

	private constructor(cluster: RostrumCluster, room: string) {
		this.#cluster = cluster;
		this.room = room;
	}

	/** The speaker has a process alone, if there are more: joins are work, and a speaker who is held up is heard by all. */
	get #listenerClients() {
		const [first, ...others] = this.#cluster.clients;
		return others.length > 0 || first === undefined ? others : [first];
	}

	/** More listeners, who come to all nodes in turn, or all to one; resolves when all hear. @returns ms to connect, of each */
	async gather(count: number, at?: string): Promise<number[]> {
		const clients = this.#listenerClients;
		const baseUrls = at === undefined ? this.#cluster.running.map(({ base }) => base) : [this.#cluster.node(at).base];
		const shares = clients.map((_, index) => Math.floor((count + index) / clients.length));
		const joined = await Promise.all(clients.map((client, index) => client.ask('listen', { room: this.room, baseUrls, count: shares[index] ?? 0, withinMs: GATHER_MS })));
		await this.untilAllHear(GATHER_MS);
		return joined.flatMap(({ connectMs }) => connectMs);
	}

	async leave(): Promise<void> {
		await Promise.all(this.#cluster.clients.map((client) => client.ask('leave', {})));
	}

	/** Counts from now on. */
	async mark(): Promise<number> {
		const marks = await Promise.all(this.#cluster.clients.map((client) => client.ask('mark', {})));
		return Math.max(...marks.map(({ atMs }) => atMs));
	}

	async report(): Promise<AudienceReport> {
		const reports: CommandResult<'report'>[] = await Promise.all(this.#cluster.clients.map((client) => client.ask('report', {})));
		return {
			atMs: Math.max(...reports.map(({ atMs }) => atMs)),
			// Each process counts from 0.
			listeners: reports.flatMap(({ listeners }, client) => listeners.map((listener) => ({ ...listener, id: client * 100_000 + listener.id }))),
			speaker: reports[0]?.speaker,
			lagMs: Math.max(...reports.map(({ lagMs }) => lagMs)),
		};
	}

	/** Everybody is connected and hears the speaker at this moment. */
	async untilAllHear(withinMs: number): Promise<void> {
		await until('everybody hears the speaker', withinMs, async () => {
			const { listeners, atMs, speaker } = await this.report();
			const deaf = listeners.filter((listener) => !hearsNow(listener, atMs));
			return deaf.length === 0 || `${deaf.length} of ${listeners.length} do not, e.g. ${JSON.stringify(deaf[0])}; speaker ${JSON.stringify(speaker)}`;
		});
	}

	async end(): Promise<void> {
		await this.leave();
		await this.#cluster.client.ask('hush', {});
		await this.#cluster.anyNode.process.call('DELETE', `/v1/rooms/${this.room}`, undefined, ADMIN_TOKEN);
	}
}
