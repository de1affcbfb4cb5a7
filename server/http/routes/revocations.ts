import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Revocation as KnownRevocation } from '../../../auth/revocations.ts';
import { RoomId } from '../../rooms/room.ts';
import type { TokenRevocations } from '../../sessions/token-revocations.ts';
import { DomainError } from '../../errors.ts';
import { requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, NoQuery, problems, TOKEN_PROBLEMS } from '../schemas.ts';

const strict = { additionalProperties: false } as const;
const members = {
	tokenId: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'One token, by its `jti`' })),
	subject: Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: 'Every token that this person has at this time; new ones count' })),
	room: Type.Optional(RoomId),
	reason: Type.Optional(Type.String({ maxLength: 200, description: 'For people who read the list' })),
};
const NewRevocation = Type.Object(members, { ...strict, description: '`tokenId` or `subject`, one of the two' });
const Revocation = Type.Object(
	{
		id: Type.String(),
		...members,
		at: Type.String({ format: 'date-time', description: 'Tokens made by then are meant' }),
		by: Type.String({ description: 'Subject of who said so' }),
		expiresAt: Type.String({ format: 'date-time', description: 'No token that is meant lives longer' }),
	},
	strict,
);
const RevocationParams = Type.Object({ revocation: Type.String({ minLength: 1, maxLength: 64 }) });
const PATH = '/v1/admin/tokens/revoke';

/** Tokens that are not taken any more. Which were ever made is not kept: see `Revocation`. */
export function registerRevocationRoutes(instance: FastifyInstance, _context: RouteContext, revocations: Pick<TokenRevocations, 'all' | 'revoke' | 'lift'>): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const tags = ['tokens'];

	app.post(
		PATH,
		{
			schema: {
				operationId: 'revokeTokens',
				summary: 'Trust a token, or all tokens that somebody has, no more',
				description:
					'On every node, from now on. What is open with them ends: stage sockets (close code 4401), sessions, event streams (`bye` with `token_revoked`). ' +
					'With `room` only tokens for that room are meant. Times in tokens have whole seconds: those made in this second are meant, too.',
				tags,
				querystring: NoQuery,
				body: NewRevocation,
				response: { 201: { ...Revocation, description: 'Revoked' }, ...problems(...TOKEN_PROBLEMS, 'too_many_requests', 'payload_too_large', 'unsupported_media_type', 'shutting_down') },
			},
		},
		async (request, reply) => {
			const principal = requirePermission(request, 'admin:operate');
			const revocation = await revocations.revoke(request.body, principal);
			const { tokenId, subject, roomId, id } = revocation;
			request.audited = { target: tokenId ?? subject ?? id, ...(roomId === undefined ? {} : { room: roomId }), detail: { revocation: id, ...(tokenId === undefined ? {} : { tokenId }) } };
			request.log.info({ revocation: id, room: roomId, by: principal.subject }, 'tokens revoked');
			return reply.code(201).send(shown(revocation));
		},
	);

	app.get(
		PATH,
		{
			schema: {
				operationId: 'listRevocations',
				summary: 'What is revoked, as long as tokens that are meant could be alive',
				tags,
				querystring: NoQuery,
				response: { 200: { ...Type.Object({ revocations: Type.Array(Revocation) }, strict), description: 'The latest first' }, ...problems(...TOKEN_PROBLEMS, 'shutting_down') },
			},
		},
		async (request) => {
			requirePermission(request, 'admin:operate');
			return { revocations: revocations.all.toSorted((a, b) => b.issuedBy - a.issuedBy).map(shown) };
		},
	);

	app.delete(
		`${PATH}/:revocation`,
		{
			schema: {
				operationId: 'liftRevocation',
				summary: 'Take a revocation back: tokens that have not expired count again',
				tags,
				params: RevocationParams,
				querystring: NoQuery,
				response: { 204: empty('Taken back'), ...problems(...TOKEN_PROBLEMS, 'not_found', 'shutting_down') },
			},
		},
		async (request, reply) => {
			requirePermission(request, 'admin:operate');
			if (!(await revocations.lift(request.params.revocation))) throw new DomainError('not_found', 'There is no such revocation');
			return reply.code(204).send();
		},
	);
}

function shown({ id, tokenId, subject, roomId, reason, issuedBy, revokedBy, expiresAt }: KnownRevocation) {
	return {
		id,
		...(tokenId === undefined ? {} : { tokenId }),
		...(subject === undefined ? {} : { subject }),
		...(roomId === undefined ? {} : { room: roomId }),
		...(reason === undefined ? {} : { reason }),
		at: new Date(issuedBy * 1000).toISOString(),
		by: revokedBy,
		expiresAt: new Date(expiresAt * 1000).toISOString(),
	};
}
