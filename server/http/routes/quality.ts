import { isIPv6 } from 'node:net';
import rateLimit from '@fastify/rate-limit';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { DomainError } from '../../errors.ts';
import type { ListenerQuality } from '../../metrics/listener-quality.ts';
import { requireEntry } from '../plugins/auth.ts';
import { blockListOf, subscriberOf } from '../plugins/join-limits.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const WINDOW_MS = 10_000;
/** Addresses that are remembered at once, the latest: 100 bytes each. */
const REMEMBERED = 20_000;
const MAX_BODY_BYTES = 2_048;
const HOUR_MS = 3_600_000;

/** As few members as can be, and none of which could tell people apart; anything else is refused. */
export const QualityReportBody = Type.Object(
	{
		firstAudioMs: Type.Optional(Type.Integer({ minimum: 0, maximum: HOUR_MS, description: 'Once, in the first report: from the click to the first sound' })),
		firstAudioBy: Type.Optional(Type.Enum(['session', 'overflow'], { description: 'What sounded first' })),
		periodMs: Type.Integer({ minimum: 1, maximum: HOUR_MS, description: 'Of this all other members speak' }),
		packets: Type.Integer({ minimum: 0, maximum: 10_000_000 }),
		lost: Type.Integer({ minimum: 0, maximum: 10_000_000 }),
		jitterMs: Type.Number({ minimum: 0, maximum: 60_000, description: 'The worst voice’s' }),
		samples: Type.Integer({ minimum: 0, maximum: 10_000_000_000, description: 'All voices’' }),
		concealed: Type.Integer({ minimum: 0, maximum: 10_000_000_000, description: 'Made up by the player, and not silent' }),
		gapsMs: Type.Array(Type.Integer({ minimum: 0, maximum: HOUR_MS }), { maxItems: 20, description: 'Silences until packets came again' }),
	},
	{ additionalProperties: false },
);

/**
 * A few listeners tell how they hear: those who drew it by the rate that the answer to their offer names (`Link`,
 * `rel="quality"`). Any node takes it, for it ends in that node's histograms and nowhere else.
 */
export async function registerQualityRoutes(instance: FastifyInstance, { deps, bans }: RouteContext, quality: ListenerQuality): Promise<void> {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	if (!app.hasDecorator('createRateLimit')) await app.register(rateLimit, { global: false });
	const windows = { timeWindow: WINDOW_MS, cache: REMEMBERED };
	const limit = app.createRateLimit({ ...windows, max: quality.reportsPerAddress, keyGenerator: ({ ip }) => subscriberOf(ip) });
	const unlimited = blockListOf(deps.config.admission?.unlimitedAddresses ?? []);

	/** Before the body is read: who sends too many shall cost nothing. */
	const onRequest = async (request: FastifyRequest): Promise<void> => {
		if (unlimited.check(request.ip, isIPv6(request.ip) ? 'ipv6' : 'ipv4')) return;
		const result = await limit(request);
		if (result.isAllowed || !result.isExceeded) return;
		quality.refuse();
		throw new DomainError('too_many_requests', 'This address sends more reports in ten seconds than it may', { retryAfterSeconds: Math.max(1, result.ttl / 1000) });
	};

	app.post(
		'/v1/rooms/:room/quality',
		{
			onRequest,
			bodyLimit: MAX_BODY_BYTES,
			schema: {
				operationId: 'reportQuality',
				summary: 'Tell how a listener hears',
				description: 'For clients that drew it by the `rate` of the `Link` with `rel="quality"` in the answer to their offer. Added to histograms, never kept by itself.',
				tags: ['media'],
				params: RoomParams,
				querystring: NoQuery,
				body: QualityReportBody,
				response: { 204: empty('Taken'), ...problems(...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'payload_too_large', 'unsupported_media_type', 'too_many_requests', 'shutting_down') },
			},
		},
		async (request, reply) => {
			const entry = requireEntry(request, deps.rooms.require(request.params.room), 'room:listen', bans);
			if (entry !== undefined) await entry;
			quality.take(request.body);
			return reply.code(204).send();
		},
	);
}
