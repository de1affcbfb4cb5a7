import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { FleetCapacityNow } from '../../capacity/capacity-schemas.ts';
import { requirePermission } from '../plugins/auth.ts';
import { NoQuery, problems, TOKEN_PROBLEMS } from '../schemas.ts';

/** Live figures of what the fleet holds. */
export function registerCapacityRoutes(instance: FastifyInstance, fleet: () => FleetCapacityNow): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	app.get(
		'/v1/admin/capacity',
		{
			schema: {
				operationId: 'readCapacity',
				summary: 'What the fleet holds and admits, and how much of it is free',
				description:
					'Of all living nodes, from memory, up to a second old. Capacity is that of the capacity rule (processors at most 70 % busy, memory, configured caps) at ' +
					'what a calibration measured. `headroom.ratio` is what an autoscaler goes by; each node tells its own as the metric `rostrum_headroom_ratio`.',
				tags: ['operations'],
				querystring: NoQuery,
				response: { 200: { ...FleetCapacityNow, description: 'The fleet, and each node' }, ...problems(...TOKEN_PROBLEMS, 'shutting_down') },
			},
		},
		async (request) => {
			requirePermission(request, 'admin:operate');
			return fleet();
		},
	);
}
