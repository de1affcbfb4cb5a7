import { createHmac } from 'node:crypto';
import { decodeJwt, SignJWT } from 'jose';
import { AuthError } from './auth-error.ts';
import type { ClusterKeys } from './cluster-keys.ts';
import type { TokenHolder } from './token-holder.ts';
import { verifyJwt } from './verify-jwt.ts';

const AUDIENCE = 'rostrum:hand-off';
const TTL_SECONDS = 30;
const CLOCK_TOLERANCE_SECONDS = 5;
const MAX_TICKET_LENGTH = 1024;
/** Tickets used within their life. One node seats far fewer listeners in 35 s. */
const MAX_REMEMBERED = 250_000;

export type HandOffRefusal = 'malformed' | 'forged' | 'expired' | 'other_room' | 'other_node' | 'used' | 'too_many';

/** Why a ticket was not taken. */
export class HandOffError extends Error {
	readonly reason: HandOffRefusal;

	constructor(reason: HandOffRefusal, message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = 'HandOffError';
		this.reason = reason;
	}
}

export interface HandOffTicketsOptions {
	readonly keys: Pick<ClusterKeys, 'handOff' | 'session'>;
	readonly nodeId: string;
	/** Milliseconds since the epoch. */
	readonly now: () => number;
	/** A fresh unguessable id for each ticket, of at most 64 characters. */
	readonly newId: () => string;
}

/**
 * Sends a listener to another node: a JWT (HS256) for one room, one node, one session and 30 s, good once. It stands
 * for the permission that was checked before, since a browser drops `Authorization` on its way to another origin.
 *
 * A ticket travels in an address, which proxies log. The session's id is a capability, so the ticket does not hold
 * it: both are made of the ticket's own id, one of them with a key that only nodes have.
 */
export class HandOffTickets {
	readonly #options: HandOffTicketsOptions;
	/** Ids of used tickets → when they may be forgotten, in seconds since the epoch; in the order of use. */
	readonly #used = new Map<string, number>();

	constructor(options: HandOffTicketsOptions) {
		this.#options = options;
	}

	/**
	 * @param nodeId the node that shall take the listener
	 * @param holder with whose token the listener came, so that the session can be ended with it
	 */
	issue(roomId: string, nodeId: string, holder?: TokenHolder): Promise<string> {
		const { keys, now, newId, nodeId: self } = this.#options;
		const iat = Math.floor(now() / 1000);
		return new SignJWT({ iss: self, sub: nodeId, aud: AUDIENCE, iat, exp: iat + TTL_SECONDS, jti: newId(), room: roomId, ...(holder && { who: holder.subject, tok: holder.token, at: holder.issuedAt }) })
			.setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
			.sign(keys.handOff);
	}

	/**
	 * Takes a ticket for a room on this node, and uses it up.
	 *
	 * @returns the node that made it, the 32 hex digits of the session's id, and with whose token the listener came, if with one
	 * @throws HandOffError
	 */
	async redeem(ticket: string, roomId: string): Promise<{ from: string; random: string; holder?: TokenHolder }> {
		const { keys, nodeId } = this.#options;
		const { iss, sub, room, jti, exp, holder } = await this.#read(ticket);
		if (sub !== nodeId) {
			throw new HandOffError('other_node', 'The ticket is for another node');
		}
		if (room !== roomId) {
			throw new HandOffError('other_room', 'The ticket is for another room');
		}
		this.#useUp(jti, exp);
		return { from: iss, random: createHmac('sha256', keys.session).update(jti).digest('hex').slice(0, 32), ...(holder && { holder }) };
	}

	async #read(ticket: string): Promise<{ iss: string; sub: string; room: string; jti: string; exp: number; holder: TokenHolder | undefined }> {
		const malformed = (cause?: unknown) => new HandOffError('malformed', 'The ticket cannot be read', { cause });
		if (ticket.length > MAX_TICKET_LENGTH) {
			throw malformed();
		}
		let issuer: string | undefined;
		try {
			issuer = decodeJwt(ticket).iss;
		} catch (error) {
			throw malformed(error);
		}
		if (typeof issuer !== 'string') {
			throw malformed();
		}
		const { keys, now } = this.#options;
		try {
			const { iss, sub, room, jti, exp, who, tok, at } = await verifyJwt(ticket, keys.handOff, {
				algorithms: ['HS256'],
				issuer,
				audience: AUDIENCE,
				types: [],
				clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS,
				maxTokenTtlSeconds: TTL_SECONDS,
				nowSeconds: now() / 1000,
			});
			if (iss !== undefined && sub !== undefined && typeof room === 'string' && jti !== undefined && exp !== undefined) {
				const holder = typeof who === 'string' && typeof tok === 'string' && typeof at === 'number' ? { subject: who, token: tok, issuedAt: at } : undefined;
				return { iss, sub, room, jti, exp, holder };
			}
		} catch (error) {
			if (error instanceof AuthError && error.code === 'token_expired') {
				throw new HandOffError('expired', 'The ticket has expired', { cause: error });
			}
			throw new HandOffError('forged', 'The ticket was not made by this cluster', { cause: error });
		}
		throw malformed();
	}

	/** Looks and remembers in one turn: of two requests with one ticket, one wins. */
	#useUp(jti: string, exp: number): void {
		const nowSeconds = this.#options.now() / 1000;
		for (const [id, until] of this.#used) {
			if (until > nowSeconds) {
				break;
			}
			this.#used.delete(id);
		}
		if (this.#used.has(jti)) {
			throw new HandOffError('used', 'The ticket was used before');
		}
		// Forgetting a ticket that is still good would let it pass twice. Only true tickets come this far, so nobody can fill this.
		if (this.#used.size >= MAX_REMEMBERED) {
			throw new HandOffError('too_many', 'Too many tickets were used in a short time');
		}
		this.#used.set(jti, exp + CLOCK_TOLERANCE_SECONDS);
	}
}
