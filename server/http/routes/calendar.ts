import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { DomainError } from '../../errors.ts';
import { sendCached } from '../conditional.ts';
import { requireEntry } from '../plugins/auth.ts';
import { roomCalendar } from '../room-calendar.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, media, problems, QueryToken, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const CALENDAR_TYPE = 'text/calendar; charset=utf-8';
/** Calendars that subscribe ask rarely; a changed time is to be seen soon. */
const MAX_AGE_SECONDS = 60;

/** The room as an event for calendars, with reminders. */
export function registerCalendarRoutes(instance: FastifyInstance, { deps, links, bans }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	app.get(
		'/v1/rooms/:room/calendar.ics',
		{
			config: { queryToken: true },
			schema: {
				operationId: 'readCalendar',
				summary: 'The event as an iCalendar file, with reminders',
				description: 'Of a room with a time: `scheduledAt`, else `doorsOpenAt`. Fetched again it says what has changed since. A private room needs a token.',
				tags: ['rooms'],
				params: RoomParams,
				querystring: QueryToken,
				response: {
					200: media(CALENDAR_TYPE, 'RFC 5545', { etag: Type.String(), 'cache-control': Type.String() }),
					304: empty('Not changed'),
					...problems(...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'not_found'),
				},
			},
		},
		async (request, reply) => {
			const room = deps.rooms.require(request.params.room);
			await requireEntry(request, room, 'room:read', bans);
			const calendar = roomCalendar(room, { url: links.listenPage(room.id), nowMs: deps.now() });
			if (calendar === undefined) {
				throw new DomainError('not_found', 'This room has no time yet; once it has, its calendar is here.');
			}
			return sendCached(request, reply.header('content-disposition', `inline; filename="${room.id}.ics"`), room, {
				// Weak: the moment it was made stands in it, and changes nothing.
				etag: `W/"${Date.parse(room.createdAt).toString(36)}-${room.version}"`,
				maxAgeSeconds: MAX_AGE_SECONDS,
				type: CALENDAR_TYPE,
				body: () => calendar,
			});
		},
	);
}
