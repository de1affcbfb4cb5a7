import websocket from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import type { TokenVerifier } from '../../auth/token-verifier.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { stageAct } from '../audit/stage-acts.ts';
import type { Opened } from '../cluster/peers/socket-relays.ts';
import { DomainError } from '../errors.ts';
import type { AppCluster, AppDeps } from '../http/deps.ts';
import { homeAnswers, homeElsewhere } from '../http/plugins/at-home.ts';
import { registerAuth, requirePermission } from '../http/plugins/auth.ts';
import { clientOf } from '../http/client-address.ts';
import { passBack } from '../http/plugins/forward.ts';
import type { SessionOwners } from '../sessions/session-owners.ts';
import { type IceServer, MAX_FRAME_BYTES, STAGE_SUBPROTOCOL } from './protocol.ts';
import { encodeEvent, STAGE_ENDINGS } from './stage-connection.ts';
import { StageSession, type StageSessionOptions, type StageSocketLimits } from './stage-session.ts';
import type { StageService } from './stage-service.ts';

export interface StageSocketDeps extends Pick<StageSessionOptions, 'media' | 'now' | 'schedule' | 'log'> {
	stages: StageSessionOptions['stages'] & Pick<StageService, 'admit'>;
	verifier: Pick<TokenVerifier, 'verify'>;
	/** STUN and TURN servers for this person; TURN credentials are made per subject. */
	iceServers: (subject: string) => Static<typeof IceServer>[];
	/** As many as can be on stage: a client consumes each of them at once after the media server came back. */
	maxStageSize: number;
	limits?: Partial<StageSocketLimits>;
	/** Ends sockets of tokens that do not count any more; absent: none are. */
	owners?: Pick<SessionOwners, 'add'>;
	/** Absent: no act is written down. */
	audit?: Pick<AuditLog, 'record'>;
	/** The other nodes, one of which may be the home of the room; absent for a node that is alone. */
	atHome?: { cluster: AppCluster; rooms: Pick<AppDeps['rooms'], 'get'> };
}

const MIN_FRAMES_PER_SECOND = 200;

/**
 * `GET /v1/rooms/:room/stage`: the WebSocket of speakers and hosts.
 *
 * Refusals that can be known before (token, role, ban, room) are answered to the handshake itself, as an RFC 9457
 * problem with its HTTP status, so that nothing is upgraded for those who may not come. Scripts in a page cannot see
 * that answer (they see close code 1006): a page that wants the reason sends the same GET without `Upgrade`, which
 * passes through the same checks and, if they all pass, is told that this is a WebSocket (400 `invalid_request`).
 * A token is looked at when the socket opens; one that expires later ends nothing, but cannot reconnect.
 *
 * A stage is at its room's home. A socket that comes to another node is opened there first, with the same handshake,
 * and then joined with the client's: whoever is on stage need not know where it is.
 *
 * Register on the application itself and before other routes: upgrades to every other path must end there too.
 */
export async function registerStageSocket(app: FastifyInstance, deps: StageSocketDeps): Promise<void> {
	const { stages, media, now, schedule, log, iceServers, atHome, owners, audit } = deps;
	const limits: StageSocketLimits = {
		framesPerSecond: Math.max(MIN_FRAMES_PER_SECOND, 4 * deps.maxStageSize),
		badFramesPerSecond: 50,
		maxQueuedRequests: 256,
		maxBufferedBytes: 1024 * 1024,
		pingEveryMs: 10_000,
		missedPings: 2,
		closeTimeoutMs: 2_000,
		...deps.limits,
	};
	const sessions = new Set<StageSession>();
	const opened = new WeakMap<FastifyRequest, Extract<Opened, { home: object }>>();
	// Before the plugin's own hook, which would close without a code and a word.
	app.addHook('preClose', async () => {
		for (const session of sessions) session.end('shutting_down');
		const { detail, reconnect } = STAGE_ENDINGS.shutting_down;
		atHome?.cluster.sockets.close(encodeEvent('bye', { code: 'shutting_down', detail, reconnect }));
	});
	await app.register(websocket, {
		options: {
			maxPayload: MAX_FRAME_BYTES,
			perMessageDeflate: false,
			handleProtocols: (offered) => (offered.has(STAGE_SUBPROTOCOL) ? STAGE_SUBPROTOCOL : false),
		},
		// Errors of the socket are the session's matter; ws closes those by itself, with the right code.
		errorHandler(error, socket, request) {
			request.log.debug({ err: error }, 'stage socket failed');
			if (socket.readyState === socket.OPEN) socket.terminate();
		},
	});
	await app.register(async (scope) => {
		if (!scope.hasRequestDecorator('principal')) registerAuth(scope, deps);
		scope.route<{ Params: { room: string } }>({
			method: 'GET',
			url: '/v1/rooms/:room/stage',
			config: { queryToken: true, atHome: true },
			async preHandler(request, reply) {
				const { room } = request.params;
				const principal = requirePermission(request, 'stage:join', room);
				const home = atHome && (await homeElsewhere(request, atHome));
				if (!atHome || home === undefined) {
					await stages.admit(principal, room);
					return undefined;
				}
				const { sockets } = atHome.cluster;
				if (!request.ws) return await homeAnswers(() => atHome.cluster.forward(request, reply, home));
				const there = await homeAnswers(() => sockets.open(request, home, offeredProtocols(request)));
				if (there.refusal) return passBack(there.refusal, request, reply);
				opened.set(request, there);
				return undefined;
			},
			handler: async () => {
				throw new DomainError('invalid_request', 'This resource is a WebSocket: open it with wss:// or ws://.');
			},
			wsHandler(socket, request) {
				const { room: roomId } = request.params;
				const there = opened.get(request);
				if (there) {
					atHome?.cluster.sockets.join(socket, there, { roomId });
					return;
				}
				const principal = requirePermission(request, 'stage:join', roomId);
				const actor = { principal, roomId, ip: clientOf(request), requestId: request.id };
				const session = StageSession.open({ socket, principal, roomId, iceServers: iceServers(principal.subject), stages, media, now, schedule, limits, log,
					...(audit && { audit: ({ method, params }, error) => void audit.record(stageAct(actor, method, params, error)) }) });
				sessions.add(session);
				const disown = owners?.add(principal, roomId, (reason) => session.dismiss(reason));
				socket.on('close', () => {
					sessions.delete(session);
					disown?.();
				});
			},
		});
	});
}

/** As `handleProtocols` above chooses: the home must come to the same. */
function offeredProtocols(request: FastifyRequest): string[] {
	const offered = request.headers['sec-websocket-protocol']?.split(',').map((name) => name.trim());
	return offered?.includes(STAGE_SUBPROTOCOL) === true ? [STAGE_SUBPROTOCOL] : [];
}
