import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { ShareCards } from '../../web/share/share-cards.ts';
import { shareFacts } from '../../web/share/share-facts.ts';
import { sendCached } from '../conditional.ts';
import { requireEntry } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { CardQuery, empty, media, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

/** Short: going live is to be seen soon. Whoever shares the link brings a version with it, which is another address. */
const MAX_AGE_SECONDS = 60;

/** The picture that a shared link to the room shows. */
export function registerShareCardRoutes(instance: FastifyInstance, { deps, bans }: RouteContext, cards: Pick<ShareCards, 'card'>): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	app.get(
		'/v1/rooms/:room/card.png',
		{
			config: { queryToken: true },
			schema: {
				operationId: 'readShareCard',
				summary: 'The room as a picture for shared links',
				description: '1200 × 630 pixels: title, time in UTC, host and state. A private room needs a token.',
				tags: ['rooms'],
				params: RoomParams,
				querystring: CardQuery,
				response: {
					200: media('image/png', 'The picture', { etag: Type.String(), 'cache-control': Type.String() }),
					304: empty('Not changed'),
					...problems(...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'too_many_requests', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			const room = deps.rooms.require(request.params.room);
			await requireEntry(request, room, 'room:read', bans);
			const facts = shareFacts(room, deps.stages.roster(room.id));
			return sendCached(request, reply, room, {
				etag: `"${room.version}-${ShareCards.tagOf(facts)}"`,
				maxAgeSeconds: MAX_AGE_SECONDS,
				type: 'image/png',
				body: () => cards.card(facts),
			});
		},
	);
}
