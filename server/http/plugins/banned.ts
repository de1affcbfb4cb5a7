import type { FastifyInstance } from 'fastify';
import type { BanList } from '../ban-list.ts';
import { requireUnbanned } from './auth.ts';

/**
 * Refuses every request about a room, of whatever kind, that comes with a token of somebody who is banned from it: what
 * a route forgets to ask is asked here. Requests without a token, and those of admins, wait for nothing.
 *
 * @throws DomainError `banned`
 */
export function registerBanned(app: FastifyInstance, bans: BanList): void {
	app.addHook('preHandler', async ({ principal, params }) => {
		const roomId = principal?.roomId;
		if (principal === null || roomId === undefined || roomOf(params) !== roomId) return;
		await requireUnbanned(principal, roomId, bans);
	});
}

function roomOf(params: unknown): string | undefined {
	return typeof params === 'object' && params !== null && 'room' in params && typeof params.room === 'string' ? params.room : undefined;
}
