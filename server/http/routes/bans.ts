import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { DomainError } from '../../errors.ts';
import { requirePermission, requireToken } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, HOME_PROBLEMS, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const strict = { additionalProperties: false } as const;
const BanResource = Type.Object(
	{
		subject: Type.String({ description: 'Whom tokens name' }),
		name: Type.String({ description: 'As it was shown when the ban was made' }),
		bannedBy: Type.String({ description: 'Subject of whoever did it' }),
		bannedAt: Type.String({ format: 'date-time' }),
	},
	strict,
);
const NewBan = Type.Object(
	{ subject: Type.String({ minLength: 1, maxLength: 256, description: 'Whom tokens name' }), name: Type.Optional(Type.String({ maxLength: 100, description: 'For people who read the list' })) },
	strict,
);

/** Who must stay out of a room, and for how long: until somebody says otherwise. */
export function registerBanRoutes(instance: FastifyInstance, { deps, bans }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const tags = ['stage'];

	app.get(
		'/v1/rooms/:room/bans',
		{
			schema: {
				operationId: 'listBans',
				summary: 'Who is banned from the room',
				description: 'Hosts, co-hosts and admins.',
				tags,
				params: RoomParams,
				querystring: NoQuery,
				response: {
					200: { ...Type.Object({ bans: Type.Array(BanResource) }, strict), description: 'In order of subject' },
					...problems(...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'store_unavailable', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			requirePermission(request, 'stage:moderate', roomId);
			deps.rooms.require(roomId);
			const listed = await deps.store.listBans(roomId);
			return reply.header('cache-control', 'no-store').send({ bans: listed.map(({ subject, name, bannedBy, bannedAt }) => ({ subject, name, bannedBy, bannedAt })) });
		},
	);

	app.post(
		'/v1/rooms/:room/bans',
		{
			config: { atHome: true },
			schema: {
				operationId: 'banSubject',
				summary: 'Ban somebody who need not be in the room',
				description: 'Hosts, co-hosts and admins; a co-host has no power over a host. Whatever this person has open in the room ends, on every node. Repeating it changes nothing.',
				tags,
				params: RoomParams,
				querystring: NoQuery,
				body: NewBan,
				response: {
					204: empty('Banned'),
					...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'banned', 'room_not_found', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const actor = requireToken(request, roomId);
			deps.rooms.require(roomId);
			const { subject, name } = request.body;
			await deps.stages.people.banSubject(actor, roomId, subject, name ?? '');
			bans.forget(roomId);
			return reply.code(204).send();
		},
	);

	app.delete(
		'/v1/rooms/:room/bans/:subject',
		{
			config: { atHome: true },
			schema: {
				operationId: 'undoBan',
				summary: 'Let somebody in again',
				description: 'Hosts and admins. Onto the stage they come as listeners do, unless their token says more and they were not brought there.',
				tags,
				params: Type.Object({ ...RoomParams.properties, subject: Type.String({ minLength: 1, maxLength: 256 }) }),
				querystring: NoQuery,
				response: { 204: empty('Undone'), ...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'banned', 'room_not_found', 'not_found', 'shutting_down') },
			},
		},
		async (request, reply) => {
			const { room: roomId, subject } = request.params;
			const actor = requirePermission(request, 'room:edit', roomId);
			deps.rooms.require(roomId);
			const was = await deps.store.unban(roomId, subject);
			bans.forget(roomId);
			if (!was) throw new DomainError('not_found', 'Nobody with this subject is banned from the room');
			request.log.info({ room: roomId, subject, by: actor.subject }, 'ban undone');
			return reply.code(204).send();
		},
	);
}
