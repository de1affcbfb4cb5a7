// A browser and a server for a ListenSession to live in: only clock, network and sound are not real.
import { vi } from 'vitest';
import { Emitter } from '../../../server/web/browser/sdk/emitter.ts';
import type { ListenConnectionEvents } from '../../../server/web/browser/sdk/listen-connection.ts';
import type { ListenEvents } from '../../../server/web/browser/sdk/listen-events.ts';
import type { ListenParts } from '../../../server/web/browser/sdk/listen-parts.ts';
import { ListenSession } from '../../../server/web/browser/sdk/listen-session.ts';
import { placeOf } from '../../../server/web/browser/sdk/move-plan.ts';
import { OverflowPlayer } from '../../../server/web/browser/sdk/overflow-player.ts';
import type { PageEvents } from '../../../server/web/browser/sdk/page-watch.ts';
import { NO_TOTALS } from '../../../server/web/browser/sdk/quality.ts';
import { Servers } from '../../../server/web/browser/sdk/servers.ts';
import { postOffer } from '../../../server/web/browser/sdk/whep.ts';

export const SERVER = 'https://rooms.example.org';
/** How long the network takes, there and back. */
const ROUND_TRIP_MS = 50;

/** As the answer to a POST; `seat` gives a session. */
export type Answer = 'seat' | 'nothing' | { status: number; problem: object; retryAfter?: string };

export const full = (more: object = {}, retryAfterMs = 4_000): Answer => ({
	status: 503,
	problem: { code: 'no_capacity', title: 'full', reason: 'full', retryAfterMs, overflow: { hls: '/v1/rooms/launch/hls/index.m3u8' }, ...more },
	retryAfter: String(Math.ceil(retryAfterMs / 1_000)),
});

class FakeConnection extends Emitter<ListenConnectionEvents> {
	connected = false;
	delivering = false;
	closed = false;
	packets = 0;
	sessionUrl: string | null = null;
	readonly alternates: readonly string[] = [];
	readonly reporting = null;
	// Never looked into: only handed on.
	readonly tracks = [{}, {}, {}] as unknown as MediaStreamTrack[];
	#flow: ReturnType<typeof setInterval> | undefined;

	get place() {
		return placeOf(this.sessionUrl);
	}
	async connect(url: string, postTimeoutMs: number): Promise<void> {
		const { sessionUrl } = await postOffer(url, 'v=0', undefined, AbortSignal.timeout(postTimeoutMs));
		this.sessionUrl = sessionUrl;
	}
	/** The transport is up, and (unless told not to) packets come. */
	up(flows = true): void {
		this.connected = true;
		this.emit('connected', {});
		if (flows) this.flow();
	}
	flow(): void {
		this.delivering = true;
		this.#flow ??= setInterval(() => (this.packets += 5), 100);
	}
	stall(): void {
		clearInterval(this.#flow);
		this.#flow = undefined;
	}
	die(): void {
		this.stall();
		this.emit('dead', { reason: 'gone' });
	}
	read() {
		return Promise.resolve({ totals: { ...NO_TOTALS, packetsReceived: this.packets }, packets: new Map([['0', this.packets]]) });
	}
	contributingSources() {
		return new Map<string, []>();
	}
	close(): void {
		this.stall();
		this.connected = false;
		this.closed = true;
	}
}

const differences = (times: readonly number[]): number[] => times.slice(1).map((time, i) => time - (times[i] ?? time));

/** An `<audio>` element as far as an HLS stream needs one. */
class FakeElement {
	volume = 1;
	muted = false;
	srcObject: unknown = null;
	currentTime = 0;
	paused = true;
	play(): Promise<void> {
		this.paused = false;
		return Promise.resolve();
	}
}

export class ListenWorld {
	readonly posts: { atMs: number; url: URL }[] = [];
	readonly connections: FakeConnection[] = [];
	readonly states: ListenEvents['state'][] = [];
	readonly rejoined: number[] = [];
	readonly voices = { volume: 1, muted: false, gain: 1, attached: 0 };
	readonly element = new FakeElement();
	/** Addresses at which the HLS stream was begun, and when. */
	readonly opened: { atMs: number; url: string }[] = [];
	readonly session: ListenSession;
	/** What the next POSTs are answered with; the last one goes on. */
	answers: Answer[] = ['seat'];
	/** How the HLS stream does when it is begun. */
	hls: 'plays' | 'refuses' | 'never sounds' = 'plays';
	random = 0.5;
	page: PageEvents | undefined;
	#hlsFails: ((retryAfterMs?: number) => void) | undefined;
	#hlsRuns: ReturnType<typeof setInterval> | undefined;

	constructor() {
		vi.stubGlobal('fetch', (url: string) => this.#post(url));
		const random = () => this.random;
		const parts: ListenParts = {
			connect: () => {
				const connection = new FakeConnection();
				this.connections.push(connection);
				return connection;
			},
			players: () => Object.assign(this.voices, { attach: () => void this.voices.attached++, prepare() {}, swap() {}, play() {}, close() {} }),
			meter: () => ({ attach() {}, read: () => 0, close() {} }),
			overflow: () => {
				const player = new OverflowPlayer(random, this.element as unknown as HTMLAudioElement, (_element, { url, onFailed }) => this.#openHls(url, onFailed));
				// There is no click to make use of.
				player.prepare = () => undefined;
				return player;
			},
			watchPage: (page) => {
				this.page = page;
				return () => (this.page = undefined);
			},
		};
		this.session = new ListenSession({ room: 'launch', servers: new Servers(SERVER, random), random, parts });
		this.session.on('state', (state) => this.states.push(state));
		this.session.on('rejoined', ({ gapMs }) => this.rejoined.push(gapMs));
	}

	get last(): FakeConnection {
		const connection = this.connections.at(-1);
		if (connection === undefined) throw new Error('nobody has joined');
		return connection;
	}
	get told(): ListenEvents['state'] {
		const state = this.states.at(-1);
		if (state === undefined) throw new Error('nothing was told');
		return state;
	}
	/** From one POST to the next. */
	get waitsMs(): number[] {
		return differences(this.posts.map(({ atMs }) => atMs));
	}
	/** From one beginning of the HLS stream to the next. */
	get openingsMs(): number[] {
		return differences(this.opened.map(({ atMs }) => atMs));
	}
	/** How loud the HLS stream is; 0 when it is not there. */
	get overflowGain(): number {
		return this.#hlsRuns === undefined || this.element.muted ? 0 : this.element.volume;
	}
	/** How loud sessions are that deliver. */
	get voicesGain(): number {
		return this.connections.some(({ delivering, closed }) => delivering && !closed) ? this.voices.gain : 0;
	}

	/** Time passes. */
	async passes(ms: number): Promise<void> {
		await vi.advanceTimersByTimeAsync(ms);
	}

	/** Until something is so. @returns how long it took */
	async until(holds: () => boolean, withinMs = 60_000): Promise<number> {
		const beganAtMs = Date.now();
		while (!holds()) {
			if (Date.now() - beganAtMs >= withinMs) throw new Error(`not within ${withinMs} ms; told last: ${JSON.stringify(this.told)}`);
			await this.passes(10);
		}
		return Date.now() - beganAtMs;
	}

	/** The HLS stream stands still without a word. */
	hlsStalls(): void {
		clearInterval(this.#hlsRuns);
	}
	hlsBreaks(retryAfterMs?: number): void {
		clearInterval(this.#hlsRuns);
		this.#hlsFails?.(retryAfterMs);
	}

	async #post(target: string): Promise<Response> {
		const answer = this.answers[Math.min(this.posts.length, this.answers.length - 1)] ?? 'seat';
		this.posts.push({ atMs: Date.now(), url: new URL(target) });
		await new Promise((resolve) => setTimeout(resolve, ROUND_TRIP_MS));
		if (answer === 'nothing') throw new TypeError('Failed to fetch');
		if (answer !== 'seat') {
			const { status, problem, retryAfter } = answer;
			return Response.json(problem, { status, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } });
		}
		const response = new Response('v=0', { status: 201, headers: { location: `/v1/sessions/1-${'0'.repeat(32)}` } });
		return Object.defineProperty(response, 'url', { value: target });
	}

	async #openHls(url: string, onFailed: (retryAfterMs?: number) => void): Promise<{ close(): void }> {
		this.opened.push({ atMs: Date.now(), url });
		this.#hlsFails = onFailed;
		if (this.hls === 'refuses') {
			setTimeout(onFailed, ROUND_TRIP_MS);
			return { close() {} };
		}
		const begins = setTimeout(() => {
			this.element.currentTime = 100;
			if (this.hls === 'plays') {
				this.#hlsRuns = setInterval(() => (this.element.currentTime += 0.1), 100);
			}
		}, 1_000);
		return {
			close: () => {
				clearTimeout(begins);
				clearInterval(this.#hlsRuns);
				this.#hlsRuns = undefined;
				this.element.currentTime = 0;
			},
		};
	}
}
