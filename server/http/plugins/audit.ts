import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AuditAct } from '../../audit/audit-entry.ts';
import type { AuditLog } from '../../audit/audit-log.ts';
import { HTTP_ACTS } from '../../audit/http-acts.ts';
import { clientOf } from '../client-address.ts';
import { answeredElsewhere } from './forward.ts';

declare module 'fastify' {
	interface FastifyRequest {
		/** What a route adds to its entry in the audit log. */
		audited: { target?: string; room?: string; detail?: Record<string, unknown> } | null;
	}
	interface FastifyContextConfig {
		/**
		 * The name under which the audit log has this act, `thing.verb`; false: none. Default: what HTTP_ACTS says of its
		 * `operationId`. A route that changes something has one of them; a test looks.
		 */
		audit?: string | false;
	}
}

/** In which parameters of a path the target of an act may stand. */
const TARGETS = ['participant', 'subject', 'recording', 'node', 'kid', 'revocation', 'delivery', 'webhook'];
/** Members of a body that are nobody's business. */
const PRIVATE = /token$|secret|password|sdp|offer|key$|^text$/i;
const MAX_TEXT = 200;
const MAX_MEMBERS = 20;

/** Of an application, by its server: what the audit log has of each route that changes something; undefined: nobody has said. */
export const auditedRoutes = new WeakMap<FastifyInstance['server'], Map<string, string | false | undefined>>();
const CHANGING = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * Writes every privileged act into the audit log before it is answered, by the node that does it. Refusals are written
 * when it is known who was refused; without a token that counts there is nobody to name, and the request log has them.
 */
export function registerAudit(app: FastifyInstance, audit: Pick<AuditLog, 'record'> | undefined): void {
	app.decorateRequest('audited', null);
	const routes = new Map<string, string | false | undefined>();
	auditedRoutes.set(app.server, routes);
	app.addHook('onRoute', (route) => {
		for (const method of [route.method].flat()) if (CHANGING.has(method)) routes.set(`${method} ${route.url}`, actionOf(route));
	});
	if (!audit) return;
	app.addHook('onSend', async (request, reply) => {
		const action = actionOf(request.routeOptions);
		if (typeof action !== 'string' || request.principal === null || answeredElsewhere.has(request)) return;
		await audit.record(actOf(request, action, reply.statusCode, codes.get(request)));
	});
	const codes = new WeakMap<FastifyRequest, string>();
	app.addHook('onError', async (request, _reply, error) => {
		if ('code' in error && typeof error.code === 'string') codes.set(request, error.code);
	});
}

/** The name of an operation in the audit log; false: it has none; undefined: nobody has said. */
export function actionOf({ config, schema }: { config?: { audit?: string | false }; schema?: object | undefined }): string | false | undefined {
	if (config?.audit !== undefined) return config.audit;
	const id = schema !== undefined && 'operationId' in schema ? schema.operationId : undefined;
	return typeof id === 'string' ? HTTP_ACTS[id] : undefined;
}

function actOf(request: FastifyRequest, action: string, status: number, code: string | undefined): AuditAct | undefined {
	const { principal, audited } = request;
	if (principal === null) return undefined;
	const params = recordOf(request.params);
	const target = audited?.target ?? TARGETS.map((name) => params[name]).find((value) => typeof value === 'string');
	const room = audited?.room ?? params['room'];
	const detail = { ...shown(recordOf(request.body)), ...audited?.detail };
	return {
		actor: { subject: principal.subject, role: principal.role, tokenId: principal.tokenId, ...(principal.name === '' ? {} : { name: principal.name }) },
		action,
		...(typeof room === 'string' ? { room: room.slice(0, 128) } : {}),
		...(typeof target === 'string' ? { target: target.slice(0, 512) } : {}),
		...(Object.keys(detail).length === 0 ? {} : { detail }),
		ip: clientOf(request).slice(0, 64),
		via: 'http',
		requestId: request.id,
		outcome: status < 400 ? 'done' : status < 500 ? 'refused' : 'failed',
		...(code === undefined ? {} : { code: code.slice(0, 64) }),
	};
}

/** What was asked for, in short. */
function shown(body: Record<string, unknown>): Record<string, unknown> {
	const detail: Record<string, unknown> = {};
	for (const [name, value] of Object.entries(body).slice(0, MAX_MEMBERS)) {
		if (PRIVATE.test(name)) continue;
		if (typeof value === 'string') detail[name] = value.slice(0, MAX_TEXT);
		else if (value === null || typeof value === 'number' || typeof value === 'boolean') detail[name] = value;
		else if (Array.isArray(value)) detail[name] = value.slice(0, MAX_MEMBERS).map((each) => (typeof each === 'string' ? each.slice(0, MAX_TEXT) : typeof each === 'number' ? each : '…'));
	}
	return detail;
}

function recordOf(value: unknown): Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
