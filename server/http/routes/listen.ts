import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { DomainError } from '../../errors.ts';
import type { Room } from '../../rooms/room.ts';
import { iceLinks } from '../ice-links.ts';
import { requireEntry } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, ListenQuery, media, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';
import { sendSession } from '../session-answer.ts';
import { DISCOVERY_HEADERS, SDP_BODY, SDP_TYPE, SESSION_HEADERS } from '../session-http.ts';

/**
 * WHEP (draft-ietf-wish-whep): one POST seats a listener. The hot path: without a token nothing is looked up but the
 * room in memory, and nothing is serialised.
 */
export function registerListenRoutes(instance: FastifyInstance, { deps, links, bans }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const { rooms, config } = deps;

	app.post(
		'/v1/rooms/:room/listen',
		{
			schema: {
				operationId: 'listen',
				summary: 'Listen (WHEP)',
				description:
					'One POST with an SDP offer: every audio m-line gets a voice, a single one the dominant speaker; other m-lines are refused. ' +
					'A public room needs no token. The session is ended by DELETE on its Location, or by silence.',
				tags: ['media'],
				consumes: [SDP_TYPE],
				params: RoomParams,
				querystring: ListenQuery,
				body: SDP_BODY,
				response: {
					201: media(SDP_TYPE, 'The answer', SESSION_HEADERS),
					...problems(
						...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'room_not_open', 'room_ended', 'invalid_offer',
						'payload_too_large', 'unsupported_media_type', 'no_capacity', 'media_unavailable', 'shutting_down',
					),
				},
			},
		},
		async (request, reply) => {
			const room = rooms.require(request.params.room);
			const entry = requireEntry(request, room, 'room:listen', bans);
			if (entry !== undefined) await entry;
			requireDoorsOpen(room, deps.now());
			const session = await deps.media.listen(room, String(request.body), request.query.packing);
			return sendSession(reply, session, { deps, links });
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
	if (room.state === 'ended') throw new DomainError('room_ended', 'This room has ended', { extra: { endedAt: room.endedAt } });
	if (room.state !== 'scheduled') return;
	const { doorsOpenAt } = room;
	const when = doorsOpenAt === undefined ? {} : { retryAfterSeconds: Math.max(1, (Date.parse(doorsOpenAt) - nowMs) / 1000), extra: { doorsOpenAt } };
	throw new DomainError('room_not_open', 'The doors of this room are not open yet', when);
}

