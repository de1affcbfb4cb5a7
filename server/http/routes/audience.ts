import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { Caption, NewCaption } from '../../audience/caption.ts';
import { PersonLimit } from '../../audience/person-limit.ts';
import { DomainError } from '../../errors.ts';
import type { Room } from '../../rooms/room.ts';
import type { AudienceDeps } from '../deps.ts';
import { requirePermission, requireUnbanned } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, HOME_PROBLEMS, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const REACTION_WINDOW_MS = 10_000;
/** First guesses of a service that turns speech to text come several times a second; more is a fault. */
const CAPTIONS = { max: 40, windowMs: 2_000 };

const NewReaction = Type.Object({ reaction: Type.String({ minLength: 1, maxLength: 32, description: 'One of those that the event `reactions` counts' }) }, { additionalProperties: false });

/** What an audience gives back, and what is written for it. */
export function registerAudienceRoutes(instance: FastifyInstance, { deps, bans }: RouteContext, { audience, limits }: AudienceDeps): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const nowMs = () => performance.now();
	const perPerson = new PersonLimit({ max: limits.reactionsPerPerson, windowMs: REACTION_WINDOW_MS, nowMs, what: 'reactions' });
	const perCaptioner = new PersonLimit({ ...CAPTIONS, nowMs, what: 'captions' });

	app.post(
		'/v1/rooms/:room/reactions',
		{
			schema: {
				operationId: 'react',
				summary: 'React to what is said',
				description: 'A listener’s token or more (see `becomeGuest`). Everybody is told sums, at most once a second: the event `reactions`.',
				tags: ['audience'],
				params: RoomParams,
				querystring: NoQuery,
				body: NewReaction,
				response: {
					202: empty('Counted'),
					...problems(...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'room_not_open', 'room_ended', 'too_many_requests', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const principal = requirePermission(request, 'room:react', roomId);
			requireUnderWay(deps.rooms.require(roomId));
			await requireUnbanned(principal, roomId, bans);
			perPerson.take(`${roomId}\n${principal.issuer}\n${principal.subject}`);
			audience.react(roomId, request.body.reaction);
			return reply.code(202).send();
		},
	);

	app.post(
		'/v1/rooms/:room/captions',
		{
			config: { atHome: true },
			schema: {
				operationId: 'writeCaption',
				summary: 'Write what is said, for those who read',
				description:
					'Hosts, co-hosts and admins: a captioner, or a service that turns speech to text. First guesses (`final: false`) take each other’s ' +
					'place until the final line of the same speaker and language. Everybody is told the last lines: the event `captions`. Final lines are kept for the replay.',
				tags: ['audience'],
				params: RoomParams,
				querystring: NoQuery,
				body: NewCaption,
				response: {
					202: { ...Caption, description: 'As it is kept' },
					...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'banned', 'room_not_found', 'room_not_open', 'room_ended', 'too_many_requests', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const principal = requirePermission(request, 'caption:write', roomId);
			requireUnderWay(deps.rooms.require(roomId));
			await requireUnbanned(principal, roomId, bans);
			perCaptioner.take(`${roomId}\n${principal.issuer}\n${principal.subject}`);
			return reply.code(202).send(await audience.caption(roomId, request.body));
		},
	);
}

/** @throws DomainError `room_not_open`, `room_ended` */
function requireUnderWay({ state }: Room): void {
	if (state === 'ended') throw new DomainError('room_ended', 'This room has ended');
	if (state === 'scheduled') throw new DomainError('room_not_open', 'The doors of this room are not open yet');
}
