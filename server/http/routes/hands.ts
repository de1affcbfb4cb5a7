import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Principal } from '../../../auth/claims.ts';
import { HandEntry, HandsPage, MAX_HANDS_PAGE } from '../../stage/protocol.ts';
import type { HandState } from '../../stage/hand-state.ts';
import { requirePermission, requireToken } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { HOME_PROBLEMS, NoQuery, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const strict = { additionalProperties: false } as const;
/** The home's answer must have begun before those who pass it on give up. */
const MAX_WAIT_SECONDS = 6;

const HandResource = Type.Object(
	{
		version: Type.Integer({ minimum: 0, description: 'Another one whenever something here is different' }),
		raised: Type.Boolean(),
		position: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], { description: 'Place in the queue; null while the hand is down' }),
		total: Type.Integer({ minimum: 0, description: 'Raised hands in the room' }),
		invitation: Type.Union([Type.Object({ by: Type.String(), expiresAt: Type.String({ format: 'date-time' }) }, strict), Type.Null()]),
		onStage: Type.Boolean(),
		stage: Type.Union([Type.Object({ token: Type.String(), url: Type.String({ format: 'uri' }) }, strict), Type.Null()], {
			description: 'The way onto the stage, once a host has brought up the hand or the invitation was accepted; good until the stage takes it back',
		}),
	},
	strict,
);
const NewHand = Type.Object({ raised: Type.Boolean() }, strict);
const Answer = Type.Object({ accept: Type.Boolean() }, strict);
const HandQuery = Type.Object(
	{
		wait: Type.Integer({ minimum: 0, maximum: MAX_WAIT_SECONDS, default: 0, description: 'Seconds that the answer may take when nothing is different from `version`' }),
		version: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
	},
	strict,
);
const HandsQuery = Type.Object(
	{ limit: Type.Integer({ minimum: 1, maximum: MAX_HANDS_PAGE, default: 50 }), after: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'Id of the last hand of the page before' })) },
	strict,
);

const HAND_PROBLEMS = [...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'banned', 'room_not_found', 'room_ended', 'too_many_requests', 'shutting_down'] as const;

/** A listener's hand, invitations, and the queue that hosts see. Everything is between one listener and the room's home. */
export function registerHandRoutes(instance: FastifyInstance, { deps, links }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const { people } = deps.stages;
	const tags = ['stage'];

	const listenerIn = (request: FastifyRequest, roomId: string): Principal => {
		const principal = requirePermission(request, 'room:react', roomId);
		deps.rooms.require(roomId);
		return principal;
	};
	const resource = async ({ granted, ...hand }: HandState, { subject, name }: Principal, roomId: string): Promise<Static<typeof HandResource>> => {
		if (!granted) return { ...hand, stage: null };
		const { token } = await deps.issuer.issue({ role: 'speaker', roomId, subject, name, nowSeconds: deps.now() / 1_000 });
		return { ...hand, stage: { token, url: links.pageFor('speaker', roomId, token) } };
	};

	app.post(
		'/v1/rooms/:room/hand',
		{
			config: { atHome: true },
			schema: {
				operationId: 'raiseHand',
				summary: 'Raise or lower one’s hand',
				description: 'Needs a token of the room, whatever its role: `POST /v1/rooms/:room/guests` gives one. Nobody but hosts and co-hosts sees it.',
				tags,
				params: RoomParams,
				querystring: NoQuery,
				body: NewHand,
				response: {
					200: { ...HandResource, description: 'As it is now' },
					...problems(...HAND_PROBLEMS, 'room_not_open', 'already_on_stage', 'hands_full', 'payload_too_large', 'unsupported_media_type'),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const principal = listenerIn(request, roomId);
			const hand = await people.raiseHand(principal, roomId, request.body.raised);
			return reply.header('cache-control', 'no-store').send(await resource(hand, principal, roomId));
		},
	);

	app.get(
		'/v1/rooms/:room/hand',
		{
			config: { atHome: true },
			schema: {
				operationId: 'readHand',
				summary: 'How one’s hand stands',
				description: 'With `wait` and `version`: once something is different, or after that time. A place in the queue alone is told within some seconds.',
				tags,
				params: RoomParams,
				querystring: HandQuery,
				response: { 200: { ...HandResource, description: 'As it is now' }, ...problems(...HAND_PROBLEMS) },
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const principal = listenerIn(request, roomId);
			const { wait, version } = request.query;
			const hand = await people.hand(principal, roomId, { waitMs: wait * 1_000, ...(version !== undefined && { version }) });
			return reply.header('cache-control', 'no-store').send(await resource(hand, principal, roomId));
		},
	);

	app.post(
		'/v1/rooms/:room/invitation',
		{
			config: { atHome: true },
			schema: {
				operationId: 'answerInvitation',
				summary: 'Accept or decline an invitation onto the stage',
				tags,
				params: RoomParams,
				querystring: NoQuery,
				body: Answer,
				response: {
					200: { ...HandResource, description: 'As it is now; `stage` leads there when it was accepted' },
					...problems(...HAND_PROBLEMS, 'not_invited', 'stage_locked', 'stage_full', 'payload_too_large', 'unsupported_media_type'),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const principal = listenerIn(request, roomId);
			const hand = await people.answerInvitation(principal, roomId, request.body.accept);
			return reply.header('cache-control', 'no-store').send(await resource(hand, principal, roomId));
		},
	);

	app.get(
		'/v1/rooms/:room/hands',
		{
			config: { atHome: true },
			schema: {
				operationId: 'listHands',
				summary: 'The queue of raised hands, in order',
				description: 'Hosts, co-hosts and admins, by the role they have on this stage. People who were invited and have no hand up come first.',
				tags,
				params: RoomParams,
				querystring: HandsQuery,
				response: {
					200: { ...Type.Object({ ...HandsPage.properties, hands: Type.Array(HandEntry) }), description: 'One page' },
					...problems(...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'banned', 'room_not_found', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			const actor = requireToken(request, roomId);
			deps.rooms.require(roomId);
			return reply.header('cache-control', 'no-store').send(await people.hands(actor, roomId, request.query));
		},
	);
}
