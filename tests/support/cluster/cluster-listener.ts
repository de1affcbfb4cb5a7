import { setTimeout as sleep } from 'node:timers/promises';
import { LISTEN_BACKOFF, retryDelayMs } from '../../../server/web/browser/sdk/backoff.ts';
import { MovePlan, type MovePortions, placeOf } from '../../../server/web/browser/sdk/move-plan.ts';
import { asProblem } from '../../../server/web/browser/sdk/problem.ts';
import { elsewhereMayHelp, type ServerCursor, Servers } from '../../../server/web/browser/sdk/servers.ts';
import { STALL_LIMITS } from '../../../server/web/browser/sdk/stall-detector.ts';
import type { ListenerLoss, ListenerReport } from './client-protocol.ts';
import { Hearing } from './hearing.ts';
import { ListenerSession } from './listener-session.ts';
import { monotonicMs } from './monotonic.ts';

// As `ListenSession` has them.
const OBSERVE_MS = 250;
const SETTLE_MS = 120;
const SETTLE_SILENT_MS = 1_000;
const SETTLE_LOOK_MS = 20;
const POST_TIMEOUT_MS = 10_000;
const QUICK_POST_MS = 1_500;

export interface ClusterListenerOptions {
	id: number;
	room: string;
	/** Where the page came from; other servers it learns of from this one. */
	baseUrl: string;
	/** Own address of this host. */
	address: string;
	/** Speaker to attend to. */
	csrc: () => number;
	/** An answer told of other servers: for the page's event stream. */
	onServers: (baseUrls: readonly string[], saidBy: string) => void;
}

/**
 * A listener with the page's behaviour and libdatachannel's media: rejoins by itself after a loss, with full jitter and
 * elsewhere if it must, keeping the old session until the new one is connected; moves when the server asks, the new
 * session first. Where the page's own parts run without a browser, they are used.
 */
export class ClusterListener {
	readonly hearing = new Hearing();
	readonly #options: ClusterListenerOptions;
	readonly #servers: Servers;
	readonly #server: ServerCursor;
	readonly #plan = new MovePlan(Math.random);
	#current: ListenerSession | undefined;
	#next: ListenerSession | undefined;
	#attempt = 0;
	#quickTries = 0;
	#retryTimer: NodeJS.Timeout | undefined;
	#moveTimer: NodeJS.Timeout | undefined;
	readonly #observer: NodeJS.Timeout;
	#closed = false;
	#losses: ListenerLoss[] = [];
	#moves = 0;
	#handedOn = 0;
	#refusals: ListenerReport['refusals'] = [];
	#onConnected: (() => void)[] = [];

	constructor(options: ClusterListenerOptions) {
		this.#options = options;
		this.#servers = new Servers(options.baseUrl);
		this.#server = this.#servers.cursor();
		this.#observer = setInterval(() => this.#observe(), OBSERVE_MS);
		void this.#join(false);
	}

	get connected(): boolean {
		return this.#current?.connected === true && !this.#current.isOver;
	}

	/** Resolves when a session is connected. */
	whenConnected(): Promise<void> {
		return this.connected ? Promise.resolve() : new Promise((resolve) => this.#onConnected.push(resolve));
	}

	/** What the room's events say of moving. */
	move(portions: MovePortions): void {
		this.#plan.told(portions);
		this.#considerMove();
	}

	mark(atMs: number): void {
		this.hearing.mark(atMs);
		this.#losses = [];
		this.#refusals = [];
		this.#moves = 0;
		this.#handedOn = 0;
	}

	report(nowMs: number): ListenerReport {
		return {
			id: this.#options.id,
			sessionId: this.#current?.id ?? '',
			shard: this.#current?.shard ?? '',
			connected: this.connected,
			losses: this.#losses,
			moves: this.#moves,
			refusals: this.#refusals,
			handedOn: this.#handedOn,
			...this.hearing.report(nowMs),
		};
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearInterval(this.#observer);
		clearTimeout(this.#retryTimer);
		clearTimeout(this.#moveTimer);
		await Promise.all([this.#next?.close(), this.#current?.close()]);
	}

	/** The session that plays is lost, and nothing replaces it yet. */
	get #loss(): ListenerLoss | undefined {
		const loss = this.#losses.at(-1);
		return loss && loss.backAtMs === undefined ? loss : undefined;
	}
	get #sounding(): boolean {
		return this.connected && this.#loss === undefined;
	}

	async #join(asked: boolean): Promise<void> {
		clearTimeout(this.#retryTimer);
		this.#retryTimer = undefined;
		const { room, address, csrc } = this.#options;
		const session: ListenerSession = new ListenerSession(address, ({ csrc: speaker, durationMs, missingMs }, atMs) => {
			if (speaker === csrc()) {
				this.hearing.heard(atMs, durationMs);
				// Of two sessions side by side, one has what the other misses.
				if (session === this.#current && this.#next === undefined) {
					this.hearing.missed(missingMs);
				}
			}
		});
		void this.#next?.close();
		this.#next = session;
		const base = this.#server.url;
		try {
			await session.connect(`${base}/v1/rooms/${room}/listen`, this.#postTimeoutMs());
			this.#server.reached();
			this.#servers.learn(session.alternates, base);
			this.#options.onServers(session.alternates, base);
			await this.#settled(session);
		} catch (error) {
			void session.close();
			if (this.#next === session) {
				this.#next = undefined;
				this.#refused(base, error, asked);
			}
			return;
		}
		if (this.#next === session && !this.#closed) {
			this.#promote(session, asked);
		} else {
			void session.close();
		}
	}

	#postTimeoutMs(): number {
		return this.#sounding || this.#server.alone ? POST_TIMEOUT_MS : Math.min(POST_TIMEOUT_MS, QUICK_POST_MS * 2 ** this.#quickTries++);
	}

	/** While the old session sounds it goes on until the new one does. */
	async #settled(session: ListenerSession): Promise<void> {
		const connectedAtMs = monotonicMs();
		const isSettled = (nowMs: number) => (session.firstPacketAtMs > 0 && nowMs - session.firstPacketAtMs >= SETTLE_MS) || nowMs - connectedAtMs >= SETTLE_SILENT_MS;
		while (this.#sounding && this.#next === session && !isSettled(monotonicMs())) {
			await sleep(SETTLE_LOOK_MS);
		}
	}

	#promote(session: ListenerSession, asked: boolean): void {
		const old = this.#current;
		const loss = this.#loss;
		this.#current = session;
		this.#next = undefined;
		this.#attempt = 0;
		this.#quickTries = 0;
		this.#handedOn += session.handedOn ? 1 : 0;
		if (loss) {
			loss.backAtMs = monotonicMs();
		} else if (asked) {
			this.#moves++;
		}
		void old?.close();
		for (const resolve of this.#onConnected.splice(0)) {
			resolve();
		}
		this.#considerMove();
	}

	#refused(base: string, error: unknown, asked: boolean): void {
		const problem = asProblem(error);
		this.#refusals.push({ atMs: monotonicMs(), what: `${base}: ${problem.status} ${problem.code} ${error instanceof Error ? error.message : ''}` });
		if (asked && this.#sounding) {
			this.#considerMove(problem.retryAfterMs);
			return;
		}
		const everywhere = !elsewhereMayHelp(problem) || this.#server.unreachable();
		this.#joinIn(retryDelayMs(everywhere ? this.#attempt++ : 0, Math.random, LISTEN_BACKOFF, problem.retryAfterMs));
	}

	#considerMove(retryAfterMs?: number): void {
		clearTimeout(this.#moveTimer);
		const wanted = () => this.#sounding && this.#next === undefined && this.#retryTimer === undefined && this.#plan.wants(placeOf(this.#current?.url ?? null));
		if (!this.#closed && wanted()) {
			this.#moveTimer = setTimeout(
				() => {
					if (!this.#closed && wanted()) {
						this.#plan.begun(monotonicMs());
						void this.#join(true);
					}
				},
				this.#plan.delayMs(monotonicMs(), retryAfterMs),
			);
		}
	}

	#joinIn(delayMs: number): void {
		clearTimeout(this.#retryTimer);
		if (!this.#closed) {
			this.#retryTimer = setTimeout(() => void this.#join(false), delayMs);
		}
	}

	#observe(): void {
		const session = this.#current;
		if (!session) {
			return;
		}
		const lost = session.isOver || monotonicMs() - session.lastPacketAtMs > STALL_LIMITS.allMs;
		const known = this.#loss?.sessionId === session.id;
		if (!lost && known) {
			// It flows again before another was connected: the page stays, and so the session was not lost.
			this.#losses.pop();
			clearTimeout(this.#retryTimer);
			this.#retryTimer = undefined;
			void this.#next?.close();
			this.#next = undefined;
			this.#considerMove();
		} else if (lost && !known) {
			this.#losses.push({ noticedAtMs: monotonicMs(), why: session.isOver ? 'closed' : 'silent', sessionId: session.id });
			if (this.#next === undefined && this.#retryTimer === undefined) {
				this.#joinIn(retryDelayMs(this.#attempt++, Math.random, LISTEN_BACKOFF));
			}
		}
	}
}
