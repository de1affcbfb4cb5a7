import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { PersonLimit } from '../../audience/person-limit.ts';
import { NewReport, Report } from '../../audience/report.ts';
import { RoomId } from '../../rooms/room.ts';
import type { AudienceDeps } from '../deps.ts';
import { requireEntry, requirePermission } from '../plugins/auth.ts';
import { subscriberOf } from '../plugins/join-limits.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const WINDOW_MS = 10 * 60_000;
const strict = { additionalProperties: false } as const;

/** Problems that people report, and what operators see of them. */
export function registerReportRoutes(instance: FastifyInstance, { deps, bans }: RouteContext, { reports, limits }: AudienceDeps): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const perPerson = new PersonLimit({ max: limits.reportsPerPerson, windowMs: WINDOW_MS, nowMs: () => performance.now(), what: 'reports' });

	app.post(
		'/v1/rooms/:room/reports',
		{
			schema: {
				operationId: 'reportProblem',
				summary: 'Report a problem with a room',
				description: 'Whoever may listen may report. Admins see it, and webhooks (`room.reported`) are told.',
				tags: ['audience'],
				params: RoomParams,
				querystring: NoQuery,
				body: NewReport,
				response: {
					202: empty('Kept'),
					...problems(...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'too_many_requests', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const room = deps.rooms.require(request.params.room);
			const entry = requireEntry(request, room, 'room:listen', bans);
			if (entry !== undefined) await entry;
			const { principal, body } = request;
			perPerson.take(principal === null ? subscriberOf(request.ip) : `${principal.issuer}\n${principal.subject}`);
			await reports.add(room.id, body, principal === null ? undefined : { subject: principal.subject, name: principal.name });
			// What people wrote stays out of the log.
			request.log.warn({ room: room.id, kind: body.kind }, 'somebody reported a problem with a room');
			return reply.code(202).send();
		},
	);

	app.get(
		'/v1/admin/reports',
		{
			schema: {
				operationId: 'listReports',
				summary: 'Read what people have reported, latest first',
				description: 'Admins only. Of all nodes that answer.',
				tags: ['operations'],
				querystring: Type.Object(
					{
						limit: Type.Integer({ minimum: 1, maximum: 1_000, default: 100 }),
						before: Type.Optional(Type.String({ format: 'date-time', maxLength: 40, description: 'Only those before that moment: `at` of the last one shown' })),
						room: Type.Optional(RoomId),
					},
					strict,
				),
				response: { 200: { ...Type.Object({ reports: Type.Array(Report) }, strict), description: 'Reports' }, ...problems(...TOKEN_PROBLEMS) },
			},
		},
		async (request, reply) => {
			requirePermission(request, 'admin:operate');
			const { limit, before, room } = request.query;
			void reply.header('cache-control', 'no-store');
			return { reports: await reports.all({ limit, before: before === undefined ? undefined : new Date(before).toISOString(), roomId: room }) };
		},
	);
}
