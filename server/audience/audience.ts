import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Homes } from '../cluster/homes.ts';
import type { Peers } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import type { Clock } from '../events/clock.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { Room } from '../rooms/room.ts';
import type { Caption, NewCaption } from './caption.ts';
import type { CaptionLog } from './caption-log.ts';
import { EchoFollower } from './echo-follower.ts';
import type { EchoCopy, EchoResults, FollowEchoes } from './echo-protocol.ts';
import { EchoWaiters } from './echo-waiters.ts';
import { isLater, RoomEcho } from './room-echo.ts';
import { StandBy } from './stand-by.ts';

export interface AudienceEvents {
	/** The counts of a room that are to be told are others. */
	reactions: [roomId: string];
	/** The lines of a room that are to be shown are others. */
	captions: [roomId: string];
}

interface Tells<Event extends string, Args extends unknown[]> {
	on(event: Event, listener: (...args: Args) => void): unknown;
	off(event: Event, listener: (...args: Args) => void): unknown;
}

export interface AudienceOptions {
	/** What people may react with, in the order in which it is offered. */
	reactions: readonly string[];
	captions: CaptionLog;
	rooms: Pick<RoomDirectory, 'list'> & Tells<'removed', [Room]>;
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'homeOf'> & Tells<'beat', []>;
	homes: Pick<Homes, 'epochOf'> & Tells<'gained', [string, number]> & Tells<'lost', [string]>;
	peers: Peers;
	clock: Clock;
	/** Names this run of the node: 8 to 64 characters. */
	randomId: () => string;
	log: Logger;
}

/** Reactions are sums, told at most so often. */
const TELL_EVERY_MS = 1_000;
/** Several rooms that come at once are one question to each of the other nodes. */
const RECOVER_AFTER_MS = 30;
const RECOVER_TIMEOUT_MS = 1_500;
/** An answer between nodes is at most 8 MB. */
const MAX_COPY_LINES = 15_000;

/**
 * What an audience gives back: reactions and captions, of every room. Reactions are counted where they arrive; their sums
 * travel to the room's home, at most once a second, and from there to the nodes whose readers follow the room. Captions
 * are written at the home, and travel the same way. Everything told is state, and no message is about one person.
 */
export class Audience extends EventEmitter<AudienceEvents> {
	readonly captions: CaptionLog;
	readonly #options: AudienceOptions;
	readonly #echoes = new Map<string, RoomEcho>();
	/** Rooms with readers on this node. */
	readonly #watched = new Set<string>();
	readonly #waiters: EchoWaiters;
	readonly #follower: EchoFollower;
	readonly #standBy: StandBy;
	readonly #recovering = new Map<string, { epoch: number; done: () => void }>();
	#cancelRecovery: (() => void) | undefined;
	#parcels = 0;
	#reactionsTotal = 0;
	#captionsTotal = 0;
	#closed = false;

	static create(options: AudienceOptions): Audience {
		return new Audience(options);
	}

	private constructor(options: AudienceOptions) {
		super();
		this.#options = options;
		this.captions = options.captions;
		const { view, homes, rooms, peers, clock, log } = options;
		this.#waiters = new EchoWaiters(clock);
		this.#standBy = new StandBy(view);
		this.#follower = new EchoFollower({
			view,
			peers,
			sender: options.randomId(),
			wanted: () => this.#wanted(),
			question: (roomId) => this.#question(roomId),
			delivered: (roomId, seq) => this.#echo(roomId).delivered(seq),
			apply: (copy) => this.#apply(copy),
			clock,
			log,
		});
		view.on('beat', this.#onBeat);
		homes.on('gained', this.#onGained);
		homes.on('lost', this.#onLost);
		rooms.on('removed', this.#onRemoved);
	}

	/** What people may react with. */
	get reactions(): readonly string[] {
		return this.#options.reactions;
	}

	metrics(): { reactionsTotal: number; captionsTotal: number } {
		return { reactionsTotal: this.#reactionsTotal, captionsTotal: this.#captionsTotal };
	}

	/** @throws DomainError `invalid_request` for what nobody may react with */
	react(roomId: string, reaction: string): void {
		if (!this.#options.reactions.includes(reaction)) {
			throw new DomainError('invalid_request', 'body/reaction: is not one of those that this server takes', { extra: { reason: 'unknown_reaction', allowed: [...this.#options.reactions] } });
		}
		const echo = this.#echo(roomId);
		echo.add(reaction);
		this.#reactionsTotal++;
		if (this.#isHome(roomId)) this.#count(echo);
		else this.#follower.tell(roomId, TELL_EVERY_MS / 2);
	}

	/** At the room's home. Rejects with DomainError `not_home`. */
	async caption(roomId: string, line: NewCaption): Promise<Caption> {
		// Its id must follow those of the homes before.
		await this.#echoes.get(roomId)?.recovering;
		const epoch = this.#options.homes.epochOf(roomId);
		if (epoch === undefined) throw new DomainError('not_home', 'The room lives on another node now.', { retryAfterSeconds: 1 });
		const caption = this.captions.write(roomId, epoch, line);
		this.#captionsTotal++;
		this.#news(this.#echo(roomId), 'captions');
		return caption;
	}

	/** As everybody is told: in the order in which they are offered. */
	reactionsIn(roomId: string): { counts: Record<string, number>; total: number } {
		const told = this.#echoes.get(roomId)?.told ?? {};
		const counts = Object.fromEntries(this.#options.reactions.map((reaction) => [reaction, told[reaction] ?? 0]));
		return { counts, total: Object.values(counts).reduce((sum, count) => sum + count, 0) };
	}

	/** As everybody is told: the last lines. */
	captionsIn(roomId: string): { items: Caption[]; version: number } {
		const items = this.captions.shown(roomId);
		return { items, version: items.at(-1)?.id ?? 0 };
	}

	/** Somebody on this node reads what is told of the room. */
	watch(roomId: string): void {
		this.#watched.add(roomId);
		this.#follower.look();
	}
	/** Nobody does any more. */
	unwatch(roomId: string): void {
		this.#watched.delete(roomId);
	}

	/** What this node answers other nodes. */
	readonly handlers = {
		followEchoes: (params: FollowEchoes): Promise<EchoResults['followEchoes']> => this.#answer(params),
		copyEchoes: async ({ rooms }: { rooms: string[] }): Promise<EchoResults['copyEchoes']> => {
			let room = MAX_COPY_LINES;
			const copies: EchoCopy[] = [];
			for (const roomId of rooms) {
				const copy = this.#copy(roomId, 0);
				if (copy.epoch === 0 && copy.captions.length === 0) continue;
				copy.captions = copy.captions.slice(-Math.max(1, room));
				room -= copy.captions.length;
				copies.push(copy);
			}
			return { rooms: copies };
		},
	};

	/** Idempotent. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		const { view, homes, rooms } = this.#options;
		view.off('beat', this.#onBeat);
		homes.off('gained', this.#onGained);
		homes.off('lost', this.#onLost);
		rooms.off('removed', this.#onRemoved);
		this.#cancelRecovery?.();
		for (const { done } of this.#recovering.values()) done();
		for (const echo of this.#echoes.values()) echo.leaveHome();
		this.#follower.close();
		this.#waiters.close();
	}

	readonly #onBeat = (): void => this.#follower.look();

	readonly #onGained = (roomId: string, epoch: number): void => {
		const { promise, resolve } = Promise.withResolvers<void>();
		this.#recovering.get(roomId)?.done();
		this.#recovering.set(roomId, { epoch, done: resolve });
		this.#echo(roomId).recovering = promise;
		this.#cancelRecovery ??= this.#options.clock.schedule(() => {
			this.#cancelRecovery = undefined;
			void this.#recover();
		}, RECOVER_AFTER_MS);
	};

	readonly #onLost = (roomId: string): void => {
		this.#recovering.get(roomId)?.done();
		this.#recovering.delete(roomId);
		const echo = this.#echoes.get(roomId);
		// The next home asks for what this one knows: all of it, told or not.
		if (echo !== undefined && echo.told !== echo.counts) {
			echo.told = echo.counts;
			echo.at = { ...echo.at, version: echo.at.version + 1 };
		}
		echo?.leaveHome();
		// Other nodes ask elsewhere.
		this.#waiters.wake(roomId);
		this.#follower.look();
	};

	readonly #onRemoved = ({ id }: Room): void => {
		this.#echoes.get(id)?.leaveHome();
		this.#echoes.delete(id);
		this.captions.forget(id);
	};

	/** From whoever knows anything of rooms that live here now. */
	async #recover(): Promise<void> {
		const { view, peers, log } = this.#options;
		const begun = new Map([...this.#recovering].filter(([, { epoch }]) => epoch > 0));
		const rooms = [...begun.keys()];
		const others = view.nodes().filter(({ nodeId }) => nodeId !== view.nodeId);
		const answers = await Promise.all(
			others.map(({ nodeId }) =>
				peers.request(nodeId, 'copyEchoes', { rooms }, { timeoutMs: RECOVER_TIMEOUT_MS }).catch((error: unknown) => {
					log.info({ err: error, peer: nodeId }, 'a node could not say what it knows of reactions and captions');
					return { rooms: [] };
				}),
			),
		);
		for (const [roomId, { epoch, done }] of begun) {
			if (this.#recovering.get(roomId)?.epoch !== epoch || this.#closed) continue;
			this.#recovering.delete(roomId);
			const copies = answers.flatMap((answer) => answer.rooms.filter((copy) => copy.roomId === roomId));
			this.#begin(this.#echo(roomId), epoch, copies);
			done();
		}
	}

	#begin(echo: RoomEcho, epoch: number, copies: readonly EchoCopy[]): void {
		for (const copy of copies) {
			const later = isLater(copy, echo.at);
			if (later) echo.adopt(copy.counts, { epoch: copy.epoch, version: copy.version });
			this.captions.merge(echo.roomId, copy.captions, later ? copy.guesses : undefined);
		}
		echo.recovering = undefined;
		echo.absorb();
		echo.at = { epoch, version: 0 };
		this.#tellReactions(echo);
		this.emit('captions', echo.roomId);
	}

	/** At the home: what came in is counted, and told with the next telling. */
	#count(echo: RoomEcho): void {
		if (echo.recovering !== undefined || !echo.absorb() || echo.cancelTelling !== undefined) return;
		const { clock } = this.#options;
		const restMs = echo.toldAtMs + TELL_EVERY_MS - clock.nowMs();
		if (restMs <= 0) this.#tellReactions(echo);
		else {
			echo.cancelTelling = clock.schedule(() => {
				echo.cancelTelling = undefined;
				this.#tellReactions(echo);
			}, restMs);
		}
	}

	#tellReactions(echo: RoomEcho): void {
		echo.told = echo.counts;
		echo.toldAtMs = this.#options.clock.nowMs();
		this.#news(echo, 'reactions');
	}

	/** At the home: others are told, and those who read here. */
	#news(echo: RoomEcho, what: 'reactions' | 'captions'): void {
		const epoch = this.#options.homes.epochOf(echo.roomId) ?? echo.at.epoch;
		echo.at = { epoch, version: echo.at.epoch === epoch ? echo.at.version + 1 : 1 };
		this.#waiters.wake(echo.roomId);
		this.emit(what, echo.roomId);
	}

	async #answer({ sender, waitMs, rooms }: FollowEchoes): Promise<EchoResults['followEchoes']> {
		for (const { roomId, parcel } of rooms) {
			if (parcel === undefined || !this.#isHome(roomId)) continue;
			const echo = this.#echo(roomId);
			echo.receive(sender, parcel);
			this.#count(echo);
		}
		const news = () => {
			const lost = rooms.filter(({ roomId, epoch }) => (this.#options.homes.epochOf(roomId) ?? -1) < epoch);
			const changed = rooms.filter(({ roomId, epoch, version }) => {
				const echo = this.#echoes.get(roomId);
				return echo !== undefined && echo.recovering === undefined && this.#isHome(roomId) && isLater(echo.at, { epoch, version });
			});
			return { lost: lost.map(({ roomId }) => roomId), changed };
		};
		let { lost, changed } = news();
		// Whoever brought something is to know at once that it is here: the next home must not get it again.
		const brought = rooms.some(({ parcel }) => parcel !== undefined);
		if (lost.length + changed.length === 0 && !brought && waitMs > 0 && !this.#closed) {
			await this.#waiters.wait(sender, new Set(rooms.map(({ roomId }) => roomId)), waitMs);
			({ lost, changed } = news());
		}
		return { rooms: changed.map(({ roomId, captionId }) => this.#copy(roomId, captionId)), lost };
	}

	#copy(roomId: string, captionId: number): EchoCopy {
		const { at, told } = this.#echoes.get(roomId) ?? new RoomEcho(roomId);
		return { roomId, ...at, counts: { ...told }, captions: this.captions.after(roomId, captionId), guesses: this.captions.guesses(roomId) };
	}

	/** What the home says. */
	#apply({ roomId, epoch, version, counts, captions, guesses }: EchoCopy): void {
		const echo = this.#echo(roomId);
		if (this.#isHome(roomId) || !isLater({ epoch, version }, echo.at)) return;
		const before = JSON.stringify(echo.told);
		echo.adopt(counts, { epoch, version });
		echo.told = counts;
		if (JSON.stringify(counts) !== before) this.emit('reactions', roomId);
		if (this.captions.merge(roomId, captions, guesses)) this.emit('captions', roomId);
	}

	#question(roomId: string): FollowEchoes['rooms'][number] {
		const echo = this.#echo(roomId);
		const parcel = echo.parcel(() => ++this.#parcels);
		return { roomId, ...echo.at, captionId: this.captions.lastIdOf(roomId), ...(parcel && { parcel }) };
	}

	*#wanted(): Generator<string> {
		yield* this.#watched;
		yield* this.#standBy.rooms(this.#options.rooms.list({ limit: Number.MAX_SAFE_INTEGER, states: ['open', 'live'] }).map(({ id }) => id));
		for (const { roomId, hasNews } of this.#echoes.values()) if (hasNews) yield roomId;
	}

	#isHome(roomId: string): boolean {
		return this.#options.homes.epochOf(roomId) !== undefined;
	}

	#echo(roomId: string): RoomEcho {
		let echo = this.#echoes.get(roomId);
		if (echo === undefined) {
			echo = new RoomEcho(roomId);
			this.#echoes.set(roomId, echo);
		}
		return echo;
	}
}
