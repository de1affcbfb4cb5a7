import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { WebhookAdmin } from '../../webhooks/webhook-admin.ts';
import {
	DeliveryList, DeliveryParams, DeliveryQuery, NewWebhook, RotatedSecret, SecretRotation, SentTest, WebhookList, WebhookParams, WebhookPatch, WebhookWithSecret,
} from '../../webhooks/webhook-schemas.ts';
import { requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, NoBody, NoQuery, problems, TOKEN_PROBLEMS } from '../schemas.ts';

const WEBHOOK_PROBLEMS = [...TOKEN_PROBLEMS, 'webhook_not_found', 'shutting_down'] as const;
const BODY_PROBLEMS = ['payload_too_large', 'unsupported_media_type'] as const;

/** Who is told of events, and what became of each message. */
export function registerWebhookRoutes(instance: FastifyInstance, _context: RouteContext, webhooks: WebhookAdmin): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const tags = ['webhooks'];
	const Webhook = Type.Ref('Webhook');

	app.get(
		'/v1/admin/webhooks',
		{ schema: { operationId: 'listWebhooks', summary: 'Who is told of events', tags, querystring: NoQuery, response: { 200: { ...WebhookList, description: 'All' }, ...problems(...TOKEN_PROBLEMS, 'shutting_down') } } },
		async (request) => {
			requirePermission(request, 'admin:operate');
			return { webhooks: [...webhooks.all] };
		},
	);

	app.post(
		'/v1/admin/webhooks',
		{
			schema: {
				operationId: 'createWebhook',
				summary: 'Tell a program of events',
				description:
					'Messages are signed and retried as Standard Webhooks says (`webhook-id`, `webhook-timestamp`, `webhook-signature`); each comes at least once, so a receiver ' +
					'remembers the ids it has seen. Redirects are not followed, and private addresses are not reached unless the configuration allows it.',
				tags,
				querystring: NoQuery,
				body: NewWebhook,
				response: { 201: { ...WebhookWithSecret, description: 'Made; the secret is shown this once' }, ...problems(...TOKEN_PROBLEMS, ...BODY_PROBLEMS, 'shutting_down') },
			},
		},
		async (request, reply) => {
			const principal = requirePermission(request, 'admin:operate');
			const made = await webhooks.create(request.body, principal.subject);
			request.audited = { target: made.id };
			return reply.code(201).header('cache-control', 'no-store').send(made);
		},
	);

	app.patch(
		'/v1/admin/webhooks/:webhook',
		{
			schema: {
				operationId: 'changeWebhook',
				summary: 'Change where it is, what it is told, or whether',
				tags,
				params: WebhookParams,
				querystring: NoQuery,
				body: WebhookPatch,
				response: { 200: { ...Webhook, description: 'As it is now' }, ...problems(...WEBHOOK_PROBLEMS, ...BODY_PROBLEMS) },
			},
		},
		async (request) => {
			requirePermission(request, 'admin:operate');
			return await webhooks.change(request.params.webhook, request.body);
		},
	);

	app.delete(
		'/v1/admin/webhooks/:webhook',
		{
			schema: {
				operationId: 'removeWebhook',
				summary: 'Tell it nothing more, not even what waits',
				tags,
				params: WebhookParams,
				querystring: NoQuery,
				response: { 204: empty('Removed'), ...problems(...WEBHOOK_PROBLEMS) },
			},
		},
		async (request, reply) => {
			requirePermission(request, 'admin:operate');
			await webhooks.remove(request.params.webhook);
			return reply.code(204).send();
		},
	);

	app.post(
		'/v1/admin/webhooks/:webhook/secret',
		{
			schema: {
				operationId: 'rotateWebhookSecret',
				summary: 'Sign with a new secret from now on; for a while with the old one, too',
				description: 'While both sign, `webhook-signature` holds a signature of each, as Standard Webhooks says; a receiver accepts whichever it knows.',
				tags,
				params: WebhookParams,
				querystring: NoQuery,
				body: SecretRotation,
				response: { 200: { ...RotatedSecret, description: 'The new secret, shown this once' }, ...problems(...WEBHOOK_PROBLEMS, ...BODY_PROBLEMS) },
			},
		},
		async (request, reply) => {
			requirePermission(request, 'admin:operate');
			return reply.header('cache-control', 'no-store').send(await webhooks.rotate(request.params.webhook, request.body?.overlapSeconds));
		},
	);

	app.post(
		'/v1/admin/webhooks/:webhook/test',
		{
			schema: {
				operationId: 'testWebhook',
				summary: 'Send it a message of type `webhook.test`',
				tags,
				params: WebhookParams,
				querystring: NoQuery,
				body: NoBody,
				response: { 202: { ...SentTest, description: 'On its way; its delivery says what became of it' }, ...problems(...WEBHOOK_PROBLEMS, ...BODY_PROBLEMS) },
			},
		},
		async (request, reply) => {
			requirePermission(request, 'admin:operate');
			return reply.code(202).send(webhooks.test(request.params.webhook));
		},
	);

	app.get(
		'/v1/admin/webhooks/:webhook/deliveries',
		{
			schema: {
				operationId: 'listWebhookDeliveries',
				summary: 'What it was sent, the newest first, and what became of it',
				description: 'Of all nodes. Delivered messages are kept for 7 days, those that were given up for 30.',
				tags,
				params: WebhookParams,
				querystring: DeliveryQuery,
				response: { 200: { ...DeliveryList, description: 'One page' }, ...problems(...WEBHOOK_PROBLEMS) },
			},
		},
		async (request) => {
			requirePermission(request, 'admin:operate');
			const { next, ...page } = await webhooks.deliveries({ webhook: request.params.webhook, ...request.query });
			return { ...page, ...(next === undefined ? {} : { next }) };
		},
	);

	app.post(
		'/v1/admin/webhooks/:webhook/deliveries/:delivery/retry',
		{
			schema: {
				operationId: 'retryWebhookDelivery',
				summary: 'Try a delivery again now, whatever became of it',
				tags,
				params: DeliveryParams,
				querystring: NoQuery,
				body: NoBody,
				response: { 202: { ...Type.Ref('WebhookDelivery'), description: 'Waiting for its turn' }, ...problems(...WEBHOOK_PROBLEMS, ...BODY_PROBLEMS, 'peer_unreachable') },
			},
		},
		async (request, reply) => {
			requirePermission(request, 'admin:operate');
			return reply.code(202).send(await webhooks.retry(request.params.webhook, request.params.delivery));
		},
	);
}
