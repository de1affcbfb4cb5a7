import type { DomainError } from '../../../server/errors.ts';
import { JoinRefusedError } from '../../../server/placement/admission/join-refusal.ts';
import { LISTEN_BACKOFF, PLACE_BACKOFF, retryDelayMs } from '../../../server/web/browser/sdk/backoff.ts';
import { Agenda } from './agenda.ts';
import { Entrance, type ListenRequest, type Pages } from './entrance.ts';
import { Hearing } from './hearing.ts';
import { ASKING, CONNECTING, HEARING, NONE, PageStates, WAITING } from './page-states.ts';
import type { SimulatedNode } from './simulated-node.ts';
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

const ASK = 0;
const REACH = 1;
const HANDSHAKE = 2;
const HEAR = 3;
const LOST = 4;
const HLS = 5;
const GIVE_UP = 6;

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

/**
 * Listeners, each behaving as our page does: POST, 307, 503 with Retry-After and the page's own jitter, HLS meanwhile, a new
 * session when the old one falls silent. No object lives as long as a listener does.
 */
export class Audience implements Pages {
	readonly size: number;
	/** Since the last `takeCounts`. */
	#counts = noCounts();
	/** Who hears what. */
	readonly heard: Hearing;
	/** Sessions whose client had gone before the answer came. */
	abandoned = 0;
	/** Whose sessions ended, for each thing that died. */
	readonly losses: Int32Array[] = [];
	readonly #options: AudienceOptions;
	readonly #time: VirtualTime;
	readonly #random: () => number;
	readonly #agenda: Agenda;
	readonly #entrance: Entrance;
	#next = 0;
	#firstHlsMs: number | undefined;

	readonly #pages: PageStates;
	readonly #seats: WeakMap<SimulatedNode, number> = new WeakMap();
	#runs = 0;

	constructor(options: AudienceOptions) {
		const { arrivals, time, random, nodes } = options;
		const size = arrivals.length;
		this.#options = options;
		this.#time = time;
		this.#random = random;
		this.size = size;
		this.heard = new Hearing(size);
		this.#agenda = new Agenda(time, (kind, listener) => this.#work(kind, listener));
		this.#entrance = new Entrance({ time, nodes, pages: this });
		this.#pages = new PageStates(size);
		if (size > 0) {
			time.at(arrivals[0]!, this.#arrive);
		}
	}

	takeCounts(): AudienceCounts {
		const counts = { ...this.#counts, handedOn: this.#entrance.takeHandedOn() };
		this.#counts = noCounts();
		return counts;
	}

	/** All sessions there are gone: at once for the server, and for pages when they notice. @param shard undefined: of the whole node */
	lose(node: SimulatedNode, shard?: number): void {
		const run = this.#runOf(node);
		const lost: number[] = [];
		for (let listener = 0; listener < this.size; listener++) {
			const state = this.#pages.state[listener];
			const seated = (state === HEARING || state === CONNECTING) && this.#pages.seatNode[listener] === node.index && this.#pages.seatRun[listener] === run;
			if (seated && (shard === undefined || this.#pages.seatShard[listener] === shard)) {
				lost.push(listener);
				if (state === HEARING) {
					this.heard.lost(listener);
					this.#pages.state[listener] = WAITING;
					this.#agenda.later(STALL_MS + this.#random() * (OBSERVE_MS + 60), LOST, listener);
				}
				// Who was only about to connect gives up by its deadline.
				this.#pages.seatNode[listener] = NONE;
			}
		}
		this.losses.push(Int32Array.from(lost));
	}

	/** Whether nobody is without sound, and nobody waits for a session. */
	get settled(): boolean {
		return this.#next === this.size && this.heard.byWebrtc === this.size;
	}

	readonly #arrive = (): void => {
		const { arrivals } = this.#options;
		const nowMs = this.#time.nowMs();
		for (; this.#next < this.size && arrivals[this.#next]! <= nowMs; this.#next++) {
			const listener = this.#next;
			this.#counts.arrived++;
			this.heard.came(listener, nowMs);
			this.#pages.rttMs[listener] = RTT_MS[0] + this.#random() ** 2 * (RTT_MS[1] - RTT_MS[0]);
			this.#pages.server[listener] = this.#anyLiving();
			this.#ask(listener);
		}
		if (this.#next < this.size) {
			this.#time.at(arrivals[this.#next]!, this.#arrive);
		}
	};

	#ask(listener: number): void {
		const { oneEntry, ownAddresses } = this.#options;
		this.#pages.state[listener] = ASKING;
		this.#pages.attempt[listener]!++;
		this.#counts.posts++;
		this.#pages.sentBy[listener] = NONE;
		this.#pages.asks[listener] = oneEntry() ?? (ownAddresses ? this.#pages.server[listener]! : this.#anyLiving());
		const patient = this.heard.hasHls(listener) || this.#pages.knowsOthers[listener] === 0;
		const timeoutMs = patient ? POST_TIMEOUT_MS : Math.min(POST_TIMEOUT_MS, QUICK_POST_MS * 2 ** this.#pages.quickTries[listener]!++);
		this.#deadline(listener, timeoutMs);
		// TCP and TLS, then the request.
		this.#agenda.later(2.5 * this.#pages.rttMs[listener]!, REACH, listener);
	}

	#reach(listener: number): void {
		const placeMs = this.#pages.placeMs[listener]!;
		const firstArrivalMs = placeMs === NONE ? undefined : this.#time.epochMs - this.#time.nowMs() + placeMs;
		const request = { listener, attempt: this.#pages.attempt[listener]!, rttMs: this.#pages.rttMs[listener]!, firstArrivalMs };
		this.#entrance.reach(request, this.#pages.asks[listener]!, this.#pages.sentBy[listener]!);
	}

	isOpen({ listener, attempt }: ListenRequest): boolean {
		return attempt === this.#pages.attempt[listener];
	}

	sentOn({ listener, rttMs }: ListenRequest, to: number, by: number): void {
		this.#pages.asks[listener] = to;
		this.#pages.sentBy[listener] = by;
		// Back to the page, and a new connection to the other node.
		this.#agenda.later(3.5 * rttMs, REACH, listener);
	}

	answered(request: ListenRequest, node: SimulatedNode, shard: number): void {
		const { listener } = request;
		this.#counts.seated++;
		if (!this.isOpen(request) || this.#pages.state[listener] !== ASKING) {
			// Nobody is there any more to take the place.
			this.abandoned++;
			const taken = node.supervisor.simulated(shard);
			this.#time.at(this.#time.nowMs() + NEVER_CONNECTED_MS, () => (taken?.isGone === false ? taken.leave() : undefined));
			return;
		}
		this.#pages.state[listener] = CONNECTING;
		this.#pages.seatNode[listener] = node.index;
		this.#pages.seatShard[listener] = shard;
		this.#pages.seatRun[listener] = this.#runOf(node);
		this.#pages.serversFailed[listener] = 0;
		this.#pages.knowsOthers[listener] = this.#options.ownAddresses ? 1 : 0;
		this.#deadline(listener, CONNECT_TIMEOUT_MS);
		this.#agenda.later(1.5 * this.#pages.rttMs[listener]!, HANDSHAKE, listener);
	}

	#handshake(listener: number): void {
		const node = this.#options.nodes[this.#pages.seatNode[listener]!];
		if (!node?.alive || this.#pages.seatRun[listener] !== this.#runOf(node)) {
			return;
		}
		const attempt = this.#pages.attempt[listener];
		node.supervisor.simulated(this.#pages.seatShard[listener]!)?.handshake(() => {
			if (attempt === this.#pages.attempt[listener] && this.#pages.state[listener] === CONNECTING) {
				this.#agenda.later(1.5 * this.#pages.rttMs[listener]! + 60, HEAR, listener);
			}
		});
	}

	#hear(listener: number): void {
		if (this.#pages.state[listener] !== CONNECTING || this.#pages.seatNode[listener] === NONE) {
			return;
		}
		this.#pages.state[listener] = HEARING;
		this.#pages.deadlineMs[listener] = NONE;
		this.#pages.placeMs[listener] = NONE;
		this.#pages.refusals[listener] = 0;
		this.#pages.quickTries[listener] = 0;
		this.heard.heard(listener, this.#time.nowMs());
	}

	/** What was heard is not heard any more, and the page has noticed. */
	#lost(listener: number): void {
		if (this.#pages.state[listener] === WAITING) {
			if (this.#time.nowMs() - this.heard.sinceMs(listener) > STABLE_MS) {
				this.#pages.failures[listener] = 0;
			}
			this.#agenda.later(this.#delayMs(this.#pages.failures[listener]!++), ASK, listener);
		}
	}

	refused({ listener }: ListenRequest, problem: DomainError): void {
		if (this.#pages.state[listener] !== ASKING) {
			return;
		}
		this.#pages.state[listener] = WAITING;
		this.#pages.deadlineMs[listener] = NONE;
		const retryAfterMs = 1_000 * (problem.retryAfterSeconds ?? 0);
		if (problem.code === 'no_capacity') {
			this.#counts.refused++;
			if (problem instanceof JoinRefusedError) {
				this.#pages.placeMs[listener] = problem.refusal.firstArrivalMs - (this.#time.epochMs - this.#time.nowMs());
			}
			this.#openHls(listener);
			this.#agenda.later(retryDelayMs(this.#pages.refusals[listener]!++, this.#random, PLACE_BACKOFF, retryAfterMs), ASK, listener);
		} else {
			this.#counts.failed++;
			this.#agenda.later(this.#delayMs(this.#elsewhere(listener), retryAfterMs), ASK, listener);
		}
	}

	/** Nothing came back in time, or media did not get through. */
	#giveUp(listener: number): void {
		const state = this.#pages.state[listener];
		if ((state !== ASKING && state !== CONNECTING) || this.#pages.deadlineMs[listener] !== this.#time.nowMs()) {
			return;
		}
		this.#counts.failed++;
		this.#pages.state[listener] = WAITING;
		this.#pages.seatNode[listener] = NONE;
		// The next attempt is another one already.
		this.#pages.attempt[listener]!++;
		this.#entrance.leave(listener);
		this.#agenda.later(this.#delayMs(this.#elsewhere(listener)), ASK, listener);
	}

	/** Goes on to the next server it knows. @returns how many attempts have failed everywhere */
	#elsewhere(listener: number): number {
		if (this.#pages.knowsOthers[listener] === 1) {
			this.#pages.server[listener] = this.#anyOther(this.#pages.server[listener]!);
			if (++this.#pages.serversFailed[listener]! < SERVERS_KNOWN) {
				return 0;
			}
			this.#pages.serversFailed[listener] = 0;
		}
		return this.#pages.failures[listener]!++;
	}

	#delayMs(attempt: number, retryAfterMs = 0): number {
		return retryDelayMs(attempt, this.#random, LISTEN_BACKOFF, retryAfterMs);
	}

	#openHls(listener: number): void {
		if (!this.#options.overflow || this.heard.hasHls(listener)) {
			return;
		}
		const nowMs = this.#time.nowMs();
		this.#firstHlsMs ??= nowMs;
		const warmMs = Math.max(0, this.#firstHlsMs + HLS_COLD_MS - nowMs);
		const atMs = Math.ceil(nowMs + warmMs + HLS_MS[0] + this.#random() * (HLS_MS[1] - HLS_MS[0]));
		this.heard.hlsFrom(listener, atMs);
		this.#agenda.later(atMs - nowMs, HLS, listener);
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
		this.#pages.deadlineMs[listener] = Math.ceil(this.#time.nowMs() + afterMs);
		this.#agenda.later(afterMs, GIVE_UP, listener);
	}

	#work(kind: number, listener: number): void {
		switch (kind) {
			case ASK:
				if (this.#pages.state[listener] === WAITING) this.#ask(listener);
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
				this.heard.hlsPlays(listener, this.#time.nowMs());
				break;
			case GIVE_UP:
				this.#giveUp(listener);
				break;
			default:
				throw new Error('nothing else is ever due');
		}
	}
}

const noCounts = () => ({ arrived: 0, posts: 0, seated: 0, refused: 0, failed: 0 });
