import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { STAGE_REQUESTS, StageSettings } from '../../stage/protocol.ts';
import { requireToken } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { HOME_PROBLEMS, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const StageResource = Type.Object({ ...StageSettings.properties, order: Type.Array(Type.String(), { description: 'Participant ids, those shown first' }) }, { additionalProperties: false });

/** What is set for a stage as a whole. */
export function registerStageRoutes(instance: FastifyInstance, { deps }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();

	// The path of the stage itself is its socket's.
	app.get(
		'/v1/rooms/:room/stage/settings',
		{
			config: { atHome: true },
			schema: {
				operationId: 'readStageSettings',
				summary: 'Whether the stage is locked, how many it holds, whom it shows first',
				description: 'Hosts, co-hosts and admins, by the role they have on this stage.',
				tags: ['stage'],
				params: RoomParams,
				querystring: NoQuery,
				response: { 200: { ...StageResource, description: 'As it is now' }, ...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'banned', 'room_not_found', 'shutting_down') },
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const actor = requireToken(request, roomId);
			deps.rooms.require(roomId);
			const { order, ...settings } = await deps.stages.people.settings(actor, roomId);
			return reply.header('cache-control', 'no-store').send({ ...settings, order: [...order] });
		},
	);

	app.put(
		'/v1/rooms/:room/stage',
		{
			config: { atHome: true },
			schema: {
				operationId: 'setStage',
				summary: 'Lock the stage, limit its size, order its speakers',
				description: 'Hosts, co-hosts and admins, by the role they have on this stage. What is absent stays. Locked: nobody new comes on stage but hosts and co-hosts; whoever is on it stays.',
				tags: ['stage'],
				params: RoomParams,
				querystring: NoQuery,
				body: STAGE_REQUESTS['stage.set'],
				response: {
					200: { ...StageResource, description: 'As it is now' },
					...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'banned', 'room_not_found', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request) => {
			const { room: roomId } = request.params;
			const actor = requireToken(request, roomId);
			deps.rooms.require(roomId);
			const { order, ...settings } = await deps.stages.people.set(actor, roomId, request.body);
			return { ...settings, order: [...order] };
		},
	);
}
