import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { KeyRingError } from '../../../auth/key-ring-error.ts';
import { DomainError } from '../../errors.ts';
import { requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, KeyList, KeyParams, NewKey, NoBody, NoQuery, problems, TOKEN_PROBLEMS } from '../schemas.ts';

/** The keys that tokens are signed with. Their public parts are at `/.well-known/jwks.json`. */
export function registerKeyRoutes(instance: FastifyInstance, { deps }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();

	app.get(
		'/v1/admin/keys',
		{
			schema: {
				operationId: 'listKeys',
				summary: 'The keys that tokens are signed with, and those that are trusted no more',
				tags: ['operations'],
				querystring: NoQuery,
				response: { 200: { ...KeyList, description: 'Newest first' }, ...problems(...TOKEN_PROBLEMS, 'shutting_down') },
			},
		},
		async (request) => {
			requirePermission(request, 'admin:operate');
			const { keys, retired, active } = deps.keyRing;
			const at = (ms: number) => new Date(ms).toISOString();
			return {
				keys: keys.toReversed().map(({ kid, createdAtMs }) => ({ kid, createdAt: at(createdAtMs), signing: kid === active.kid })),
				retired: retired.toSorted((a, b) => b.retiredAtMs - a.retiredAtMs).map(({ kid, retiredAtMs }) => ({ kid, retiredAt: at(retiredAtMs) })),
			};
		},
	);

	app.post(
		'/v1/admin/keys',
		{
			schema: {
				operationId: 'rotateKeys',
				summary: 'Sign with a new key from now on',
				description: 'Tokens signed with older keys stay good until they expire, or until their key is retired.',
				tags: ['operations'],
				querystring: NoQuery,
				body: NoBody,
				response: { 201: { ...NewKey, description: 'Made' }, ...problems(...TOKEN_PROBLEMS, 'payload_too_large', 'unsupported_media_type') },
			},
		},
		async (request, reply) => {
			const principal = requirePermission(request, 'admin:operate');
			const { kid } = await deps.keyRing.rotate();
			request.audited = { target: kid };
			request.log.info({ kid, by: principal.subject }, 'signing key made');
			return reply.code(201).send({ kid });
		},
	);

	app.delete(
		'/v1/admin/keys/:kid',
		{
			schema: {
				operationId: 'retireKey',
				summary: 'Trust a key no more: every token signed with it is refused from now on',
				tags: ['operations'],
				params: KeyParams,
				querystring: NoQuery,
				response: { 204: empty('Retired'), ...problems(...TOKEN_PROBLEMS, 'not_found', 'invalid_request') },
			},
		},
		async (request, reply) => {
			const principal = requirePermission(request, 'admin:operate');
			const { kid } = request.params;
			if (!deps.keyRing.jwks().keys.some((key) => key.kid === kid)) {
				throw new DomainError('not_found', 'There is no such key.');
			}
			await deps.keyRing.retire(kid).catch((error: unknown) => {
				throw error instanceof KeyRingError ? new DomainError('invalid_request', error.message, { cause: error }) : error;
			});
			request.log.info({ kid, by: principal.subject }, 'signing key retired');
			return reply.code(204).send();
		},
	);
}
