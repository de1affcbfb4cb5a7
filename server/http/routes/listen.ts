import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { HandOffError } from '../../../auth/hand-off-ticket.ts';
import { holderOf, type TokenHolder } from '../../../auth/token-holder.ts';
import { forwardingOf } from '../../cluster/peers/forwarded.ts';
import { DomainError } from '../../errors.ts';
import type { Arrival } from '../../programme/room-media.ts';
import { isCancelled } from '../../rooms/room-times.ts';
import type { Room } from '../../rooms/room.ts';
import { inSpan } from '../../tracing/spans.ts';
import { Alternates } from '../alternates.ts';
import { answeredProblem } from '../answered-problem.ts';
import type { AppCluster, AppDeps, Seat } from '../deps.ts';
import { iceLinks } from '../ice-links.ts';
import { ListenAdmission } from '../listen-admission.ts';
import { requireEntry } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, ListenQuery, media, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';
import { sendSession } from '../session-answer.ts';
import { DISCOVERY_HEADERS, SDP_BODY, SDP_TYPE, SESSION_HEADERS } from '../session-http.ts';

const LISTEN_HEADERS = {
	...SESSION_HEADERS,
	link: Type.String({ description: 'STUN and TURN servers, `rel="ice-server"` (RFC 9725 §4.6); other nodes to turn to should this one be gone, `rel="alternate"`; where to tell how it sounds, and the part of all clients that is asked to (`rate`), `rel="quality"`' }),
};

/**
 * WHEP (draft-ietf-wish-whep): one POST seats a listener. The hot path: without a token nothing is looked up but the
 * room in memory, and nothing is serialised.
 */
export function registerListenRoutes(instance: FastifyInstance, { deps, links, bans, limitJoin }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const { rooms, config, cluster } = deps;
	const alternates = cluster && new Alternates(cluster.view, deps.publicUrl, deps.now);

	/** By a ticket, which was given for a permission that another node has checked. */
	const byTicket = async (room: Room, ticket: string): Promise<{ from: string; random: string; holder?: TokenHolder }> => {
		if (cluster === undefined) throw refusedTicket('other_node', 'This node takes no tickets');
		return await cluster.tickets.redeem(ticket, room.id).catch((error: unknown) => {
			throw error instanceof HandOffError ? refusedTicket(error.reason, error.message, error) : error;
		});
	};

	/** Where a listener who came here from outside goes; from memory. */
	const seatFor = (room: Room, from: string | undefined): Seat =>
		// Whoever was sent here once is seated here or not at all: nobody goes in circles.
		cluster === undefined || from !== undefined ? 'here' : (deps.handOff?.decide(room) ?? 'here');
	const admission = new ListenAdmission(deps, seatFor);
	/** Settles what can be settled without reading the offer: in a storm that is most of it. */
	const onRequest = async (request: FastifyRequest): Promise<void> => {
		if (limitJoin !== undefined) await limitJoin(request);
		const refusal = admission.early(request);
		if (refusal !== undefined) throw refusal;
	};

	app.post(
		'/v1/rooms/:room/listen',
		{
			onRequest,
			schema: {
				operationId: 'listen',
				summary: 'Listen (WHEP)',
				description:
					'One POST with an SDP offer: every audio m-line gets a voice, a single one the dominant speaker; other m-lines are refused. ' +
					'A public room needs no token. The session is ended by DELETE on its Location, or by silence. ' +
					'In a cluster another node may be the better one: the same POST to the Location of the 307 is served there, without a token. ' +
					'In a surge a 503 says when to come again, how many wait before you (`queue`), and where to hear the room meanwhile (`overflow`).',
				tags: ['media'],
				consumes: [SDP_TYPE],
				params: RoomParams,
				querystring: ListenQuery,
				body: SDP_BODY,
				response: {
					201: media(SDP_TYPE, 'The answer', LISTEN_HEADERS),
					307: empty('Another node has more room: the same POST to its address', { location: Type.String({ description: 'With a ticket (`handoff`), good once, for 30 s' }) }),
					...problems(
						...TOKEN_PROBLEMS, 'handoff_invalid', 'banned', 'room_not_found', 'room_not_open', 'room_ended', 'invalid_offer',
						'payload_too_large', 'unsupported_media_type', 'no_capacity', 'media_unavailable', 'shutting_down', 'rate_limited',
					),
				},
			},
		},
		async (request, reply) => {
			const room = rooms.require(request.params.room);
			const { handoff, packing, place } = request.query;
			/** The node that handed this listener on to us, if one did. */
			let from = forwardingOf(request.raw)?.from;
			let random: string | undefined;
			let holder: TokenHolder | undefined;
			if (handoff === undefined) {
				const entry = requireEntry(request, room, 'room:listen', bans);
				if (entry !== undefined) await entry;
				requireDoorsOpen(room, deps.now());
				const seat = admission.seat(request, room, from);
				if (cluster !== undefined && seat !== 'here') {
					const answered = await handOn(seat, room, request.query, { cluster, deps }, request, reply);
					if (answered) return reply;
				}
			} else {
				({ from, random, holder } = await byTicket(room, handoff));
				requireDoorsOpen(room, deps.now());
			}
			if (from !== undefined) deps.handOff?.took?.(from);
			const onGone = (gone: () => void) => (reply.raw.closed ? gone() : void reply.raw.once('close', gone));
			const join = deps.owners?.join(holder ?? request.principal, room.id);
			join?.require();
			const held = admission.read(room.id, place);
			const arrival: Arrival = { ...held, onGone, ...(join?.holder && { owner: join.holder }) };
			const listen = () => deps.media.listen(room, String(request.body), packing, random, arrival);
			const session = await inSpan('join', { 'rostrum.room': room.id, 'rostrum.kind': 'listen' }, listen).catch((error: unknown) => {
				throw admission.complete(error, room, held);
			}).finally(() => join?.release());
			// Banned, or the token revoked, while the session was being made.
			if (join?.ended !== undefined) await deps.media.closeSession(session.sessionId).catch(() => undefined);
			join?.require();
			const asks = deps.metrics.quality?.link(room.id);
			return sendSession(reply, session, { deps, links }, [...(alternates?.next() ?? []), ...(asks === undefined ? [] : [asks])]);
		},
	);

	app.options(
		'/v1/rooms/:room/listen',
		{
			config: { cors: { preflightContinue: true } },
			schema: {
				operationId: 'discoverListen',
				summary: 'What this WHEP endpoint takes, and its ICE servers',
				tags: ['media'],
				params: RoomParams,
				querystring: ListenQuery,
				response: { 204: empty('See the headers', DISCOVERY_HEADERS), ...problems('token_invalid') },
			},
		},
		(request, reply) => {
			const room = rooms.get(request.params.room);
			// Credentials for TURN are for those who could join right now without further questions.
			const welcome = room?.visibility === 'public' && (room.state === 'open' || room.state === 'live');
			const ice = welcome ? iceLinks(config.turn, deps.randomId, deps.now()) : undefined;
			if (ice !== undefined) void reply.header('link', ice);
			void reply.code(204).header('accept-post', SDP_TYPE).header('allow', 'OPTIONS, POST').send();
		},
	);
}

/**
 * Whether listeners and encoders may connect to the room in the state it is in.
 *
 * @throws DomainError `room_not_open` (with Retry-After when the opening is known), `room_ended`
 */
export function requireDoorsOpen(room: Room, nowMs: number): void {
	if (room.state === 'ended') {
		const { endedAt, cancelReason } = room;
		throw isCancelled(room)
			? new DomainError('room_ended', cancelReason === undefined ? 'This event was cancelled' : `This event was cancelled: ${cancelReason}`, { extra: { endedAt, cancelled: true, ...(cancelReason !== undefined && { cancelReason }) } })
			: new DomainError('room_ended', 'This room has ended', { extra: { endedAt } });
	}
	if (room.state !== 'scheduled') return;
	const { doorsOpenAt } = room;
	const when = doorsOpenAt === undefined ? {} : { retryAfterSeconds: Math.max(1, (Date.parse(doorsOpenAt) - nowMs) / 1000), extra: { doorsOpenAt } };
	throw new DomainError('room_not_open', 'The doors of this room are not open yet', when);
}

/**
 * Sends a listener to another node: by its own address, with a ticket, or through this node where it has none.
 *
 * @returns false when that node turns out to be gone: the listener is this node's after all
 */
async function handOn(
	{ nodeId, publicUrl, why }: Exclude<Seat, 'here'>,
	room: Room,
	{ packing, place }: Static<typeof ListenQuery>,
	{ cluster, deps: { handOff, metrics, publicUrl: ownUrl } }: { cluster: AppCluster; deps: Pick<AppDeps, 'handOff' | 'metrics' | 'publicUrl'> },
	request: FastifyRequest,
	reply: FastifyReply,
): Promise<boolean> {
	request.log.debug({ room: room.id, peer: nodeId, why }, 'listener handed on');
	const base = publicUrl?.replace(/\/+$/, '');
	// An address that leads back here would go in circles.
	if (base !== undefined && base !== ownUrl()) {
		const query = new URLSearchParams({ handoff: await cluster.tickets.issue(room.id, nodeId, request.principal ? holderOf(request.principal) : undefined), ...(packing === undefined ? {} : { packing: String(packing) }), ...(place === undefined ? {} : { place }) });
		await reply.code(307).header('location', `${base}/v1/rooms/${room.id}/listen?${query.toString()}`).header('cache-control', 'no-store').send();
		metrics.countHandOff('307', why);
		return true;
	}
	try {
		await cluster.forward(request, reply, nodeId);
		metrics.countHandOff('forwarded', why);
		if (reply.statusCode === 503 && !concernsTheRoomAlone(request)) handOff?.refused?.(nodeId);
		return true;
	} catch (error) {
		if (!(error instanceof DomainError) || error.code !== 'peer_unreachable') throw error;
		handOff?.refused?.(nodeId);
		return false;
	}
}

/** What another node's refusal says nothing about that node by: any other one would refuse this listener as well, and this node takes those of other rooms. */
function concernsTheRoomAlone(request: FastifyRequest): boolean {
	const reason = answeredProblem(request)?.reason;
	return reason === 'room_full' || reason === 'seats_unknown';
}

function refusedTicket(reason: string, detail: string, cause?: unknown): DomainError {
	return new DomainError('handoff_invalid', detail, { cause, extra: { reason } });
}
