import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { requirePermission } from '../plugins/auth.ts';
import { roomResource } from '../room-resource.ts';
import type { RouteContext } from '../route-context.ts';
import { HOME_PROBLEMS, NoBody, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const COMMANDS = {
	open: { operationId: 'openRoom', summary: 'Open the doors: people may connect and wait' },
	start: { operationId: 'startRoom', summary: 'Go live; opens the doors too' },
	end: { operationId: 'endRoom', summary: 'End the room for good' },
} as const;

/** scheduled → open → live → ended. Asking for the state a room is in already is no error. */
export function registerRoomStateRoutes(instance: FastifyInstance, { deps, links }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	for (const command of ['open', 'start', 'end'] as const) {
		app.post(
			`/v1/rooms/:room/${command}`,
			{
				config: { atHome: true },
				schema: {
					...COMMANDS[command],
					description: 'Hosts and admins. Repeating it changes nothing.',
					tags: ['rooms'],
					params: RoomParams,
					querystring: NoQuery,
					body: NoBody,
					response: {
						200: { ...Type.Ref('Room'), description: 'As it is now' },
						...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'room_not_found', 'wrong_room_state', 'room_ended', 'unsupported_media_type', 'shutting_down'),
					},
				},
			},
			async (request) => {
				const { room: roomId } = request.params;
				requirePermission(request, 'room:state', roomId);
				const room = await deps.rooms.transition(roomId, command);
					return roomResource(room, deps, links, true);
			},
		);
	}
}
