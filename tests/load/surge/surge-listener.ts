import { LoadListener } from '../load-listener.ts';
import { Entrance, type Refusal, TurnedAway } from './entrance.ts';
import { HlsListener } from './hls-listener.ts';
import { HttpConnection } from './http-connection.ts';
import type { Entry, Group, ListenerRecord } from './messages.ts';
import type { OwnStalls } from './own-stalls.ts';
import { VoiceMeter } from './voice-meter.ts';

/** What all listeners of a process share. */
export interface Crowd {
	listenUrl: URL;
	bindAddress: string;
	patienceMs: number;
	overflow: boolean;
	/** Part of the joined who leave and come back, a second. */
	churn: number;
	nowMs: () => number;
	random: () => number;
	stalls: OwnStalls;
	onRefusal: (refusal: Refusal) => void;
	onGap: (gapMs: number) => void;
	/** Audio of this speaker has come to somebody. */
	onHeard: (csrc: number, atMs: number) => void;
}

/** A page waits up to this long before it comes back after a loss, so that a crowd that fell together does not return together. */
const REJOIN_JITTER_MS = 300;
/** As long as a timer can be. */
const LONGEST_MS = 2 ** 31 - 1;
const COUNTED_GAP_MS = 200;
const LEAVE_TIMEOUT_MS = 4_000;

class Closed extends Error {}

/**
 * One real listener from wanting in to leaving: asks at the door, hears HLS meanwhile if there is any, connects, hears,
 * comes back after a loss, and leaves and comes back on its own where the crowd does.
 */
export class SurgeListener {
	readonly record: ListenerRecord;
	readonly #crowd: Crowd;
	readonly #token: string | undefined;
	readonly #connection = new HttpConnection();
	readonly #abort = new AbortController();
	#meters: VoiceMeter[] = [];
	#peer: LoadListener | undefined;
	/** Made ahead of time: its offer waits for `#begin`. */
	#prepared: { peer: LoadListener; connected: Promise<number>; begin: () => void; entry: Entry } | undefined;
	#sessionUrl: string | undefined;
	#hls: HlsListener | undefined;
	#lastCause: string | undefined;
	#running: Promise<void> = Promise.resolve();
	#wanted = false;
	#closed = false;

	constructor(crowd: Crowd, group: Group, token: string | undefined) {
		this.#crowd = crowd;
		this.#token = token;
		this.record = {
			group, entries: [], outcome: 'waiting', cause: undefined, refusals: 0, handedOn: 0, lostSessions: 0,
			packets: 0, audioPackets: 0, lost: 0, largestGapMs: 0, largestForeignGapMs: 0, gapsOver200Ms: 0, connections: 0, hls: undefined,
		};
	}

	get wanted(): boolean {
		return this.#wanted;
	}
	get connected(): boolean {
		return this.#sessionUrl !== undefined && this.#peer?.isConnected === true;
	}
	get hearsHls(): boolean {
		return this.#hls?.hears === true;
	}

	/**
	 * Makes the offer ahead, as the machines of a thousand people would each make their own at the time; resolves with it
	 * made. The listener still connects, and asks, only when it wants in.
	 */
	prepare(): Promise<void> {
		const entry = this.#newEntry(undefined);
		let begin = (): void => undefined;
		const begun = new Promise<void>((resolve) => (begin = resolve));
		return new Promise((resolve) => {
			const peer = this.#newPeer(entry);
			const connected = peer.join(async (offer) => {
				resolve();
				await begun;
				return await this.#enter(offer, entry);
			});
			// Looked at when it is used; a failure to make the offer is met then as well.
			connected.catch(() => resolve());
			this.#prepared = { peer, connected, begin, entry };
		});
	}

	/** From wanting in until it has failed or is closed. Never rejects. */
	run(wantedAtMs: number): Promise<void> {
		this.#running = this.#live(wantedAtMs);
		return this.#running;
	}

	async #live(wantedAtMs: number): Promise<void> {
		try {
			await this.#sleep(wantedAtMs - this.#crowd.nowMs());
			this.#wanted = true;
			let after: Entry['after'];
			for (let at = wantedAtMs; ; at = this.#crowd.nowMs()) {
				await this.#join(at, after);
				after = await this.#stay();
				if (after === 'lost') {
					this.record.lostSessions++;
				}
				await this.#leave();
			}
		} catch (error) {
			if (!(error instanceof Closed)) {
				this.record.outcome = 'failed';
				this.record.cause = error instanceof Error ? error.message : String(error);
			}
		} finally {
			this.#release();
		}
	}

	/** Loss and gaps count from now on. */
	mark(): void {
		this.#collect();
		Object.assign(this.record, { packets: 0, audioPackets: 0, lost: 0, largestGapMs: 0, largestForeignGapMs: 0, gapsOver200Ms: 0 });
	}

	/** It is over: the record is complete but for its connections, and whatever it was about to do it does no more. */
	stop(): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		this.#openGap();
		this.#collect();
		const { record } = this;
		if (record.outcome !== 'failed') {
			record.outcome = this.connected ? 'joined' : 'waiting';
			record.cause = record.outcome === 'waiting' ? this.#lastCause : undefined;
		}
		this.#stopHls();
		this.#abort.abort();
	}

	/** Leaves politely: a seat that is being given right now is taken first, then given back. */
	async close(): Promise<void> {
		this.stop();
		await this.#leave();
		await Promise.race([this.#running, new Promise((resolve) => setTimeout(resolve, LEAVE_TIMEOUT_MS).unref())]);
		this.#release();
		this.record.connections += this.#connection.opened;
		this.#connection.close();
	}

	async #join(wantedAtMs: number, after: Entry['after']): Promise<void> {
		const deadlineMs = wantedAtMs + this.#crowd.patienceMs;
		const entry = this.#prepared?.entry ?? this.#newEntry(after);
		entry.wantedAtMs = wantedAtMs;
		entry.begunAtMs = this.#crowd.nowMs();
		this.record.entries.push(entry);
		for (;;) {
			try {
				await this.#connect(entry);
				if (this.#closed) throw new Closed();
				entry.connectedAtMs = this.#crowd.nowMs();
				this.#stopHls();
				return;
			} catch (error) {
				this.#dropPeer();
				if (this.#closed) throw new Closed();
				if (error instanceof TurnedAway) throw error;
				// It had a seat, and no media came through.
				void this.#leave();
				this.#lastCause = `media: ${error instanceof Error ? error.message.replaceAll(/\d+ ms/g, 'its time') : 'unknown'}`;
				if (this.#crowd.nowMs() >= deadlineMs) throw new TurnedAway(this.#lastCause, { cause: error });
				await this.#sleep(this.#crowd.random() * REJOIN_JITTER_MS);
			}
		}
	}

	#connect(entry: Entry): Promise<unknown> {
		const prepared = this.#prepared;
		if (prepared) {
			this.#prepared = undefined;
			this.#peer = prepared.peer;
			prepared.begin();
			return prepared.connected;
		}
		this.#peer = this.#newPeer(entry);
		return this.#peer.join((offer) => this.#enter(offer, entry));
	}

	async #enter(offer: string, { wantedAtMs }: Entry): Promise<string> {
		const { listenUrl, nowMs, random, patienceMs, overflow } = this.#crowd;
		const entrance = new Entrance({
			url: listenUrl,
			token: this.#token,
			connection: this.#connection,
			nowMs,
			random,
			sleep: (ms) => this.#sleep(ms),
			deadlineMs: () => (this.#hls?.figures.firstMediaAtMs === undefined ? wantedAtMs + patienceMs : Number.POSITIVE_INFINITY),
			onRefusal: (refusal) => {
				this.record.refusals++;
				this.#lastCause = refusal.cause;
				this.#crowd.onRefusal(refusal);
				if (overflow && refusal.hlsUrl !== undefined) {
					this.#startHls(refusal.hlsUrl);
				}
			},
		});
		const { sdp, sessionUrl, handedOn } = await entrance.enter(offer);
		this.#sessionUrl = sessionUrl;
		this.record.handedOn += handedOn ? 1 : 0;
		if (this.#closed) {
			await this.#leave();
			throw new Closed();
		}
		return sdp;
	}

	/** Until it is lost, or wants to leave. */
	async #stay(): Promise<'left' | 'lost'> {
		const { churn, nowMs, random } = this.#crowd;
		const leavesAtMs = churn > 0 ? nowMs() - Math.log(1 - random()) / churn * 1_000 : Number.POSITIVE_INFINITY;
		const leaves = this.#sleep(Math.min(LONGEST_MS, leavesAtMs - nowMs())).then(() => 'left' as const);
		leaves.catch(() => undefined); // Closed, long after the connection was lost.
		const after = await Promise.race([leaves, this.#peer?.whenOver().then(() => 'lost' as const) ?? leaves]);
		if (after === 'lost') {
			await this.#sleep(random() * REJOIN_JITTER_MS);
		}
		return after;
	}

	#newEntry(after: Entry['after']): Entry {
		return { wantedAtMs: 0, begunAtMs: 0, connectedAtMs: undefined, firstPacketAtMs: undefined, firstAudioAtMs: undefined, after };
	}

	#newPeer(entry: Entry): LoadListener {
		const { nowMs, stalls, onGap, onHeard } = this.#crowd;
		const clockMs = nowMs() - performance.now();
		const meters: VoiceMeter[] = [];
		const peer = new LoadListener({
			bindAddress: this.#crowd.bindAddress,
			onRtp: (voice, packet, atMs) => {
				const meter = (meters[voice] ??= new VoiceMeter());
				const lastAtMs = meter.lastAtMs;
				const gapMs = meter.take(packet, atMs);
				if (gapMs === undefined || this.#closed) {
					return;
				}
				entry.firstPacketAtMs ??= clockMs + atMs;
				if (meter.hasAudio) {
					entry.firstAudioAtMs ??= clockMs + atMs;
					if (meter.csrc !== undefined) onHeard(meter.csrc, clockMs + atMs);
				}
				if (gapMs > this.record.largestForeignGapMs) {
					this.#gap(gapMs, gapMs - stalls.within(lastAtMs, atMs));
				}
				onGap(gapMs);
				this.record.gapsOver200Ms += gapMs > COUNTED_GAP_MS ? 1 : 0;
			},
		});
		this.#meters = meters;
		return peer;
	}

	#gap(gapMs: number, foreignMs: number): void {
		this.record.largestGapMs = Math.max(this.record.largestGapMs, gapMs);
		this.record.largestForeignGapMs = Math.max(this.record.largestForeignGapMs, foreignMs);
	}

	/** Nothing has come for longer than a keep-alive takes: a gap that still lasts. */
	#openGap(): void {
		const lastAtMs = Math.max(0, ...this.#meters.filter(Boolean).map((meter) => meter.lastAtMs));
		const openMs = performance.now() - lastAtMs - 500;
		if (this.connected && lastAtMs > 0 && openMs > COUNTED_GAP_MS) {
			this.#gap(openMs, openMs);
			this.record.gapsOver200Ms++;
		}
	}

	#startHls(url: string): void {
		if (this.#hls !== undefined || this.#closed) {
			return;
		}
		const { nowMs } = this.#crowd;
		this.#hls = new HlsListener({ url: new URL(url), token: this.#token, nowMs, sleep: (ms) => this.#sleep(ms) });
		void this.#hls.run();
	}

	/** The figures of the first time it needed HLS stay; a later time is rare, and is not added up. */
	#stopHls(): void {
		const hls = this.#hls;
		if (hls) {
			hls.close();
			this.record.hls ??= { ...hls.figures, endedAtMs: this.#crowd.nowMs() };
			this.record.connections += hls.connections;
			this.#hls = undefined;
		}
	}

	#collect(): void {
		for (const meter of this.#meters.filter(Boolean)) {
			this.record.packets += meter.packets;
			this.record.audioPackets += meter.audioPackets;
			this.record.lost += meter.lost;
			meter.mark();
		}
	}

	#dropPeer(): void {
		this.#collect();
		this.#meters = [];
		this.#peer?.close();
		this.#peer = undefined;
	}

	/** Tells the server, as pages do, whatever became of the session. */
	async #leave(): Promise<void> {
		this.#dropPeer();
		const url = this.#sessionUrl;
		this.#sessionUrl = undefined;
		if (url !== undefined) {
			await this.#connection.request('DELETE', new URL(url), { timeoutMs: LEAVE_TIMEOUT_MS }).catch(() => undefined);
		}
	}

	#release(): void {
		this.#stopHls();
		this.#dropPeer();
		this.#prepared?.peer.close();
		this.#prepared = undefined;
	}

	#sleep(ms: number): Promise<void> {
		return new Promise((resolve, reject) => {
			const { signal } = this.#abort;
			if (signal.aborted) {
				reject(new Closed());
				return;
			}
			const stop = (): void => {
				clearTimeout(timer);
				reject(new Closed());
			};
			const timer = setTimeout(() => {
				signal.removeEventListener('abort', stop);
				resolve();
			}, Math.max(0, ms));
			signal.addEventListener('abort', stop, { once: true });
		});
	}
}
