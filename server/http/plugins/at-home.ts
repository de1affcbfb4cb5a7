import type { FastifyInstance, FastifyRequest } from 'fastify';
import { forwardingOf } from '../../cluster/peers/forwarded.ts';
import { DomainError } from '../../errors.ts';
import type { AppCluster, AppDeps } from '../deps.ts';

declare module 'fastify' {
	interface FastifyContextConfig {
		/** The request changes the room it names, so the room's home answers it, whichever node it came to. */
		atHome?: boolean;
	}
}

type AtHomeDeps = Pick<AppDeps, 'cluster'> & { rooms: Pick<AppDeps['rooms'], 'get'> };

/** Lets requests that change a room be answered by its home. After validation, so that nothing but good requests travels. */
export function registerAtHome(app: FastifyInstance, { cluster, rooms }: AtHomeDeps): void {
	if (cluster === undefined) return;
	app.addHook('preHandler', async (request, reply) => {
		const home = await homeElsewhere(request, { cluster, rooms });
		if (home !== undefined) await homeAnswers(() => cluster.forward(request, reply, home));
	});
}

/**
 * The node that has to answer, when it is not this one.
 *
 * Requests that will be refused anyhow for what they lack (a token, a room) are refused here; the rest is judged at home.
 *
 * @throws DomainError `not_home` when another node took this one for the home; `home_unavailable`
 */
export async function homeElsewhere(request: FastifyRequest, { cluster, rooms }: { cluster: Pick<AppCluster, 'view' | 'homes'>; rooms: AtHomeDeps['rooms'] }): Promise<string | undefined> {
	if (request.routeOptions.config.atHome !== true) return undefined;
	const roomId = roomOf(request);
	const { principal } = request;
	const foreign = principal === null || (principal.roomId !== undefined && principal.roomId !== roomId);
	if (roomId === undefined || foreign || rooms.get(roomId) === undefined) return undefined;
	const { nodeId } = await cluster.homes.ensure(roomId).catch((error: unknown) => {
		throw again(error);
	});
	if (nodeId === cluster.view.nodeId) return undefined;
	// It knows better by now where the room lives, or will within a heartbeat. Passing it on again could go in circles. No
	// Retry-After, whose least is a second: a speaker who comes back to a room that moves is silent until then.
	if (forwardingOf(request.raw) !== undefined) throw new DomainError('not_home', 'The room lives on another node now');
	return nodeId;
}

/** A home that does not answer is most likely being replaced at this moment. */
export async function homeAnswers<T>(ask: () => Promise<T>): Promise<T> {
	try {
		return await ask();
	} catch (error) {
		if (error instanceof DomainError && error.code === 'peer_unreachable') {
			throw new DomainError('home_unavailable', 'The node that holds this room does not answer', { cause: error, retryAfterSeconds: 1 });
		}
		throw error;
	}
}

function again(error: unknown): unknown {
	if (!(error instanceof DomainError) || error.code !== 'home_unavailable' || error.retryAfterSeconds !== undefined) return error;
	return new DomainError(error.code, error.message, { cause: error, extra: { ...error.extra }, retryAfterSeconds: 1 });
}

function roomOf({ params }: FastifyRequest): string | undefined {
	return typeof params === 'object' && params !== null && 'room' in params && typeof params.room === 'string' ? params.room : undefined;
}
