import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { DomainError } from '../../errors.ts';
import { inSpan } from '../../tracing/spans.ts';
import { iceLinks } from '../ice-links.ts';
import { requirePermission, requireUnbanned } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, HOME_PROBLEMS, media, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';
import { sendSession } from '../session-answer.ts';
import { DISCOVERY_HEADERS, SDP_BODY, SDP_TYPE, SESSION_HEADERS } from '../session-http.ts';

/** WHIP (RFC 9725): an encoder speaks, as the person its token names. */
export function registerPublishRoutes(instance: FastifyInstance, { deps, links, bans }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();

	app.post(
		'/v1/rooms/:room/publish',
		{
			config: { atHome: true },
			schema: {
				operationId: 'publish',
				summary: 'Speak with an encoder (WHIP)',
				description: 'Needs a speaker, co-host or host token for the room. The session is ended by DELETE on its Location.',
				tags: ['media'],
				consumes: [SDP_TYPE],
				params: RoomParams,
				querystring: NoQuery,
				body: SDP_BODY,
				response: {
					201: media(SDP_TYPE, 'The answer', SESSION_HEADERS),
					...problems(
						...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'banned', 'room_not_found', 'room_ended', 'already_on_stage', 'invalid_offer',
						'payload_too_large', 'unsupported_media_type', 'stage_full', 'media_unavailable', 'shutting_down',
					),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const principal = requirePermission(request, 'stage:join', roomId);
			// Before the doors open a speaker may come and test; only an ended room is closed to encoders.
			if (deps.rooms.require(roomId).state === 'ended') throw new DomainError('room_ended', 'This room has ended');
			await requireUnbanned(principal, roomId, bans);
			const join = () => deps.stages.publish(principal, roomId, String(request.body));
			const session = await inSpan('join', { 'rostrum.room': roomId, 'rostrum.kind': 'publish' }, join);
			return sendSession(reply, session, { deps, links });
		},
	);

	app.options(
		'/v1/rooms/:room/publish',
		{
			config: { cors: { preflightContinue: true } },
			schema: {
				operationId: 'discoverPublish',
				summary: 'What this WHIP endpoint takes, and, with a token, its ICE servers',
				tags: ['media'],
				params: RoomParams,
				querystring: NoQuery,
				response: { 204: empty('See the headers', DISCOVERY_HEADERS), ...problems('token_invalid', 'forbidden') },
			},
		},
		(request, reply) => {
			// A preflight carries no token, so it must pass without one.
			if (request.principal !== null) {
				requirePermission(request, 'stage:join', request.params.room);
				const ice = iceLinks(deps.config.turn, deps.randomId, deps.now());
				if (ice !== undefined) void reply.header('link', ice);
			}
			void reply.code(204).header('accept-post', SDP_TYPE).header('allow', 'OPTIONS, POST').send();
		},
	);
}
