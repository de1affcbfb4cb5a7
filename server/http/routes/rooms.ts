import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { can } from '../../../auth/roles.ts';
import { DomainError } from '../../errors.ts';
import type { AppDeps } from '../deps.ts';
import { requireEntry, requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { roomResource } from '../room-resource.ts';
import { empty, HOME_PROBLEMS, ListQuery, NewRoom, NoQuery, problems, RoomPage, RoomParams, RoomPatch, TOKEN_PROBLEMS } from '../schemas.ts';
import type { Room, RoomState } from '../../rooms/room.ts';
import { isPlace, placeOf } from '../../rooms/timetable.ts';

/** The rooms themselves: make, list, read, change, remove. */
export function registerRoomRoutes(instance: FastifyInstance, { deps, links, bans }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const { rooms } = deps;
	const show = (request: FastifyRequest, room: Room) =>
		roomResource(room, deps, links, request.principal !== null && can(request.principal, 'stage:moderate', room.id));
	const Room = Type.Ref('Room');

	app.post(
		'/v1/rooms',
		{
			schema: {
				operationId: 'createRoom',
				summary: 'Make a room',
				description: 'Admins only. Without `id` a readable one is made up.',
				tags: ['rooms'],
				querystring: NoQuery,
				body: NewRoom,
				response: {
					201: { ...Room, description: 'Made', headers: { location: { type: 'string' } } },
					...problems(...TOKEN_PROBLEMS, 'room_exists', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			requirePermission(request, 'room:create');
			const room = await rooms.create(request.body);
			request.audited = { room: room.id };
			return reply.code(201).header('location', `/v1/rooms/${room.id}`).send(show(request, room));
		},
	);

	app.get(
		'/v1/rooms',
		{
			schema: {
				operationId: 'listRooms',
				summary: 'List rooms, in order of id or of time',
				description: 'Private rooms are listed to admins alone; a host reads the room of the token by its id. What is coming up: `?state=scheduled,open&from=…`.',
				tags: ['rooms'],
				querystring: ListQuery,
				response: { 200: { ...RoomPage, description: 'One page' }, ...problems('token_invalid') },
			},
		},
		async (request) => {
			const { limit, after } = request.query;
			const all = request.principal !== null && can(request.principal, 'room:list-private');
			// One more than asked for tells whether there is a next page.
			const { found, place } = listed(rooms, request.query, { limit: limit + 1, ...(all ? {} : { visibility: 'public' as const }), ...(after === undefined ? {} : { after }) });
			const page = found.slice(0, limit);
			const last = page.at(-1);
			return { rooms: page.map((room) => show(request, room)), ...(found.length > limit && last ? { next: place(last) } : {}) };
		},
	);

	app.get(
		'/v1/rooms/:room',
		{
			schema: {
				operationId: 'readRoom',
				summary: 'Read a room: its settings, state, stage and listener count',
				description: 'A private room is shown to holders of a token for it.',
				tags: ['rooms'],
				params: RoomParams,
				querystring: NoQuery,
				response: { 200: { ...Room, description: 'The room' }, ...problems(...TOKEN_PROBLEMS, 'banned', 'room_not_found') },
			},
		},
		async (request) => {
			const room = rooms.require(request.params.room);
			await requireEntry(request, room, 'room:read', bans);
			return show(request, room);
		},
	);

	app.patch(
		'/v1/rooms/:room',
		{
			config: { atHome: true },
			schema: {
				operationId: 'changeRoom',
				summary: 'Change settings',
				description: 'Hosts and admins. What is absent stays as it is; null removes an optional member. `voices` is fixed once the doors are open.',
				tags: ['rooms'],
				params: RoomParams,
				querystring: NoQuery,
				body: RoomPatch,
				response: {
					200: { ...Room, description: 'As it is now' },
					...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'room_not_found', 'room_ended', 'wrong_room_state', 'precondition_failed', 'payload_too_large', 'unsupported_media_type'),
				},
			},
		},
		async (request) => {
			const { room: roomId } = request.params;
			requirePermission(request, 'room:edit', roomId);
			return show(request, await rooms.update(roomId, request.body));
		},
	);

	app.delete(
		'/v1/rooms/:room',
		{
			config: { atHome: true },
			schema: {
				operationId: 'removeRoom',
				summary: 'End a room and remove it',
				description: 'Admins only. Everybody in it is told and disconnected; its bans and roster numbers go too.',
				tags: ['rooms'],
				params: RoomParams,
				querystring: NoQuery,
				response: { 204: empty('Removed'), ...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'room_not_found') },
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			requirePermission(request, 'room:delete', roomId);
			const { state } = rooms.require(roomId);
			// Ending it first lets stage and listeners go the way they always go.
			if (state === 'open' || state === 'live') await rooms.transition(roomId, 'end');
			await rooms.remove(roomId);
			bans.forget(roomId);
			return reply.code(204).send();
		},
	);
}

interface Page {
	limit: number;
	after?: string;
	visibility?: 'public';
}

/** The rooms that are asked for, in the order that is asked for, and how to ask for what comes behind one of them. */
function listed(rooms: AppDeps['rooms'], { state, order, from, to }: Static<typeof ListQuery>, page: Page): { found: Room[]; place: (room: Room) => string } {
	const states = state?.split(',').filter((name): name is RoomState => name !== '');
	const wanted = { ...page, ...(states === undefined ? {} : { states }) };
	const timed = order === 'time' || order === 'latest' || (order === undefined && (from !== undefined || to !== undefined));
	if (!timed) {
		if (from !== undefined || to !== undefined) throw new DomainError('invalid_request', 'With from or to, rooms come in order of time.', { extra: { field: 'order' } });
		if (page.after?.includes('.')) throw new DomainError('invalid_request', 'This page belongs to another order.', { extra: { field: 'after' } });
		return { found: rooms.list(wanted), place: (room) => room.id };
	}
	if (page.after !== undefined && !isPlace(page.after)) throw new DomainError('invalid_request', 'This page belongs to another order.', { extra: { field: 'after' } });
	const found = rooms.listByTime({
		...wanted,
		order: order === 'latest' ? 'latest' : 'time',
		...(from === undefined ? {} : { fromMs: Date.parse(from) }),
		...(to === undefined ? {} : { toMs: Date.parse(to) }),
	});
	return { found, place: placeOf };
}
