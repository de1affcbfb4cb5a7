import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { requirePermission } from '../plugins/auth.ts';
import { roomResource } from '../room-resource.ts';
import type { RouteContext } from '../route-context.ts';
import { HOME_PROBLEMS, NewCancellation, NewExtension, NoBody, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

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

	const changed = { 200: { ...Type.Ref('Room'), description: 'As it is now' } };
	app.post(
		'/v1/rooms/:room/cancel',
		{
			config: { atHome: true },
			schema: {
				operationId: 'cancelRoom',
				summary: 'Call the event off before it was on air',
				description: 'Hosts and admins. Those who wait, and those who come later, are told why; calendars that were fetched again say so, too. Repeating it changes nothing.',
				tags: ['rooms'],
				params: RoomParams,
				querystring: NoQuery,
				body: NewCancellation,
				response: {
					...changed,
					...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'room_not_found', 'wrong_room_state', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request) => {
			const { room: roomId } = request.params;
			requirePermission(request, 'room:state', roomId);
			return roomResource(await deps.rooms.cancel(roomId, request.body?.reason), deps, links, true);
		},
	);
	app.post(
		'/v1/rooms/:room/extend',
		{
			config: { atHome: true },
			schema: {
				operationId: 'extendRoom',
				summary: 'Put off the end of a room that ends by itself',
				description: 'Hosts and admins. By so many minutes from the end that is set now (`endsAt`, `maxDurationMinutes`); the warning is given anew before the new one.',
				tags: ['rooms'],
				params: RoomParams,
				querystring: NoQuery,
				body: NewExtension,
				response: {
					...changed,
					...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'room_not_found', 'room_ended', 'wrong_room_state', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request) => {
			const { room: roomId } = request.params;
			requirePermission(request, 'room:state', roomId);
			return roomResource(await deps.rooms.extend(roomId, request.body.minutes), deps, links, true);
		},
	);
}
