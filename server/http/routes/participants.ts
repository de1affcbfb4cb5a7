import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import type { Principal } from '../../../auth/claims.ts';
import type { DomainErrorCode } from '../../errors.ts';
import { requireToken } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, HOME_PROBLEMS, NoBody, NoQuery, ParticipantParams, problems, TOKEN_PROBLEMS } from '../schemas.ts';

const strict = { additionalProperties: false } as const;
const Promotion = Type.Union([Type.Null(), Type.Object({ role: Type.Optional(Type.Enum(['speaker', 'cohost', 'host'])) }, strict)]);
const Demotion = Type.Union([Type.Null(), Type.Object({ role: Type.Optional(Type.Enum(['speaker', 'listener'])) }, strict)]);

const PEOPLE_PROBLEMS = [
	...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'banned', 'room_not_found', 'participant_not_found', 'payload_too_large', 'unsupported_media_type', 'media_unavailable', 'shutting_down',
] as const satisfies DomainErrorCode[];

/** What hosts and co-hosts do to people on stage and to those who want to be there. */
export function registerParticipantRoutes(instance: FastifyInstance, { deps, bans }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const { people } = deps.stages;
	/** The role that the stage gives counts, which only the room's home knows for certain: it is looked at there. */
	const actorIn = (request: FastifyRequest, roomId: string): Principal => {
		const actor = requireToken(request, roomId);
		deps.rooms.require(roomId);
		return actor;
	};
	const path = (action: string) => `/v1/rooms/:room/participants/:participant/${action}` as const;
	const described = <B extends TSchema>(operationId: string, summary: string, body: B, ...codes: DomainErrorCode[]) => ({
		operationId,
		summary,
		description: 'Hosts, co-hosts and admins, by the role they have on this stage; a co-host has no power over a host.',
		tags: ['stage'],
		params: ParticipantParams,
		querystring: NoQuery,
		body,
		response: { 204: empty('Done'), ...problems(...PEOPLE_PROBLEMS, ...codes) },
	});

	app.post(
		path('invite'),
		{
			config: { atHome: true },
			schema: described('inviteParticipant', 'Ask somebody in the audience onto the stage; they accept or decline', NoBody, 'already_on_stage', 'stage_locked', 'stage_full', 'hands_full'),
		},
		async (request, reply) => {
			const { room, participant } = request.params;
			await people.invite(actorIn(request, room), room, participant);
			return reply.code(204).send();
		},
	);
	app.post(
		path('lower'),
		{ config: { atHome: true }, schema: described('lowerParticipantHand', 'Lower somebody’s hand, or take an invitation back', NoBody) },
		async (request, reply) => {
			const { room, participant } = request.params;
			await people.lowerHand(actorIn(request, room), room, participant);
			return reply.code(204).send();
		},
	);
	app.post(
		path('promote'),
		{
			config: { atHome: true },
			schema: described('promoteParticipant', 'Bring a raised hand on stage; make a speaker a co-host; hand over as host (`role: host`)', Promotion, 'stage_locked', 'stage_full'),
		},
		async (request, reply) => {
			const { room, participant } = request.params;
			await people.promote(actorIn(request, room), room, participant, request.body?.role);
			return reply.code(204).send();
		},
	);
	app.post(
		path('demote'),
		{
			config: { atHome: true },
			schema: described('demoteParticipant', 'One step down, or to `role`: co-host, speaker, listener; holds until somebody brings them up again', Demotion),
		},
		async (request, reply) => {
			const { room, participant } = request.params;
			await people.demote(actorIn(request, room), room, participant, request.body?.role);
			return reply.code(204).send();
		},
	);
	app.post(
		path('mute'),
		{ config: { atHome: true }, schema: described('muteParticipant', 'Mute somebody; only they can unmute themselves', NoBody) },
		async (request, reply) => {
			const { room, participant } = request.params;
			await people.mute(actorIn(request, room), room, participant);
			return reply.code(204).send();
		},
	);
	app.post(
		path('unmute'),
		{
			config: { atHome: true },
			schema: described('unmuteParticipant', 'Ask somebody to unmute, which only they can do; with their own token it is done', NoBody, 'not_reachable'),
		},
		async (request, reply) => {
			const { room, participant } = request.params;
			await people.unmute(actorIn(request, room), room, participant);
			return reply.code(204).send();
		},
	);
	app.post(
		path('kick'),
		{ config: { atHome: true }, schema: described('kickParticipant', 'Take somebody off the stage; whoever was brought there needs to be brought again', NoBody) },
		async (request, reply) => {
			const { room, participant } = request.params;
			await people.kick(actorIn(request, room), room, participant);
			return reply.code(204).send();
		},
	);
	app.post(
		path('ban'),
		{ config: { atHome: true }, schema: described('banParticipant', 'Take somebody off the stage or out of the queue, and out of the room until it is undone', NoBody) },
		async (request, reply) => {
			const { room, participant } = request.params;
			await people.ban(actorIn(request, room), room, participant);
			bans.forget(room);
			return reply.code(204).send();
		},
	);
}
