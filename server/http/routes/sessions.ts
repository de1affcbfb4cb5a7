import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { parseSessionId } from '../../../sfu/contract/session-id.ts';
import { forwardingOf } from '../../cluster/peers/forwarded.ts';
import { DomainError } from '../../errors.ts';
import type { AppCluster } from '../deps.ts';
import { expectedEtag, quoteEtag } from '../etag.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, media, NoQuery, problems, SessionParams } from '../schemas.ts';
import { FRAGMENT_BODY, FRAGMENT_TYPE } from '../session-http.ts';

/**
 * WHIP and WHEP sessions. Who knows a session's id (128 random bits) may change and end it: no token is asked for,
 * and one that expired while its holder listened is no reason to strand them.
 */
export function registerSessionRoutes(instance: FastifyInstance, { deps }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const { cluster } = deps;

	app.addHook<{ Params: Static<typeof SessionParams> }>('preHandler', async (request, reply) => {
		const nodeId = holderOf(request.params.session, cluster);
		if (cluster === undefined || nodeId === undefined) return;
		// Another node read it as ours, which no node of this version does.
		if (forwardingOf(request.raw) !== undefined) throw notFound();
		await cluster.forward(request, reply, nodeId);
	});

	app.patch(
		'/v1/sessions/:session',
		{
			config: { expiredTokenOk: true },
			schema: {
				operationId: 'patchSession',
				summary: 'Trickle ICE candidates, or restart ICE',
				description: 'If-Match is optional: without it, or with `*`, the session is changed whatever its version.',
				tags: ['media'],
				consumes: [FRAGMENT_TYPE],
				params: SessionParams,
				querystring: NoQuery,
				headers: Type.Object({ 'if-match': Type.Optional(Type.String({ maxLength: 200 })) }),
				body: FRAGMENT_BODY,
				response: {
					200: media(FRAGMENT_TYPE, 'ICE was restarted: the server’s new credentials and candidates', { etag: Type.String() }),
					204: empty('Candidates taken'),
					...problems(
						'token_invalid', 'session_not_found', 'precondition_failed', 'invalid_fragment', 'payload_too_large',
						'unsupported_media_type', 'media_unavailable', 'peer_unreachable',
					),
				},
			},
		},
		async (request, reply) => {
			const sessionId = request.params.session;
			const { etag, fragment } = await deps.media.patchSession(sessionId, String(request.body), expectedEtag(request.headers));
			if (fragment === undefined) return reply.code(204).send();
			return reply.code(200).header('content-type', FRAGMENT_TYPE).header('etag', quoteEtag(etag)).header('cache-control', 'no-store').send(fragment);
		},
	);

	app.delete(
		'/v1/sessions/:session',
		{
			config: { expiredTokenOk: true },
			schema: {
				operationId: 'endSession',
				summary: 'Leave',
				tags: ['media'],
				params: SessionParams,
				querystring: NoQuery,
				response: { 200: empty('Ended'), ...problems('token_invalid', 'session_not_found', 'media_unavailable', 'peer_unreachable') },
			},
		},
		async (request, reply) => {
			await deps.media.closeSession(request.params.session);
			return reply.code(200).send();
		},
	);
}

/**
 * The node that holds a session, when it is another one than this.
 *
 * @throws DomainError `session_not_found` for what is no session of ours, which spares the media servers the question,
 * and for sessions of nodes that are gone: they took them along
 */
function holderOf(sessionId: string, cluster: AppCluster | undefined): string | undefined {
	const address = parseSessionId(sessionId);
	if (address === undefined) throw notFound();
	const { nodeId } = address;
	if (cluster === undefined || nodeId === undefined || nodeId === cluster.view.nodeId) return undefined;
	if (cluster.view.node(nodeId) === undefined) throw notFound();
	return nodeId;
}

const notFound = () => new DomainError('session_not_found', 'There is no such session');
