import { randomBytes } from 'node:crypto';
import pino from 'pino';
import { makeSessionId } from '../../sfu/contract/session-id.ts';
import type { ShardEventName, ShardEvents, ShardStats } from '../../sfu/contract/shard-protocol.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import { Supervisor, type SupervisorOptions } from '../../sfu/supervisor/supervisor.ts';
import { RtcListener } from './rtc/listener.ts';
import { loopbackShards } from './supervisor-options.ts';
import { RtcSpeaker } from './rtc/speaker.ts';

export interface LinkRigOptions extends Partial<SupervisorOptions> {
	/** The first of 100 ports that belong to this rig alone: shards from here on, links from 20 further on. */
	mediaPort: number;
}

export const VOICES = 3;
const WAIT_MS = 15_000;
let links = 0;

/** Real shards, linked to one another by hand as nodes do it, without a node. What it hands out it closes. */
export class LinkRig {
	readonly supervisor: Supervisor;
	readonly #clients: { close: () => void }[] = [];

	static async start({ mediaPort, ...options }: LinkRigOptions): Promise<LinkRig> {
		const supervisor = await Supervisor.start({
			...loopbackShards(mediaPort),
			listenerShards: 2,
			maxListenersPerShard: 100,
			log: pino({ level: process.env['ROSTRUM_TEST_LOG'] ?? 'silent' }),
			...options,
		});
		return new LinkRig(supervisor);
	}

	private constructor(supervisor: Supervisor) {
		this.supervisor = supervisor;
	}

	shard(index: number): Shard {
		const shard = this.supervisor.shard(index);
		if (!shard) {
			throw new Error(`shard ${index} is not there`);
		}
		return shard;
	}

	/** The whole handshake of a link; the newest one to an edge replaces all others. */
	async link(roomId: string, from: number, to: number, { srtp = false } = {}) {
		const linkId = `link-${++links}`;
		const receiving = await this.shard(to).request('upstream.create', { roomId, linkId, srtp });
		const { voices, ...sending } = await this.shard(from).request('downstream.create', { roomId, linkId, remote: receiving });
		await this.shard(to).request('upstream.connect', { roomId, linkId, remote: sending, voices });
		return { linkId, receiving, sending };
	}

	/** On the stage of this shard, by WHIP, and connected. The speaker's `connect()` comes back to where `onShard` says by then. */
	async speak(roomId: string, number: number, onShard: () => number): Promise<RtcSpeaker> {
		const participantId = `speaker-${number}`;
		const speaker = await RtcSpeaker.publish(async (offer) => {
			const index = onShard();
			await this.shard(index).request('speaker.add', { roomId, participantId, number });
			return (await this.shard(index).request('speaker.publish', { roomId, participantId, sessionId: sessionOn(index), offer })).sdp;
		});
		this.#clients.push(speaker);
		return speaker;
	}

	async listen(roomId: string, index: number): Promise<RtcListener> {
		const listener = await RtcListener.join(async (offer) => (await this.shard(index).request('listener.join', { roomId, sessionId: sessionOn(index), offer })).sdp);
		this.#clients.push(listener);
		return listener;
	}

	/** The next event of this name from the shard that satisfies the predicate. */
	event<N extends ShardEventName>(index: number, name: N, isIt: (data: ShardEvents[N]) => boolean = () => true): Promise<ShardEvents[N]> {
		return new Promise((resolve, reject) => {
			const onEvent = (from: number, event: ShardEventName, data: ShardEvents[ShardEventName]): void => {
				// The name says which data it is.
				if (from === index && event === name && isIt(data as ShardEvents[N])) {
					clearTimeout(timer);
					this.supervisor.off('shardEvent', onEvent);
					resolve(data as ShardEvents[N]);
				}
			};
			const timer = setTimeout(() => {
				this.supervisor.off('shardEvent', onEvent);
				reject(new Error(`waited ${WAIT_MS} ms for ${name} of shard ${index}`));
			}, WAIT_MS);
			this.supervisor.on('shardEvent', onEvent);
		});
	}

	/** The shard's next figures. */
	stats(index: number, isIt?: (stats: ShardStats) => boolean): Promise<ShardStats> {
		return this.event(index, 'shard.stats', isIt);
	}

	async close(): Promise<void> {
		for (const client of this.#clients) {
			client.close();
		}
		await this.supervisor.close('the test is over', 2_000);
	}
}

const sessionOn = (index: number) => makeSessionId(index, randomBytes(16).toString('hex'));
