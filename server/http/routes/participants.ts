import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, HOME_PROBLEMS, NoBody, NoQuery, ParticipantParams, problems, TOKEN_PROBLEMS } from '../schemas.ts';

const ACTIONS = {
	mute: { operationId: 'muteParticipant', summary: 'Mute somebody; only they can unmute themselves' },
	kick: { operationId: 'kickParticipant', summary: 'Take somebody off the stage; they may come back' },
	ban: { operationId: 'banParticipant', summary: 'Take somebody off the stage and out of the room for good' },
} as const;

/** What hosts and co-hosts do to people on stage. */
export function registerParticipantRoutes(instance: FastifyInstance, { deps, bans }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const { stages } = deps;
	for (const action of ['mute', 'kick', 'ban'] as const) {
		app.post(
			`/v1/rooms/:room/participants/:participant/${action}`,
			{
				config: { atHome: true },
				schema: {
					...ACTIONS[action],
					description: 'Hosts, co-hosts and admins; a co-host has no power over a host.',
					tags: ['stage'],
					params: ParticipantParams,
					querystring: NoQuery,
					body: NoBody,
					response: {
						204: empty('Done'),
						...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'room_not_found', 'participant_not_found', 'unsupported_media_type', 'media_unavailable', 'shutting_down'),
					},
				},
			},
			async (request, reply) => {
				const { room: roomId, participant } = request.params;
				const actor = requirePermission(request, 'stage:moderate', roomId);
				deps.rooms.require(roomId);
				if (action === 'mute') await stages.muteOther(actor, roomId, participant);
				else if (action === 'kick') await stages.kick(actor, roomId, participant);
				else {
					await stages.ban(actor, roomId, participant);
					bans.forget(roomId);
				}
				return reply.code(204).send();
			},
		);
	}
}
