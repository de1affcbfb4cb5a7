import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import { shownSession } from '../../../sfu/contract/session-id.ts';

/** A caller's own id is kept when it is harmless in a log line; otherwise one is made. */
const CALLERS_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** @param prefix unguessable and unique to this process, so that ids do not repeat after a restart */
export function makeRequestIds(prefix: string): (request: IncomingMessage) => string {
	let count = 0;
	return (request) => {
		const given = request.headers['x-request-id'];
		return typeof given === 'string' && CALLERS_ID.test(given) ? given : `${prefix}-${(++count).toString(36)}`;
	};
}

/** Query members whose values may stand in a log; a token could hide behind any other, spelt with percent signs. */
const PLAIN_QUERY = new Set(['packing', 'limit', 'after', 'state', 'lastEventId', 'wait', 'version']);

/** What a whole audience does: state changes, but at debug, for half a million lines help nobody. */
const AUDIENCE_ROUTES = new Set(
	['listen', 'quality', 'reactions', 'hand', 'invitation', 'guests'].map((name) => `/v1/rooms/:room/${name}`).concat('/v1/sessions/:session'),
);

/**
 * The path and query as they may be logged: values of unknown query members are left out, and of a session's id
 * only the beginning stays.
 */
export function loggableUrl(url: string): string {
	const [path = '', ...rest] = url.split('?');
	const shown = path.slice(0, 300).replace(/(\/sessions\/)([^/]*)/i, (_all, before: string, id: string) => `${before}${shownSession(id) ?? id.slice(0, 8)}…`);
	if (rest.length === 0) return shown;
	const members = rest.join('?').split(/[&;?]/).slice(0, 10);
	return `${shown}?${members
		.map((member) => {
			const end = member.indexOf('=');
			const name = end === -1 ? member : member.slice(0, end);
			if (PLAIN_QUERY.has(name)) return member.slice(0, 100);
			return end === -1 ? '[redacted]' : `${name.slice(0, 40)}=[redacted]`;
		})
		.join('&')}`;
}

/**
 * One line a request, when it is done: state changes and refusals at info, our own failures at error, and what the
 * many do at debug. Headers, bodies and addresses are never logged.
 */
export function registerRequestLog(app: FastifyInstance): void {
	app.addHook('onRequest', (request, reply, done) => {
		void reply.header('x-request-id', request.id);
		done();
	});
	app.addHook('onResponse', (request, reply, done) => {
		const level = levelOf(request, reply.statusCode);
		// What the many do is not even put together where nobody reads it.
		if (!isRead(request.log, level)) {
			done();
			return;
		}
		request.log[level](
			{
				method: request.method,
				url: loggableUrl(request.url),
				route: request.routeOptions.url ?? null,
				room: roomOf(request),
				session: sessionOf(request, reply),
				by: request.principal?.subject,
				status: reply.statusCode,
				durationMs: Math.round(reply.elapsedTime * 10) / 10,
			},
			'request done',
		);
		done();
	});
}

/** Fastify's type of a logger knows less than pino's. */
const isRead = (log: FastifyBaseLogger & Partial<Pick<Logger, 'isLevelEnabled'>>, level: string): boolean => log.isLevelEnabled?.(level) ?? log.level !== 'silent';

function levelOf(request: FastifyRequest, status: number): 'debug' | 'info' | 'error' {
	if (status >= 500 && status !== 503) return 'error';
	const route = request.routeOptions.url;
	if (route === undefined || request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS') return 'debug';
	return AUDIENCE_ROUTES.has(route) ? 'debug' : 'info';
}

/** The session that a request is about, or has made. */
function sessionOf({ params }: FastifyRequest, reply: FastifyReply): string | undefined {
	const made = reply.statusCode === 201 ? reply.getHeader('location') : undefined;
	const id = typeof made === 'string' ? made.slice(made.lastIndexOf('/') + 1) : textOf(params, 'session');
	return id === undefined ? undefined : shownSession(id);
}

const roomOf = ({ params }: FastifyRequest): string | undefined => textOf(params, 'room');

function textOf(params: unknown, name: string): string | undefined {
	const value: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, name) : undefined;
	return typeof value === 'string' ? value : undefined;
}
