import { type FastifyInstance, fastify, LogController } from 'fastify';
import { BanList } from './http/ban-list.ts';
import type { AppDeps } from './http/deps.ts';
import { Links } from './http/links.ts';
import { registerAtHome } from './http/plugins/at-home.ts';
import { registerAudit } from './http/plugins/audit.ts';
import { registerAuth } from './http/plugins/auth.ts';
import { registerBanned } from './http/plugins/banned.ts';
import { takeJson, takeText } from './http/plugins/bodies.ts';
import { registerCors } from './http/plugins/cors.ts';
import { registerEntityTags } from './http/plugins/entity-tags.ts';
import { registerJoinLimits } from './http/plugins/join-limits.ts';
import { registerDocs, registerOpenApi } from './http/plugins/openapi.ts';
import { refuseBrokenHttp, registerProblems, sendFrameworkProblem } from './http/plugins/problems.ts';
import { refuseWhenEnding } from './http/plugins/refuse-when-ending.ts';
import { makeRequestIds, registerRequestLog } from './http/plugins/request-log.ts';
import { registerJoinMetrics, registerRequestMetrics } from './http/plugins/request-metrics.ts';
import { registerSecurityHeaders } from './http/plugins/security-headers.ts';
import { registerValidation } from './http/plugins/validation.ts';
import { registerAudienceRoutes } from './http/routes/audience.ts';
import { registerBanRoutes } from './http/routes/bans.ts';
import { registerAuditRoutes } from './http/routes/audit.ts';
import { registerCalendarRoutes } from './http/routes/calendar.ts';
import { registerCapacityRoutes } from './http/routes/capacity.ts';
import { registerEventRoutes } from './http/routes/events.ts';
import { registerGuestRoutes } from './http/routes/guests.ts';
import { registerHandRoutes } from './http/routes/hands.ts';
import { registerHlsRoutes } from './http/routes/hls.ts';
import { registerKeyRoutes } from './http/routes/keys.ts';
import { registerListenRoutes } from './http/routes/listen.ts';
import { registerNodeRoutes } from './http/routes/nodes.ts';
import { registerOperationRoutes } from './http/routes/operations.ts';
import { registerParticipantRoutes } from './http/routes/participants.ts';
import { registerPreflightRoutes } from './http/routes/preflight.ts';
import { registerPublishRoutes } from './http/routes/publish.ts';
import { registerQualityRoutes } from './http/routes/quality.ts';
import { registerRecordingRoutes } from './http/routes/recordings.ts';
import { registerReportRoutes } from './http/routes/reports.ts';
import { registerRevocationRoutes } from './http/routes/revocations.ts';
import { registerRoomStateRoutes } from './http/routes/room-state.ts';
import { registerRoomRoutes } from './http/routes/rooms.ts';
import { registerSessionRoutes } from './http/routes/sessions.ts';
import { registerShareCardRoutes } from './http/routes/share-card.ts';
import { registerStageRoutes } from './http/routes/stage.ts';
import { registerTokenRoutes } from './http/routes/tokens.ts';
import { registerWebhookRoutes } from './http/routes/webhooks.ts';
import type { RouteContext } from './http/route-context.ts';
import { registerRequestSpans } from './tracing/request-spans.ts';
import { FRAGMENT_TYPE, MAX_SDP_BYTES, SDP_TYPE } from './http/session-http.ts';

export type { AppDeps } from './http/deps.ts';

export const API_VERSION = '1.0.0';

/** A request line and its headers must be there within this time, a body too: slow senders hold no socket for long. */
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * The HTTP side of the node, complete but not listening.
 *
 * @param deps what the composition root has made; nothing is looked up elsewhere
 */
export async function buildApp(deps: AppDeps): Promise<FastifyInstance> {
	const { config, log } = deps;
	const app = fastify({
		loggerInstance: log,
		// `request-log` writes the one line there is, without tokens and addresses.
		logController: new LogController({ disableRequestLogging: true }),
		requestIdHeader: false,
		genReqId: makeRequestIds(deps.randomId().slice(0, 12)),
		trustProxy: Array.isArray(config.http.trustProxy) ? [...config.http.trustProxy] : config.http.trustProxy === true,
		bodyLimit: config.http.bodyLimitBytes,
		requestTimeout: REQUEST_TIMEOUT_MS,
		onProtoPoisoning: 'error',
		onConstructorPoisoning: 'error',
		// Who may still be served while closing, `refuseWhenEnding` decides.
		return503OnClosing: false,
		frameworkErrors: sendFrameworkProblem,
		clientErrorHandler: refuseBrokenHttp,
	});

	// Each route's own parsers only: what a resource does not take is 415.
	app.removeAllContentTypeParsers();
	registerProblems(app);
	registerValidation(app);
	if (config.tracing?.endpoint !== undefined) registerRequestSpans(app, config.tracing.continueIncoming);
	registerRequestLog(app);
	registerRequestMetrics(app, deps.metrics);
	registerSecurityHeaders(app);
	await registerCors(app, config.http, deps.cluster);
	await registerOpenApi(app, API_VERSION);
	// Before the routes: upgrades to any of their paths end there.
	await deps.stageSocket?.(app);
	await registerDocs(app);

	const limitJoin = await registerJoinLimits(app, config.admission, Math.random);
	const context: RouteContext = {
		...(limitJoin && { limitJoin }),
		deps,
		links: new Links(deps.publicUrl),
		bans: deps.bans ?? new BanList(deps.store, deps.now, (err, roomId) => log.warn({ err, room: roomId }, 'bans could not be read')),
	};
	registerOperationRoutes(app, context);
	await app.register(async (api) => registerApi(api, context));
	await deps.pages?.(app);
	return app;
}

/** Everything below /v1, in scopes that differ in what bodies they take. */
async function registerApi(api: FastifyInstance, context: RouteContext): Promise<void> {
	const { readiness, metrics } = context.deps;
	registerAuth(api, context.deps);
	registerAudit(api, context.deps.audit);
	registerBanned(api, context.bans);
	registerAtHome(api, context.deps);
	await api.register(async (json) => {
		refuseWhenEnding(json, readiness);
		takeJson(json);
		registerEntityTags(json);
		registerRoomRoutes(json, context);
		registerRoomStateRoutes(json, context);
		registerTokenRoutes(json, context);
		registerKeyRoutes(json, context);
		if (context.deps.revocations) registerRevocationRoutes(json, context, context.deps.revocations);
		if (context.deps.audit) registerAuditRoutes(json, context, context.deps.audit);
		if (context.deps.webhooks) registerWebhookRoutes(json, context, context.deps.webhooks);
		if (context.deps.clusterAdmin) registerNodeRoutes(json, context, context.deps.clusterAdmin);
		if (context.deps.capacity) registerCapacityRoutes(json, context.deps.capacity);
		if (context.deps.preflight) registerPreflightRoutes(json, context, context.deps.preflight);
		registerParticipantRoutes(json, context);
		registerHandRoutes(json, context);
		registerBanRoutes(json, context);
		registerStageRoutes(json, context);
		registerEventRoutes(json, context);
		registerCalendarRoutes(json, context);
		if (context.deps.audience) {
			registerGuestRoutes(json, context, context.deps.audience);
			registerAudienceRoutes(json, context, context.deps.audience);
			registerReportRoutes(json, context, context.deps.audience);
		}
		if (context.deps.shareCards) registerShareCardRoutes(json, context, context.deps.shareCards);
		if (context.deps.overflow) registerHlsRoutes(json, context, context.deps.overflow);
	});
	const { recordings } = context.deps;
	if (recordings) {
		await api.register(async (scope) => {
			refuseWhenEnding(scope, readiness);
			takeJson(scope);
			await registerRecordingRoutes(scope, context, recordings);
		});
	}
	const { quality } = metrics;
	if (quality) {
		await api.register(async (reports) => {
			refuseWhenEnding(reports, readiness);
			takeJson(reports);
			await registerQualityRoutes(reports, context, quality);
		});
	}
	await api.register(async (offers) => {
		refuseWhenEnding(offers, readiness);
		takeText(offers, SDP_TYPE, MAX_SDP_BYTES);
		registerJoinMetrics(offers, metrics);
		registerListenRoutes(offers, context);
		registerPublishRoutes(offers, context);
	});
	await api.register(async (sessions) => {
		takeText(sessions, FRAGMENT_TYPE, MAX_SDP_BYTES);
		registerSessionRoutes(sessions, context);
	});
}
