import { isIPv6 } from 'node:net';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { PersonLimit } from '../../audience/person-limit.ts';
import { DomainError } from '../../errors.ts';
import type { AudienceDeps } from '../deps.ts';
import { requireUnbanned } from '../plugins/auth.ts';
import { blockListOf, subscriberOf } from '../plugins/join-limits.ts';
import type { RouteContext } from '../route-context.ts';
import { NoQuery, problems, RoomParams } from '../schemas.ts';

const strict = { additionalProperties: false } as const;
const WINDOW_MS = 10_000;
/** Of people who came without a personal link. */
const GUEST_PREFIX = 'guest-';
const CONTROLS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu;

const NewGuest = Type.Union([
	Type.Null(),
	Type.Object({ name: Type.Optional(Type.String({ maxLength: 60, description: 'Shown to hosts, and on stage; absent or empty: anonymous' })) }, strict),
]);
const Guest = Type.Object(
	{
		token: Type.String({ description: 'A listener’s, for this room' }),
		subject: Type.String({ description: 'Stays the same when the token comes along with the next request' }),
		name: Type.String({ description: 'Empty: anonymous' }),
		expiresAt: Type.String({ format: 'date-time' }),
	},
	strict,
);

/** Who a listener of a public room is, for all that somebody must be known for: a raised hand, reactions. Listening needs none of it. */
export function registerGuestRoutes(instance: FastifyInstance, { deps, bans }: RouteContext, { limits }: AudienceDeps): void {
	const perAddress = new PersonLimit({ max: limits.guestsPerAddress, windowMs: WINDOW_MS, nowMs: () => performance.now(), what: 'guest tokens' });
	const unlimited = blockListOf(deps.config.admission?.unlimitedAddresses ?? []);
	instance.withTypeProvider<TypeBoxTypeProvider>().post(
		'/v1/rooms/:room/guests',
		{
			schema: {
				operationId: 'becomeGuest',
				summary: 'Be somebody in a public room: a listener’s token, with a name or anonymous',
				description: 'Nobody needs it to listen. With a guest’s token the same guest gets another name.',
				tags: ['audience'],
				params: RoomParams,
				querystring: NoQuery,
				body: NewGuest,
				response: {
					201: { ...Guest, description: 'Made' },
					...problems('token_invalid', 'forbidden', 'banned', 'room_not_found', 'room_ended', 'too_many_requests', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const room = deps.rooms.require(request.params.room);
			const { principal, ip } = request;
			if (room.visibility !== 'public') {
				throw new DomainError('forbidden', 'This room is for those with a personal link', { extra: { reason: 'not_public' } });
			}
			if (room.state === 'ended') throw new DomainError('room_ended', 'This room has ended');
			const known = principal?.roomId === room.id && principal.role === 'listener' && principal.subject.startsWith(GUEST_PREFIX) ? principal : undefined;
			if (known) await requireUnbanned(known, room.id, bans);
			if (!unlimited.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4')) perAddress.take(subscriberOf(ip));
			const subject = known?.subject ?? `${GUEST_PREFIX}${deps.randomId()}`;
			const name = (request.body?.name ?? '').replaceAll(CONTROLS, ' ').trim();
			const issued = await deps.issuer.issue({ role: 'listener', roomId: room.id, subject, name, nowSeconds: deps.now() / 1_000 });
			return reply
				.code(201)
				.header('cache-control', 'no-store')
				.send({ token: issued.token, subject, name, expiresAt: new Date(issued.expiresAt * 1_000).toISOString() });
		},
	);
}
