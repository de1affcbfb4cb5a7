import type { Logger } from 'pino';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Principal } from '../../auth/claims.ts';
import { type Revocation, Revocations } from '../../auth/revocations.ts';
import { DomainError } from '../errors.ts';
import type { SharedRecords } from '../records/shared-records.ts';
import { ownerMatch, type SessionOwners } from './session-owners.ts';

const Record = Type.Object({
	id: Type.String(),
	tokenId: Type.Optional(Type.String()),
	subject: Type.Optional(Type.String()),
	roomId: Type.Optional(Type.String()),
	issuedBy: Type.Integer(),
	revokedBy: Type.String(),
	reason: Type.Optional(Type.String()),
	expiresAt: Type.Integer(),
});
const validator = Compile(Record);
export const readRevocation = (value: unknown): Revocation | undefined => (validator.Check(value) ? value : undefined);
export const REVOCATIONS_KIND = 'revocations';

/** More than any event needs; each costs every node some memory, and a look of the verifier at none of them. */
const MAX_REVOCATIONS = 50_000;

export interface NewRevocation {
	tokenId?: string | undefined;
	subject?: string | undefined;
	room?: string | undefined;
	reason?: string | undefined;
}

export interface TokenRevocationsOptions {
	records: SharedRecords<Revocation>;
	index: Revocations;
	owners: Pick<SessionOwners, 'endHere'>;
	/** How long the longest token lives, tolerance included. */
	longestTokenSeconds: number;
	now: () => number;
	randomId: () => string;
	log: Pick<Logger, 'warn'>;
}

/** Revokes tokens for the whole cluster: the verifier of every node refuses them, and what is open with them ends. */
export class TokenRevocations {
	readonly #options: TokenRevocationsOptions;

	/** The verifier's index follows the records from now on, whoever changes them. */
	static create(options: TokenRevocationsOptions): TokenRevocations {
		const { records, index, owners, log } = options;
		for (const revocation of records.values) index.put(revocation);
		records.on('changed', (id, revocation) => {
			if (revocation === undefined) {
				index.remove(id);
				return;
			}
			const known = index.get(id) !== undefined;
			index.put(revocation);
			// Every node hears of it and ends what it has.
			const { subject, tokenId, roomId: room, issuedBy } = revocation;
			if (!known) owners.endHere(ownerMatch({ subject, tokenId, room, issuedBy }), 'token_revoked').catch((err: unknown) => log.warn({ err, room }, 'sessions of a revoked token could not be ended'));
		});
		return new TokenRevocations(options);
	}

	private constructor(options: TokenRevocationsOptions) {
		this.#options = options;
	}

	/** In order of id. */
	get all(): readonly Revocation[] {
		return this.#options.records.values;
	}

	/** Rejects with `invalid_request` for what cannot be revoked here. */
	async revoke({ tokenId, subject, room, reason }: NewRevocation, by: Principal): Promise<Revocation> {
		const { records, longestTokenSeconds, now, randomId } = this.#options;
		if ((tokenId === undefined) === (subject === undefined)) throw new DomainError('invalid_request', 'A revocation names a token or a subject, one of the two');
		if (tokenId === 'static-admin-token') throw new DomainError('invalid_request', 'The static admin token is part of the configuration: change it there');
		if (records.values.length >= MAX_REVOCATIONS) throw new DomainError('too_many_requests', 'There are as many revocations as can be kept; retire the signing key to end the trust in all tokens at once');
		const nowSeconds = Math.floor(now() / 1000);
		const revocation: Revocation = {
			id: randomId(),
			...(tokenId === undefined ? {} : { tokenId }),
			...(subject === undefined ? {} : { subject }),
			...(room === undefined ? {} : { roomId: room }),
			issuedBy: nowSeconds,
			revokedBy: by.subject,
			...(reason === undefined ? {} : { reason }),
			expiresAt: nowSeconds + longestTokenSeconds,
		};
		await records.put(revocation.id, revocation, revocation.expiresAt * 1000);
		return revocation;
	}

	/** Tokens that have not expired count again. Whether there was one. */
	lift(id: string): Promise<boolean> {
		return this.#options.records.remove(id);
	}
}
