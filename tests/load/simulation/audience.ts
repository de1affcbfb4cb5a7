import { parseSessionId } from '../../../sfu/contract/session-id.ts';
import { DomainError } from '../../../server/errors.ts';
import { JoinRefusedError } from '../../../server/placement/admission/join-refusal.ts';
import { LISTEN_BACKOFF, PLACE_BACKOFF, retryDelayMs } from '../../../server/web/browser/sdk/backoff.ts';
import { NODE_MS, type SimulatedNode } from './simulated-node.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface AudienceOptions {
	time: VirtualTime;
	random: () => number;
	/** When each one comes, in ms of virtual time, ascending. */
	arrivals: Float64Array;
	/** As they are now: a node that was started again is another object. */
	nodes: readonly SimulatedNode[];
	/** Everybody asks this node first; undefined: any node. */
	oneEntry: () => number | undefined;
	/** Nodes have addresses of their own, of which pages know some. */
	ownAddresses: boolean;
	/** Whether refusals name an HLS stream. */
	overflow: boolean;
}

/** What happened since the last look. */
export interface AudienceCounts {
	arrived: number;
	posts: number;
	seated: number;
	handedOn: number;
	refused: number;
	failed: number;
}

/** 0: not there yet. */
const ASKING = 1;
const CONNECTING = 2;
const HEARING = 3;
const WAITING = 4;

const ASK = 0;
const REACH = 1;
const HANDSHAKE = 2;
const HEAR = 3;
const LOST = 4;
const HLS = 5;
const GIVE_UP = 6;
/** What is due is one number: what, and for whom. */
const KIND = 2 ** 22;

/** As in server/web/browser/sdk: listen-attempts.ts, listen-connection.ts, listen-session.ts, stall-detector.ts. */
const POST_TIMEOUT_MS = 10_000;
const QUICK_POST_MS = 1_500;
const CONNECT_TIMEOUT_MS = 8_000;
const STABLE_MS = 10_000;
const STALL_MS = 1_200;
const OBSERVE_MS = 250;
const SERVERS_KNOWN = 5;
/** ROSTRUM_SFU_CONNECT_TIMEOUT_MS: sessions whose client is gone before it connected. */
const NEVER_CONNECTED_MS = 15_000;
/** From the refusal to sound: the page's HLS player fetches its playlists and fills its buffer; the first of all waits for ffmpeg as well. */
const HLS_MS = [1_200, 3_200] as const;
const HLS_COLD_MS = 1_500;
const RTT_MS = [15, 140] as const;
const ONE_WAY_WITHIN_MS = 1;
/** A host that is gone refuses nobody: the node that passes a request on waits for a connection so long. */
const CONNECT_PEER_MS = 1_000;
const NONE = -1;

/**
 * Listeners, each behaving as our page does: POST, 307, 503 with Retry-After and the page's own jitter, HLS meanwhile, a new
 * session when the old one falls silent. One entry in each of some arrays; no object lives as long as a listener does.
 */
export class Audience {
	readonly size: number;
	/** Since the last `takeCounts`. */
	#counts: AudienceCounts = noCounts();
	hearing = 0;
	/** By HLS, and not otherwise. */
	byHls = 0;
	/** Came, and hears nothing. */
	silent = 0;
	/** Sessions whose client had gone before the answer came. */
	abandoned = 0;
	/** Whose sessions ended, for each thing that died. */
	readonly losses: Int32Array[] = [];
	readonly #options: AudienceOptions;
	readonly #time: VirtualTime;
	readonly #random: () => number;
	readonly #agenda = new Map<number, number[]>();
	#next = 0;
	#firstHlsMs: number | undefined;

	readonly #state: Uint8Array;
	readonly #rttMs: Uint8Array;
	readonly #failures: Uint8Array;
	readonly #refusals: Uint8Array;
	readonly #quickTries: Uint8Array;
	readonly #serversFailed: Uint8Array;
	/** Grows with each attempt: what belongs to an earlier one finds nobody. */
	readonly #attempt: Uint16Array;
	readonly #knowsOthers: Uint8Array;
	/** Whose page's address it is. */
	readonly #server: Int16Array;
	/** Where the request is going, and the node that gave the ticket. */
	readonly #asks: Int16Array;
	readonly #sentBy: Int16Array;
	readonly #seatNode: Int16Array;
	readonly #seatShard: Int16Array;
	readonly #seatRun: Uint8Array;
	/** When what it waits for now is given up. */
	readonly #deadlineMs: Int32Array;
	readonly #arrivedMs: Int32Array;
	/** First sound by any way, first sound by WebRTC, latest session's first sound. */
	readonly #soundMs: Int32Array;
	readonly #webrtcMs: Int32Array;
	readonly #sinceMs: Int32Array;
	readonly #lostMs: Int32Array;
	readonly #hlsSinceMs: Int32Array;
	readonly #hlsMs: Int32Array;
	/** Who has a session that nobody hears: shard objects and when to take them off. */
	readonly #placeMs: Int32Array;
	/** Of those whose joins may be waiting: tells the server that the page has gone. */
	readonly #gone = new Map<number, () => void>();
	readonly #seats: WeakMap<SimulatedNode, number> = new WeakMap();
	#runs = 0;

	constructor(options: AudienceOptions) {
		const { arrivals, time, random } = options;
		const size = arrivals.length;
		this.#options = options;
		this.#time = time;
		this.#random = random;
		this.size = size;
		this.#state = new Uint8Array(size);
		this.#rttMs = new Uint8Array(size);
		this.#failures = new Uint8Array(size);
		this.#refusals = new Uint8Array(size);
		this.#quickTries = new Uint8Array(size);
		this.#serversFailed = new Uint8Array(size);
		this.#attempt = new Uint16Array(size);
		this.#knowsOthers = new Uint8Array(size);
		const int16 = () => new Int16Array(size).fill(NONE);
		const int32 = () => new Int32Array(size).fill(NONE);
		this.#server = int16();
		this.#asks = int16();
		this.#sentBy = int16();
		this.#seatNode = int16();
		this.#seatShard = int16();
		this.#seatRun = new Uint8Array(size);
		this.#deadlineMs = int32();
		this.#arrivedMs = int32();
		this.#soundMs = int32();
		this.#webrtcMs = int32();
		this.#sinceMs = int32();
		this.#lostMs = int32();
		this.#hlsSinceMs = int32();
		this.#placeMs = int32();
		this.#hlsMs = new Int32Array(size);
		if (size > 0) {
			time.at(arrivals[0]!, this.#arrive);
		}
	}

	get came(): number {
		return this.#next;
	}

	takeCounts(): AudienceCounts {
		const counts = this.#counts;
		this.#counts = noCounts();
		return counts;
	}

	/** All sessions there are gone: at once for the server, and for pages when they notice. @param shard undefined: of the whole node */
	lose(node: SimulatedNode, shard?: number): void {
		const run = this.#runOf(node);
		const nowMs = this.#time.nowMs();
		const lost: number[] = [];
		for (let listener = 0; listener < this.size; listener++) {
			const state = this.#state[listener];
			const seated = (state === HEARING || state === CONNECTING) && this.#seatNode[listener] === node.index && this.#seatRun[listener] === run;
			if (seated && (shard === undefined || this.#seatShard[listener] === shard)) {
				lost.push(listener);
				if (state === HEARING) {
					this.hearing--;
					this.silent++;
					this.#lostMs[listener] = nowMs;
					this.#state[listener] = WAITING;
					this.#later(STALL_MS + this.#random() * (OBSERVE_MS + 60), LOST, listener);
				}
				// Who was only about to connect gives up by its deadline.
				this.#seatNode[listener] = NONE;
			}
		}
		this.losses.push(Int32Array.from(lost));
	}

	/** Whether nobody is without sound, and nobody waits for a session. */
	get settled(): boolean {
		return this.#next === this.size && this.hearing === this.size;
	}

	/** ms from coming to the first sound (by any way, by WebRTC), of all who got so far; unsorted. */
	waits(kind: 'sound' | 'webrtc'): Int32Array {
		const heard = kind === 'sound' ? this.#soundMs : this.#webrtcMs;
		return Int32Array.from(waitsOf(heard, this.#arrivedMs, this.#next));
	}

	/** When each first heard by WebRTC, in virtual ms; those who never did are left out. */
	firstWebrtcMs(): Int32Array {
		return this.#webrtcMs.filter((atMs) => atMs !== NONE);
	}

	/** When the last one first heard anything, and when by WebRTC; in virtual ms. */
	lastMs(kind: 'sound' | 'webrtc'): number {
		const heard = kind === 'sound' ? this.#soundMs : this.#webrtcMs;
		return heard.reduce((last, atMs) => Math.max(last, atMs), 0);
	}

	/** Of these: when each heard by WebRTC again, in virtual ms; NaN for those who do not (yet). */
	soundAgain(listeners: Int32Array, sinceMs: number): Float64Array {
		return Float64Array.from(listeners, (listener) => (this.#state[listener] === HEARING && this.#sinceMs[listener]! >= sinceMs ? this.#sinceMs[listener]! - sinceMs : NaN));
	}

	/** How long each one heard HLS, in ms; those who never did are left out. */
	hlsDurations(): Int32Array {
		const nowMs = this.#time.nowMs();
		const durations: number[] = [];
		for (let listener = 0; listener < this.size; listener++) {
			const sinceMs = this.#hlsSinceMs[listener]!;
			const durationMs = this.#hlsMs[listener]! + (sinceMs >= 0 && nowMs > sinceMs ? nowMs - sinceMs : 0);
			if (durationMs > 0) {
				durations.push(durationMs);
			}
		}
		return Int32Array.from(durations);
	}

	readonly #arrive = (): void => {
		const { arrivals } = this.#options;
		const nowMs = this.#time.nowMs();
		for (; this.#next < this.size && arrivals[this.#next]! <= nowMs; this.#next++) {
			const listener = this.#next;
			this.#counts.arrived++;
			this.silent++;
			this.#arrivedMs[listener] = nowMs;
			this.#rttMs[listener] = RTT_MS[0] + this.#random() ** 2 * (RTT_MS[1] - RTT_MS[0]);
			this.#server[listener] = this.#anyLiving();
			this.#ask(listener);
		}
		if (this.#next < this.size) {
			this.#time.at(arrivals[this.#next]!, this.#arrive);
		}
	};

	#ask(listener: number): void {
		const { oneEntry, ownAddresses } = this.#options;
		this.#state[listener] = ASKING;
		this.#attempt[listener]!++;
		this.#counts.posts++;
		this.#sentBy[listener] = NONE;
		this.#asks[listener] = oneEntry() ?? (ownAddresses ? this.#server[listener]! : this.#anyLiving());
		const patient = this.#hlsSinceMs[listener]! >= 0 || this.#knowsOthers[listener] === 0;
		const timeoutMs = patient ? POST_TIMEOUT_MS : Math.min(POST_TIMEOUT_MS, QUICK_POST_MS * 2 ** this.#quickTries[listener]!++);
		this.#deadline(listener, timeoutMs);
		// TCP and TLS, then the request.
		this.#later(2.5 * this.#rttMs[listener]!, REACH, listener);
	}

	/** A request arrives at a node's door. */
	#reach(listener: number): void {
		const node = this.#options.nodes[this.#asks[listener]!];
		// A host that is gone says nothing.
		if (node?.alive) {
			const attempt = this.#attempt[listener]!;
			node.main.add(NODE_MS.refuse, () => this.#door(listener, attempt, node));
		}
	}

	/** As server/http/routes/listen.ts. */
	#door(listener: number, attempt: number, node: SimulatedNode): void {
		if (attempt !== this.#attempt[listener]) {
			// The page has given this request up, and its connection is closed.
			return;
		}
		const sentBy = this.#sentBy[listener]!;
		const place = this.#placeOf(listener);
		const reason = node.foresee(place);
		if (sentBy !== NONE) {
			if (reason !== undefined) {
				this.#answerRefusal(listener, attempt, node.refuse(reason, place));
				return;
			}
			this.#seat(listener, attempt, node, `node-${sentBy}`, (answer) => answer());
			return;
		}
		const seat = node.decide();
		if (seat === 'here' && reason !== undefined) {
			this.#answerRefusal(listener, attempt, node.refuse(reason, place));
			return;
		}
		if (seat === 'here') {
			this.#seat(listener, attempt, node, undefined, (answer) => answer());
			return;
		}
		this.#counts.handedOn++;
		const to = Number(seat.nodeId.slice('node-'.length));
		if (seat.publicUrl !== undefined) {
			node.main.add(NODE_MS.handOn - NODE_MS.refuse, () => {
				if (attempt === this.#attempt[listener]) {
					this.#asks[listener] = to;
					this.#sentBy[listener] = node.index;
					// Back to the page, and a new connection to the other node.
					this.#later(3.5 * this.#rttMs[listener]!, REACH, listener);
				}
			});
			return;
		}
		node.main.add(NODE_MS.forward / 2, () => this.#forward(listener, attempt, node, to));
	}

	#forward(listener: number, attempt: number, node: SimulatedNode, to: number): void {
		const { nodes } = this.#options;
		const other = nodes[to]!;
		if (!other.alive) {
			this.#after(CONNECT_PEER_MS, () => {
				if (node.alive) {
					node.handOff.refused(other.nodeId);
					this.#seat(listener, attempt, node, undefined, (answer) => answer());
				}
			});
			return;
		}
		this.#after(ONE_WAY_WITHIN_MS, () =>
			other.main.add(NODE_MS.refuse, () =>
				this.#seat(listener, attempt, other, node.nodeId, (answer, error) => {
					if (error?.status === 503) {
						node.handOff.refused(other.nodeId);
					}
					this.#after(ONE_WAY_WITHIN_MS, () => node.main.add(NODE_MS.forward / 2, answer));
				}),
			),
		);
	}

	/** @param back takes the answer to where the client's connection ends */
	#seat(listener: number, attempt: number, node: SimulatedNode, from: string | undefined, back: (answer: () => void, error?: DomainError) => void): void {
		if (!node.alive) {
			return;
		}
		const onGone = (gone: () => void): void => void this.#gone.set(listener, gone);
		node.listen(from, { firstArrivalMs: this.#placeOf(listener), onGone }).then(
			({ sessionId }) => {
				const shard = parseSessionId(sessionId)?.shardIndex ?? NONE;
				node.main.add(NODE_MS.join - NODE_MS.refuse, () => back(() => this.#after(this.#rttMs[listener]! / 2, () => this.#answered(listener, attempt, node, shard))));
			},
			(error: unknown) => {
				const problem = error instanceof DomainError ? error : new DomainError('internal_error', String(error));
				if (node.alive) {
					back(() => this.#after(this.#rttMs[listener]! / 2, () => this.#refused(listener, attempt, problem)), problem);
				}
			},
		);
	}

	#answerRefusal(listener: number, attempt: number, problem: DomainError): void {
		this.#after(this.#rttMs[listener]! / 2, () => this.#refused(listener, attempt, problem));
	}

	/** When it first asked, as the place that a refusal gave it says; in ms of the day. */
	#placeOf(listener: number): number | undefined {
		const placeMs = this.#placeMs[listener]!;
		return placeMs === NONE ? undefined : this.#time.epochMs - this.#time.nowMs() + placeMs;
	}

	/** The answer is with the page. */
	#answered(listener: number, attempt: number, node: SimulatedNode, shard: number): void {
		this.#counts.seated++;
		this.#gone.delete(listener);
		if (attempt !== this.#attempt[listener] || this.#state[listener] !== ASKING) {
			// Nobody is there any more to take the place.
			this.abandoned++;
			const taken = node.supervisor.simulated(shard);
			this.#after(NEVER_CONNECTED_MS, () => (taken?.isGone === false ? taken.leave() : undefined));
			return;
		}
		this.#state[listener] = CONNECTING;
		this.#seatNode[listener] = node.index;
		this.#seatShard[listener] = shard;
		this.#seatRun[listener] = this.#runOf(node);
		this.#serversFailed[listener] = 0;
		this.#knowsOthers[listener] = this.#options.ownAddresses ? 1 : 0;
		this.#deadline(listener, CONNECT_TIMEOUT_MS);
		this.#later(1.5 * this.#rttMs[listener]!, HANDSHAKE, listener);
	}

	#handshake(listener: number): void {
		const node = this.#options.nodes[this.#seatNode[listener]!];
		if (!node?.alive || this.#seatRun[listener] !== this.#runOf(node)) {
			return;
		}
		const attempt = this.#attempt[listener];
		node.supervisor.simulated(this.#seatShard[listener]!)?.handshake(() => {
			if (attempt === this.#attempt[listener] && this.#state[listener] === CONNECTING) {
				this.#later(1.5 * this.#rttMs[listener]! + 60, HEAR, listener);
			}
		});
	}

	#hear(listener: number): void {
		if (this.#state[listener] !== CONNECTING || this.#seatNode[listener] === NONE) {
			return;
		}
		const nowMs = this.#time.nowMs();
		this.#state[listener] = HEARING;
		this.#deadlineMs[listener] = NONE;
		this.#placeMs[listener] = NONE;
		this.hearing++;
		this.#refusals[listener] = 0;
		this.#quickTries[listener] = 0;
		this.#sinceMs[listener] = nowMs;
		if (this.#soundMs[listener] === NONE) this.#soundMs[listener] = nowMs;
		if (this.#webrtcMs[listener] === NONE) this.#webrtcMs[listener] = nowMs;
		const hlsSinceMs = this.#hlsSinceMs[listener]!;
		if (hlsSinceMs >= 0 && hlsSinceMs <= nowMs) {
			this.byHls--;
			this.#hlsMs[listener]! += nowMs - hlsSinceMs;
		} else {
			this.silent--;
		}
		this.#hlsSinceMs[listener] = NONE;
	}

	/** What was heard is not heard any more, and the page has noticed. */
	#lost(listener: number): void {
		if (this.#state[listener] === WAITING) {
			if (this.#time.nowMs() - this.#sinceMs[listener]! > STABLE_MS) {
				this.#failures[listener] = 0;
			}
			this.#later(this.#delayMs(this.#failures[listener]!++), ASK, listener);
		}
	}

	#refused(listener: number, attempt: number, problem: DomainError): void {
		if (attempt !== this.#attempt[listener] || this.#state[listener] !== ASKING) {
			return;
		}
		this.#state[listener] = WAITING;
		this.#deadlineMs[listener] = NONE;
		this.#gone.delete(listener);
		const retryAfterMs = 1_000 * (problem.retryAfterSeconds ?? 0);
		if (problem.code === 'no_capacity') {
			this.#counts.refused++;
			if (problem instanceof JoinRefusedError) {
				this.#placeMs[listener] = problem.refusal.firstArrivalMs - (this.#time.epochMs - this.#time.nowMs());
			}
			this.#openHls(listener);
			this.#later(retryDelayMs(this.#refusals[listener]!++, this.#random, PLACE_BACKOFF, retryAfterMs), ASK, listener);
		} else {
			this.#counts.failed++;
			this.#later(this.#delayMs(this.#elsewhere(listener), retryAfterMs), ASK, listener);
		}
	}

	/** Nothing came back in time, or media did not get through. */
	#giveUp(listener: number): void {
		const state = this.#state[listener];
		if ((state !== ASKING && state !== CONNECTING) || this.#deadlineMs[listener] !== this.#time.nowMs()) {
			return;
		}
		this.#counts.failed++;
		this.#state[listener] = WAITING;
		this.#seatNode[listener] = NONE;
		// The next attempt is another one already.
		this.#attempt[listener]!++;
		this.#gone.get(listener)?.();
		this.#gone.delete(listener);
		this.#later(this.#delayMs(this.#elsewhere(listener)), ASK, listener);
	}

	/** Goes on to the next server it knows. @returns how many attempts have failed everywhere */
	#elsewhere(listener: number): number {
		if (this.#knowsOthers[listener] === 1) {
			this.#server[listener] = this.#anyOther(this.#server[listener]!);
			if (++this.#serversFailed[listener]! < SERVERS_KNOWN) {
				return 0;
			}
			this.#serversFailed[listener] = 0;
		}
		return this.#failures[listener]!++;
	}

	#delayMs(attempt: number, retryAfterMs = 0): number {
		return retryDelayMs(attempt, this.#random, LISTEN_BACKOFF, retryAfterMs);
	}

	#openHls(listener: number): void {
		if (!this.#options.overflow || this.#hlsSinceMs[listener] !== NONE) {
			return;
		}
		const nowMs = this.#time.nowMs();
		this.#firstHlsMs ??= nowMs;
		const warmMs = Math.max(0, this.#firstHlsMs + HLS_COLD_MS - nowMs);
		const atMs = Math.ceil(nowMs + warmMs + HLS_MS[0] + this.#random() * (HLS_MS[1] - HLS_MS[0]));
		this.#hlsSinceMs[listener] = atMs;
		this.#later(atMs - nowMs, HLS, listener);
	}

	#hls(listener: number): void {
		const nowMs = this.#time.nowMs();
		if (this.#hlsSinceMs[listener] !== nowMs) {
			return;
		}
		this.byHls++;
		this.silent--;
		if (this.#soundMs[listener] === NONE) this.#soundMs[listener] = nowMs;
	}

	#anyLiving(): number {
		const { nodes } = this.#options;
		for (;;) {
			const index = Math.floor(this.#random() * nodes.length);
			if (nodes[index]!.alive) {
				return index;
			}
		}
	}

	#anyOther(than: number): number {
		const { nodes } = this.#options;
		const index = Math.floor(this.#random() * (nodes.length - 1));
		return index >= than ? index + 1 : index;
	}

	/** Of a node's runs, which; sessions of an earlier one are not those of this one. */
	#runOf(node: SimulatedNode): number {
		let run = this.#seats.get(node);
		if (run === undefined) {
			run = ++this.#runs % 256;
			this.#seats.set(node, run);
		}
		return run;
	}

	#deadline(listener: number, afterMs: number): void {
		this.#deadlineMs[listener] = Math.ceil(this.#time.nowMs() + afterMs);
		this.#later(afterMs, GIVE_UP, listener);
	}

	#after(delayMs: number, then: () => void): void {
		this.#time.at(this.#time.nowMs() + delayMs, then);
	}

	#later(delayMs: number, kind: number, listener: number): void {
		const atMs = Math.ceil(this.#time.nowMs() + Math.max(1, delayMs));
		const due = this.#agenda.get(atMs);
		if (due) {
			due.push(kind * KIND + listener);
			return;
		}
		this.#agenda.set(atMs, [kind * KIND + listener]);
		this.#time.at(atMs, () => this.#work(atMs));
	}

	#work(atMs: number): void {
		const due = this.#agenda.get(atMs) ?? [];
		this.#agenda.delete(atMs);
		for (const entry of due) {
			const listener = entry % KIND;
			switch (Math.floor(entry / KIND)) {
				case ASK:
					if (this.#state[listener] === WAITING) this.#ask(listener);
					break;
				case REACH:
					this.#reach(listener);
					break;
				case HANDSHAKE:
					this.#handshake(listener);
					break;
				case HEAR:
					this.#hear(listener);
					break;
				case LOST:
					this.#lost(listener);
					break;
				case HLS:
					this.#hls(listener);
					break;
				case GIVE_UP:
					this.#giveUp(listener);
					break;
				default:
					throw new Error('nothing else is ever due');
			}
		}
	}
}

const noCounts = (): AudienceCounts => ({ arrived: 0, posts: 0, seated: 0, handedOn: 0, refused: 0, failed: 0 });

function* waitsOf(heardMs: Int32Array, arrivedMs: Int32Array, count: number): Iterable<number> {
	for (let listener = 0; listener < count; listener++) {
		if (heardMs[listener] !== NONE) {
			yield heardMs[listener]! - arrivedMs[listener]!;
		}
	}
}
