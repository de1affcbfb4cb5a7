import type { FastifyRequest } from 'fastify';
import type { QueuePlace } from '../../auth/queue-place.ts';
import { can } from '../../auth/roles.ts';
import { forwardingOf } from '../cluster/peers/forwarded.ts';
import { DomainError } from '../errors.ts';
import { type JoinRefusal, JoinRefusedError } from '../placement/admission/join-refusal.ts';
import type { Room } from '../rooms/room.ts';
import type { AppDeps, Seat } from './deps.ts';

type ListenAdmissionDeps = Pick<AppDeps, 'admission' | 'overflow' | 'rooms'>;

/** What only the room's own limits or a restart can end is spread over as long again, and over this at least. */
const LEAST_SPREAD_SECONDS = 1;

/**
 * The HTTP side of admission: a place in the queue goes out signed and comes back as `?place=`; a refusal names the stream
 * to hear meanwhile; and who will be refused anyhow is refused before the offer is read.
 */
export class ListenAdmission {
	readonly #deps: ListenAdmissionDeps;
	/** Where a listener is to be seated, decided before the offer was read. */
	readonly #seats = new WeakMap<FastifyRequest, Seat>();
	readonly #seatFor: (room: Room, from: string | undefined) => Seat;
	readonly #random: () => number;

	/**
	 * @param seatFor asked once for each request
	 * @param random 0 to 1
	 */
	constructor(deps: ListenAdmissionDeps, seatFor: (room: Room, from: string | undefined) => Seat, random: () => number = Math.random) {
		this.#deps = deps;
		this.#seatFor = seatFor;
		this.#random = random;
	}

	/** What the holder of a place is known by; undefined without one, or with one that does not count. */
	read(roomId: string, place: string | undefined): QueuePlace | undefined {
		return place === undefined ? undefined : this.#deps.admission?.places.read(place, roomId);
	}

	/** As `seatFor`, unless that was settled before. */
	seat(request: FastifyRequest, room: Room, from: string | undefined): Seat {
		const settled = this.#seats.get(request);
		return settled ?? this.#seatFor(room, from);
	}

	/**
	 * What a request is refused with, judged by its head alone; undefined when it must be looked at more closely: also
	 * whenever another refusal may be the right one.
	 */
	early(request: FastifyRequest): DomainError | undefined {
		const { admission, rooms } = this.#deps;
		const room = admission && rooms.get(textOf(request.params, 'room') ?? '');
		if (!room || room.state === 'ended' || room.state === 'scheduled' || !mayListen(request, room)) return undefined;
		const place = this.read(room.id, textOf(request.query, 'place'));
		const reason = admission.queue.foresee(place?.firstArrivalMs);
		if (reason === undefined) return undefined;
		if (textOf(request.query, 'handoff') === undefined) {
			const seat = this.#seatFor(room, forwardingOf(request.raw)?.from);
			this.#seats.set(request, seat);
			if (seat !== 'here') return undefined;
		}
		return this.#refused(admission.queue.refuse(reason, place?.firstArrivalMs, place?.refusedAtMs), room);
	}

	/**
	 * The error as the listener is to see it: for lack of room, with a place in the queue and the stream to hear meanwhile; and
	 * with a time to come again that is not the same for all who were refused at once.
	 */
	complete(error: unknown, room: Room, place: QueuePlace | undefined): unknown {
		if (error instanceof JoinRefusedError) return this.#refused(error.refusal, room);
		if (!(error instanceof DomainError)) return error;
		const { code, message, extra } = error;
		const { admission } = this.#deps;
		// The last place went to somebody else on the way to the shard.
		if (code === 'no_capacity' && admission && !('reason' in extra)) {
			return this.#refused(admission.queue.refuse('full', place?.firstArrivalMs, place?.refusedAtMs), room);
		}
		const leastSeconds = error.retryAfterSeconds ?? (code === 'no_capacity' ? LEAST_SPREAD_SECONDS : undefined);
		if (leastSeconds === undefined) return error;
		const retryAfterMs = Math.round((leastSeconds + this.#random() * Math.max(LEAST_SPREAD_SECONDS, leastSeconds)) * 1000);
		return new DomainError(code, message, {
			cause: error,
			extra: { ...(code === 'no_capacity' && this.#overflow(room)), ...extra, retryAfterMs },
			retryAfterSeconds: retryAfterMs / 1000,
		});
	}

	#refused(refusal: JoinRefusal, room: Room): JoinRefusedError {
		return new JoinRefusedError(refusal, this.#overflow(room), this.#deps.admission?.places.issue(room.id, refusal));
	}

	#overflow(room: Room): { overflow?: { hls: string } } {
		const hls = this.#deps.overflow?.hlsFor(room);
		return hls === undefined ? {} : { overflow: { hls } };
	}
}

/** As far as it can be told at once: whether this is somebody who would be let in if there were room. */
function mayListen({ principal }: FastifyRequest, room: Room): boolean {
	return principal === null ? room.visibility === 'public' : can(principal, 'room:listen', room.id);
}

function textOf(members: unknown, name: string): string | undefined {
	const value = typeof members === 'object' && members !== null ? (members as Record<string, unknown>)[name] : undefined;
	return typeof value === 'string' ? value : undefined;
}
