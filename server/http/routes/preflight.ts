import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Preflight } from '../../preflight/preflight.ts';
import { PreflightReport } from '../../preflight/preflight-report.ts';
import { RoomSettings } from '../../rooms/room.ts';
import { requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const WITHIN_SECONDS = 60;

const NewPreflight = Type.Union([
	Type.Null(),
	Type.Object(
		{
			expectedListeners: RoomSettings.properties.expectedListeners,
			withinSeconds: Type.Optional(
				Type.Integer({ minimum: 1, maximum: 86_400, description: `From the first to the last of them; ${WITHIN_SECONDS} when absent: everybody arrives at once` }),
			),
			calibrate: Type.Optional(
				Type.Boolean({ description: 'Measure what a listener costs on each machine (about 7 s): true: anew; false: not now; absent: where it was not done yet' }),
			),
		},
		{ additionalProperties: false },
	),
]);

/** The look at everything before an event. */
export function registerPreflightRoutes(instance: FastifyInstance, { deps: { rooms } }: RouteContext, preflight: Pick<Preflight, 'run'>): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	app.post(
		'/v1/admin/rooms/:room/preflight',
		{
			schema: {
				operationId: 'runPreflight',
				summary: 'Look at everything before an event: each node at itself and at the others, and whether the fleet is large enough',
				description: 'Takes some seconds. Whatever is found is in the answer: a node that does not answer is a check that failed, and no error. Without a body, the room says how many are expected.',
				tags: ['operations'],
				params: RoomParams,
				querystring: NoQuery,
				body: NewPreflight,
				response: {
					200: { ...PreflightReport, description: 'What was found' },
					...problems(...TOKEN_PROBLEMS, 'room_not_found', 'payload_too_large', 'unsupported_media_type', 'shutting_down'),
				},
			},
		},
		async (request) => {
			const principal = requirePermission(request, 'admin:operate');
			const room = rooms.require(request.params.room);
			const { expectedListeners = room.expectedListeners, withinSeconds = WITHIN_SECONDS, calibrate } = request.body ?? {};
			const report = await preflight.run({ packingMs: room.packingMs, maxListeners: room.maxListeners, expectedListeners, withinSeconds, calibrate });
			const wrong = report.checks.filter(({ status }) => status !== 'ok').map(({ node, check, status }) => `${node} ${check} ${status}`);
			request.log.info({ room: room.id, ready: report.ready, wrong, by: principal.subject }, 'preflight');
			return report;
		},
	);
}
