import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { problemsPage } from '../problems-page.ts';
import { ProblemSchema, RoomResource } from '../schemas.ts';
import { WebhookDelivery, WebhookResource } from '../../webhooks/webhook-schemas.ts';

const DESCRIPTION = `Live audio rooms. Listening is WHEP, speaking with an encoder is WHIP; browsers on stage use a WebSocket.

Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problems with a stable \`code\`; all of them are listed at
[/docs/problems](/docs/problems). Tokens go into \`Authorization: Bearer …\`.`;

/** The contract as OpenAPI 3.1, made from the routes' own schemas. Register before the routes. */
export async function registerOpenApi(app: FastifyInstance, version: string): Promise<void> {
	app.addSchema(ProblemSchema);
	app.addSchema(RoomResource);
	app.addSchema(WebhookResource);
	app.addSchema(WebhookDelivery);
	await app.register(swagger, {
		openapi: {
			openapi: '3.1.0',
			info: { title: 'Rostrum', version, description: DESCRIPTION, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
			tags: [
				{ name: 'rooms', description: 'Rooms and their state' },
				{ name: 'media', description: 'Listening (WHEP), publishing (WHIP) and their sessions' },
				{ name: 'stage', description: 'People on stage' },
				{ name: 'tokens', description: 'Who may do what' },
				{ name: 'audience', description: 'What listeners give back: guests, reactions, reports; captions for them' },
				{ name: 'recordings', description: 'Recording a room, and hearing it again' },
				{ name: 'webhooks', description: 'Telling other programs of events' },
				{ name: 'operations', description: 'Health, metrics' },
			],
			components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
			// Every call may carry a token; which ones must is in the descriptions, for it depends on the room.
			security: [{}, { bearer: [] }],
		},
		refResolver: { buildLocalReference: (json, _base, _fragment, index) => (typeof json['$id'] === 'string' ? json['$id'] : `schema-${index}`) },
		hideUntagged: true,
		// OpenAPI 3.1 is JSON Schema 2020-12, which has `const`.
		convertConstToEnum: false,
	});
}

/** The contract as people and programs read it. */
export async function registerDocs(app: FastifyInstance): Promise<void> {
	await app.register(swaggerUi, {
		routePrefix: '/docs',
		theme: { title: 'Rostrum API' },
		uiConfig: { url: '/openapi.json', docExpansion: 'list', deepLinking: true, tryItOutEnabled: false, validatorUrl: null },
		// Its own style sheet has inline parts; nothing is loaded from anywhere else.
		staticCSP: "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; frame-ancestors 'none'",
	});
	let document: string | undefined;
	app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
		// Routes cannot be added once the server is ready, so the first answer is every answer.
		document ??= JSON.stringify(app.swagger());
		return reply.type('application/json').send(document);
	});
	const page = problemsPage();
	app.get('/docs/problems', { schema: { hide: true } }, (_request, reply) =>
		reply.type('text/html; charset=utf-8').header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'").send(page),
	);
}
