import { Type, type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { AuthError } from './auth-error.ts';
import { isRoomBound, type Role, roles } from './roles.ts';

/** Who is asking, as a token that was verified says. */
export interface Principal {
	/** Stable name of the person or program; unique over all issuers. */
	readonly subject: string;
	/** For people's eyes; may be empty. */
	readonly name: string;
	readonly role: Role;
	/** The one room this principal counts for; absent exactly when the role is admin. */
	readonly roomId?: string;
	readonly tokenId: string;
	readonly issuer: string;
	/** When the token was made, in seconds since the epoch; absent for the static admin token. */
	readonly issuedAt?: number;
	/** Seconds since the epoch; absent for the static admin token, which does not expire. */
	readonly expiresAt?: number;
}

export const RoomIdClaim = Type.String({ minLength: 1, maxLength: 128 });
const RoleClaim = Type.Enum(roles);
const Seconds = Type.Integer({ minimum: 0, maximum: 4_102_444_800_000 });

/** The claims of Rostrum's own tokens. `aud`, `iss` and times were checked for their values before; here for their shape. */
export const OwnClaimsSchema = Type.Object({
	sub: Type.String({ minLength: 1, maxLength: 256 }),
	iat: Seconds,
	exp: Seconds,
	jti: Type.String({ minLength: 1, maxLength: 128 }),
	role: RoleClaim,
	room: Type.Optional(RoomIdClaim),
	name: Type.String({ maxLength: 256 }),
});
export type OwnClaims = Static<typeof OwnClaimsSchema>;

/** What is asked of a foreign token, after the configured claims were put in the places of `role` and `room`. */
export const ForeignClaimsSchema = Type.Object({
	sub: Type.String({ minLength: 1, maxLength: 256 }),
	iat: Seconds,
	exp: Seconds,
	jti: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
	role: RoleClaim,
	room: Type.Optional(RoomIdClaim),
	name: Type.Optional(Type.String({ maxLength: 256 })),
});
export type ForeignClaims = Static<typeof ForeignClaimsSchema>;

const ownValidator = Compile(OwnClaimsSchema);
const foreignValidator = Compile(ForeignClaimsSchema);

const refuseShape = (errors: readonly { instancePath: string; message: string }[]): never => {
	const first = errors[0];
	const what = `${first?.instancePath.slice(1) || 'a claim'} ${first?.message ?? 'is missing'}`;
	throw new AuthError('token_bad_claims', `The token's claims do not fit: ${what}.`);
};

/** Every role but admin is held in one room; an admin token with a room would look narrower than it is. */
export const requireRoomFitsRole = (role: Role, roomId: string | undefined): void => {
	if (isRoomBound(role) !== (roomId !== undefined)) {
		const message = roomId === undefined ? `A ${role} token must name its room.` : 'An admin token must not name a room.';
		throw new AuthError('token_bad_claims', message);
	}
};

export const parseOwnClaims = (claims: unknown): OwnClaims => {
	if (!ownValidator.Check(claims)) {
		return refuseShape(ownValidator.Errors(claims));
	}
	requireRoomFitsRole(claims.role, claims.room);
	return claims;
};

export const parseForeignClaims = (claims: unknown): ForeignClaims => {
	if (!foreignValidator.Check(claims)) {
		return refuseShape(foreignValidator.Errors(claims));
	}
	requireRoomFitsRole(claims.role, claims.room);
	return claims;
};
