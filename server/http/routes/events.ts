import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { DomainError } from '../../errors.ts';
import { byeChunk } from '../../events/event-hub.ts';
import type { StreamEnd } from '../../events/room-audience.ts';
import { requireEntry } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { EventsQuery, media, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const EVENT_STREAM = 'text/event-stream';
const STREAM_HEADERS = {
	'content-type': EVENT_STREAM,
	'cache-control': 'no-store',
	// Asks reverse proxies not to hold events back.
	'x-accel-buffering': 'no',
};

/** Server-sent events (WHATWG HTML §9.2): what happens in a room, as state. */
export function registerEventRoutes(instance: FastifyInstance, { deps, bans }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	/** Streams that are open, so that closing the server closes them. */
	const open = new Set<FastifyReply['raw']>();
	app.addHook('preClose', (done) => {
		for (const response of open) response.end();
		done();
	});

	app.get(
		'/v1/rooms/:room/events',
		{
			config: { queryToken: true },
			schema: {
				operationId: 'watchRoom',
				summary: 'Follow a room: its state, stage and listener count (server-sent events)',
				description:
					'Events `room`, `stage`, `listeners` and `bye`, each with the whole state as JSON, never a difference. ' +
					'With a token also `invitation`: a host asks its holder, and nobody else, onto the stage (`{invitation: {by, expiresAt}}`), or not any more (`{invitation: null}`). ' +
					'`Last-Event-ID` resumes. Private rooms need a token, as a header or `?access_token=`.',
				tags: ['rooms'],
				params: RoomParams,
				querystring: EventsQuery,
				headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ maxLength: 100 })) }),
				response: {
					200: media(EVENT_STREAM, 'Events until the client leaves'),
					...problems(...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'no_capacity', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const room = deps.rooms.require(request.params.room);
			const entry = requireEntry(request, room, 'room:listen', bans);
			if (entry !== undefined) await entry;
			if (request.method === 'HEAD') return reply.headers(STREAM_HEADERS).send();
			if (deps.readiness.isShuttingDown()) {
				throw new DomainError('shutting_down', 'This server is shutting down and takes nobody new', { retryAfterSeconds: 2 });
			}
			const { raw } = reply;
			const write = (chunk: string): boolean => {
				// Headers go with the first words: whatever the hub refuses before is still an ordinary problem.
				if (!raw.headersSent) {
					reply.hijack();
					raw.writeHead(200, { ...plainHeaders(reply), ...STREAM_HEADERS });
				}
				return raw.write(chunk);
			};
			const end = (reason: StreamEnd): void => {
				// A reader who takes nothing would never take the end either.
				if (reason === 'slow' || reason === 'failed') raw.destroy();
				else raw.end();
			};
			const lastEventId = request.headers['last-event-id'] ?? request.query.lastEventId;
			const { principal } = request;
			const subscription = deps.events.attach(room.id, write, lastEventId, end, principal?.subject);
			open.add(raw);
			const disown = principal ? deps.owners?.add(principal, room.id, (reason) => {
				subscription.close();
				raw.end(byeChunk(reason));
			}) : undefined;
			raw.on('drain', () => subscription.drained());
			// A socket that breaks while being written to also closes; there is nothing else to do about it.
			raw.on('error', () => undefined);
			const leave = (): void => {
				open.delete(raw);
				disown?.();
				subscription.close();
			};
			// The client may have gone while its token was looked at; then there is no event to wait for.
			if (raw.destroyed || raw.socket?.destroyed === true) leave();
			else raw.once('close', leave);
			return reply;
		},
	);
}

/** What hooks have put on the reply so far, as `writeHead` takes it. */
function plainHeaders(reply: FastifyReply): Record<string, string | number | string[]> {
	const headers: Record<string, string | number | string[]> = {};
	for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) headers[name] = value;
	return headers;
}
