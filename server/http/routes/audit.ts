import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AuditEntry } from '../../audit/audit-entry.ts';
import type { AuditLog } from '../../audit/audit-log.ts';
import { RoomId } from '../../rooms/room.ts';
import { requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { problems, TOKEN_PROBLEMS } from '../schemas.ts';

const strict = { additionalProperties: false } as const;
const AuditQuery = Type.Object(
	{
		room: Type.Optional(RoomId),
		action: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'An action, or its first part: `participant` finds all that is done to people' })),
		subject: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'Who did it' })),
		after: Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: '`next` of the page before' })),
		limit: Type.Integer({ minimum: 1, maximum: 500, default: 50 }),
	},
	strict,
);
const AuditPage = Type.Object(
	{
		entries: Type.Array(AuditEntry),
		next: Type.Optional(Type.String({ description: 'Pass as `after` for the next page; absent on the last one' })),
		missing: Type.Array(Type.String(), { description: 'Nodes that did not answer: what they did is not listed. Of nodes that are gone their disks have it' }),
	},
	strict,
);

/** Who did what. */
export function registerAuditRoutes(instance: FastifyInstance, _context: RouteContext, audit: Pick<AuditLog, 'find'>): void {
	instance.withTypeProvider<TypeBoxTypeProvider>().get(
		'/v1/admin/audit',
		{
			schema: {
				operationId: 'readAudit',
				summary: 'Who did what, when, from where, and what came of it',
				description: 'Every act that takes a right, over the API and on stages, of all nodes; the newest first. Nothing can change or remove an entry.',
				tags: ['operations'],
				querystring: AuditQuery,
				response: { 200: { ...AuditPage, description: 'One page' }, ...problems(...TOKEN_PROBLEMS, 'shutting_down') },
			},
		},
		async (request, reply) => {
			requirePermission(request, 'admin:operate');
			const { next, ...page } = await audit.find(request.query);
			return reply.header('cache-control', 'no-store').send({ ...page, ...(next === undefined ? {} : { next }) });
		},
	);
}
