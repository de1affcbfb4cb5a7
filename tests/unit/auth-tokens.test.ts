import { createHmac, createPublicKey } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { type CryptoKey, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AuthError } from '../../auth/auth-error.ts';
import { KeyRing } from '../../auth/key-ring.ts';
import { roles } from '../../auth/roles.ts';
import { TokenIssuer } from '../../auth/token-issuer.ts';
import { TokenVerifier } from '../../auth/token-verifier.ts';

const NOW_S = 1_700_000_000;
const ADMIN_TOKEN = 'a-static-admin-token-of-enough-characters';
const MAX_TTL_S = 90 * 86_400;

let dir: string;
let keys: KeyRing;
let otherKey: CryptoKey;
let nowS: number;
let verifier: TokenVerifier;
let issuer: TokenIssuer;

beforeAll(async () => {
	dir = await mkdtemp(path.join(tmpdir(), 'rostrum-tokens-'));
	keys = await KeyRing.open({ dir, now: () => NOW_S * 1000, algorithm: 'EdDSA' });
	({ privateKey: otherKey } = await generateKeyPair('EdDSA'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

beforeEach(() => {
	nowS = NOW_S;
	const shared = { keys, issuer: 'rostrum', audience: 'rostrum', maxTokenTtlSeconds: MAX_TTL_S };
	verifier = new TokenVerifier({ ...shared, clockToleranceSeconds: 5, foreignIssuers: [], adminToken: ADMIN_TOKEN, now: () => nowS * 1000 });
	let count = 0;
	issuer = new TokenIssuer({ ...shared, tokenTtlSeconds: 3600, newId: () => `id-${++count}` });
});

const codeOf = (run: Promise<unknown>): Promise<string> => run.then(
	() => 'accepted',
	(error: unknown) => {
		if (error instanceof AuthError) {
			return error.code;
		}
		throw error;
	},
);

const goodClaims = { iss: 'rostrum', aud: 'rostrum', sub: 'ada', iat: NOW_S, exp: NOW_S + 3600, jti: 'j1', role: 'speaker', room: 'hall', name: 'Ada' };
const goodHeader = () => ({ alg: 'EdDSA', kid: keys.active.kid, typ: 'JWT' } as const);
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token with any header and claims, really signed with the ring's own key unless another is given. */
const forge = (claims: Record<string, unknown>, header: Record<string, unknown> = {}, key: CryptoKey = keys.active.privateKey): Promise<string> =>
	new SignJWT(claims).setProtectedHeader({ ...goodHeader(), ...header }).sign(key);

const without = (name: string): Record<string, unknown> => Object.fromEntries(Object.entries(goodClaims).filter(([key]) => key !== name));

describe('issuing', () => {
	test('a token says who, for which room and until when, and verifies', async () => {
		const { token, expiresAt } = await issuer.issue({ role: 'host', roomId: 'hall', subject: 'ada', name: 'Ada L.', nowSeconds: NOW_S });
		expect(decodeProtectedHeader(token)).toEqual({ alg: 'EdDSA', kid: keys.active.kid, typ: 'JWT' });
		expect(decodeJwt(token)).toEqual({ iss: 'rostrum', aud: 'rostrum', sub: 'ada', iat: NOW_S, exp: NOW_S + 3600, jti: 'id-1', role: 'host', room: 'hall', name: 'Ada L.' });
		expect(expiresAt).toBe(NOW_S + 3600);
		expect(await verifier.verify(token)).toEqual({ subject: 'ada', name: 'Ada L.', role: 'host', roomId: 'hall', tokenId: 'id-1', issuer: 'rostrum', issuedAt: NOW_S, expiresAt });
	});

	test.each(roles)('a %s token comes back as that role', async (role) => {
		const { token } = await issuer.issue({ role, ...role === 'admin' ? {} : { roomId: 'hall' }, subject: 'x', name: '', expiresInSeconds: 1, nowSeconds: NOW_S });
		expect(await verifier.verify(token)).toMatchObject({ role });
	});

	const request = { role: 'speaker', roomId: 'hall', subject: 'ada', name: 'Ada', nowSeconds: NOW_S } as const;
	test.each([
		['a life longer than allowed', { ...request, expiresInSeconds: MAX_TTL_S + 1 }, 'token_lives_too_long'],
		['the longest life', { ...request, expiresInSeconds: MAX_TTL_S }, 'accepted'],
		['no life', { ...request, expiresInSeconds: 0 }, 'token_bad_claims'],
		['a life that is no number', { ...request, expiresInSeconds: Number.NaN }, 'token_bad_claims'],
		['no room', { ...request, roomId: undefined }, 'token_bad_claims'],
		['an admin with a room', { ...request, role: 'admin' }, 'token_bad_claims'],
		['no subject', { ...request, subject: '' }, 'token_bad_claims'],
		['the name of the static admin for a speaker', { ...request, subject: 'admin' }, 'token_bad_claims'],
		['a subject as of a foreign issuer', { ...request, subject: 'oidc:abc:ada' }, 'token_bad_claims'],
		['an endless name', { ...request, name: 'x'.repeat(257) }, 'token_bad_claims'],
	] as const)('%s: %3$s', async (_, bad, code) => {
		expect(await codeOf(issuer.issue(bad))).toBe(code);
	});
});

describe('forged and spoilt tokens', () => {
	const publicPem = () => createPublicKey({ key: { ...keys.active.publicJwk }, format: 'jwk' }).export({ format: 'pem', type: 'spki' });
	const hmac = (secret: string | Buffer, header: object): string => {
		const signed = `${part(header)}.${part(goodClaims)}`;
		return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
	};

	test('the measure: the same token, unspoilt, is taken', async () => {
		expect(await codeOf(forge(goodClaims).then((token) => verifier.verify(token)))).toBe('accepted');
	});

	test.each<[string, string, () => string | Promise<string>]>([
		['alg none, no signature', 'token_bad_algorithm', () => `${part({ ...goodHeader(), alg: 'none' })}.${part(goodClaims)}.`],
		['alg None', 'token_bad_algorithm', () => `${part({ ...goodHeader(), alg: 'None' })}.${part(goodClaims)}.`],
		['alg none with a good signature', 'token_bad_algorithm', async () => `${part({ ...goodHeader(), alg: 'none' })}.${(await forge(goodClaims)).split('.').slice(1).join('.')}`],
		['no alg', 'token_bad_algorithm', () => `${part({ kid: keys.active.kid, typ: 'JWT' })}.${part(goodClaims)}.AAAA`],
		['HS256 with the public key in PEM', 'token_bad_algorithm', () => hmac(publicPem(), { ...goodHeader(), alg: 'HS256' })],
		['HS256 with the public key raw', 'token_bad_algorithm', () => hmac(Buffer.from(keys.active.publicJwk.x, 'base64url'), { ...goodHeader(), alg: 'HS256' })],
		['an HMAC in the place of the signature', 'token_bad_signature', () => hmac(publicPem(), goodHeader())],
		['another key under our id', 'token_bad_signature', () => forge(goodClaims, {}, otherKey)],
		['another key under its own id', 'token_unknown_key', () => forge(goodClaims, { kid: 'mine' }, otherKey)],
		['no key id', 'token_unknown_key', () => forge(goodClaims, { kid: undefined })],
		['a key id that is no text', 'token_unknown_key', () => `${part({ ...goodHeader(), kid: 7 })}.${part(goodClaims)}.AAAA`],
		['a key id that looks for a file', 'token_unknown_key', () => forge(goodClaims, { kid: '../../etc/passwd' })],
		['a key id that is an object\'s', 'token_unknown_key', () => forge(goodClaims, { kid: '__proto__' })],
		['its own key in the header', 'token_bad_header', async () => {
			const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
			return forge(goodClaims, { jwk: await exportJWK(publicKey) }, privateKey);
		}],
		['its own key set (jku)', 'token_bad_header', () => forge(goodClaims, { jku: 'http://127.0.0.1:1/jwks' }, otherKey)],
		['its own certificate (x5u)', 'token_bad_header', () => forge(goodClaims, { x5u: 'http://127.0.0.1:1/cert' }, otherKey)],
		['its own certificate (x5c)', 'token_bad_header', () => forge(goodClaims, { x5c: ['AAAA'] }, otherKey)],
		['a critical extension', 'token_bad_header', () => `${part({ ...goodHeader(), crit: ['exp'], exp: 1 })}.${part(goodClaims)}.AAAA`],
		['unencoded payload', 'token_bad_header', () => `${part({ ...goodHeader(), crit: ['b64'], b64: false })}.${part(goodClaims)}.AAAA`],
		['no type', 'token_bad_header', () => forge(goodClaims, { typ: undefined })],
		['the type of an access token of others', 'token_bad_header', () => forge(goodClaims, { typ: 'at+jwt' })],
		['a type that is no text', 'token_bad_header', () => `${part({ ...goodHeader(), typ: {} })}.${part(goodClaims)}.AAAA`],
		['wrong audience', 'token_wrong_audience', () => forge({ ...goodClaims, aud: 'other' })],
		['no audience', 'token_wrong_audience', () => forge(without('aud'))],
		['wrong issuer', 'token_wrong_issuer', () => forge({ ...goodClaims, iss: 'other' })],
		['no issuer', 'token_wrong_issuer', () => forge(without('iss'))],
		['an issuer that is a list', 'token_wrong_issuer', () => forge({ ...goodClaims, iss: ['rostrum'] })],
		['expired', 'token_expired', () => forge({ ...goodClaims, iat: NOW_S - 100, exp: NOW_S - 5 })],
		['no expiry', 'token_bad_claims', () => forge(without('exp'))],
		['expiry as text', 'token_bad_claims', () => forge({ ...goodClaims, exp: String(NOW_S + 60) })],
		['expiry without end', 'token_lives_too_long', () => forge({ ...goodClaims, exp: NOW_S * 1000 })],
		['longer than allowed', 'token_lives_too_long', () => forge({ ...goodClaims, exp: NOW_S + MAX_TTL_S + 1 })],
		['no time of issue', 'token_bad_claims', () => forge(without('iat'))],
		['made in the future', 'token_not_yet_valid', () => forge({ ...goodClaims, iat: NOW_S + 60 })],
		['not valid yet', 'token_not_yet_valid', () => forge({ ...goodClaims, nbf: NOW_S + 60 })],
		['nbf that is no number', 'token_bad_claims', () => forge({ ...goodClaims, nbf: 'soon' })],
		['an unknown role', 'token_bad_claims', () => forge({ ...goodClaims, role: 'root' })],
		['a list of roles', 'token_bad_claims', () => forge({ ...goodClaims, role: ['admin'] })],
		['no role', 'token_bad_claims', () => forge(without('role'))],
		['a speaker without room', 'token_bad_claims', () => forge(without('room'))],
		['a room that is no text', 'token_bad_claims', () => forge({ ...goodClaims, room: { $ne: null } })],
		['an empty room', 'token_bad_claims', () => forge({ ...goodClaims, room: '' })],
		['an admin with a room', 'token_bad_claims', () => forge({ ...goodClaims, role: 'admin' })],
		['no subject', 'token_bad_claims', () => forge(without('sub'))],
		['no token id', 'token_bad_claims', () => forge(without('jti'))],
		['a name that is no text', 'token_bad_claims', () => forge({ ...goodClaims, name: 7 })],
		['the role raised after signing', 'token_bad_signature', async () => {
			const [header, , signature] = (await forge(goodClaims)).split('.');
			return `${header}.${part({ ...goodClaims, role: 'host' })}.${signature}`;
		}],
		['the room changed after signing', 'token_bad_signature', async () => {
			const [header, , signature] = (await forge(goodClaims)).split('.');
			return `${header}.${part({ ...goodClaims, room: 'other' })}.${signature}`;
		}],
		['no signature', 'token_bad_signature', async () => (await forge(goodClaims)).replace(/[^.]+$/, '')],
		['half a signature', 'token_bad_signature', async () => (await forge(goodClaims)).slice(0, -40)],
		['nothing', 'token_malformed', () => ''],
		['one word', 'token_malformed', () => 'hello'],
		['two parts', 'token_malformed', async () => (await forge(goodClaims)).split('.').slice(0, 2).join('.')],
		['four parts', 'token_malformed', async () => `${await forge(goodClaims)}.x`],
		['a header that is no JSON', 'token_malformed', () => `${Buffer.from('{').toString('base64url')}.${part(goodClaims)}.AAAA`],
		['claims that are a list', 'token_malformed', () => `${part(goodHeader())}.${part([])}.AAAA`],
		['claims that are null', 'token_malformed', () => `${part(goodHeader())}.${part(null)}.AAAA`],
		['a header that is null', 'token_malformed', () => `${part(null)}.${part(goodClaims)}.AAAA`],
		['the word Bearer before it', 'token_malformed', async () => `Bearer ${await forge(goodClaims)}`],
		['line feeds around it', 'token_malformed', async () => `${await forge(goodClaims)}\n`],
		['9 KB, well signed', 'token_too_large', () => forge({ ...goodClaims, pad: 'x'.repeat(9000) })],
		['a megabyte of dots', 'token_too_large', () => '.'.repeat(1_000_000)],
	])('%s: %s', async (_, code, make) => {
		expect(await codeOf(verifier.verify(await make()))).toBe(code);
	});

	test('the clock may differ by the tolerance and no more', async () => {
		const token = await forge(goodClaims);
		nowS = NOW_S + 3600 + 4;
		expect(await codeOf(verifier.verify(token))).toBe('accepted');
		nowS = NOW_S + 3600 + 5;
		expect(await codeOf(verifier.verify(token))).toBe('token_expired');
		nowS = NOW_S - 5;
		expect(await codeOf(verifier.verify(token))).toBe('accepted');
		nowS = NOW_S - 6;
		expect(await codeOf(verifier.verify(token))).toBe('token_not_yet_valid');
	});

	test('any text is refused by an AuthError, and so is a good token with any one character changed', async () => {
		await fc.assert(fc.asyncProperty(fc.string({ maxLength: 300, unit: 'binary' }), async (text) => {
			expect(await codeOf(verifier.verify(text))).not.toBe('accepted');
		}), { numRuns: 300 });
		const token = await forge(goodClaims);
		// The last character carries two bits only, so that another one may stand for the same signature.
		await fc.assert(fc.asyncProperty(fc.nat(token.length - 2), fc.constantFrom(...'Aa0-_.'.split('')), async (index, character) => {
			fc.pre(token[index] !== character);
			expect(await codeOf(verifier.verify(token.slice(0, index) + character + token.slice(index + 1)))).not.toBe('accepted');
		}), { numRuns: 300 });
	});

	test('no message quotes the token', async () => {
		const token = await forge({ ...goodClaims, aud: 'other' });
		const message = await verifier.verify(token).then(() => 'accepted', String);
		expect(message).toContain('audience');
		expect(token.split('.').some((section) => message.includes(section))).toBe(false);
	});
});

describe('rotation', () => {
	test('tokens of an older key are good until it is retired', async () => {
		const ringDir = path.join(dir, 'rotation');
		const ring = await KeyRing.open({ dir: ringDir, now: () => NOW_S * 1000, algorithm: 'EdDSA' });
		const shared = { keys: ring, issuer: 'rostrum', audience: 'rostrum', maxTokenTtlSeconds: MAX_TTL_S };
		const maker = new TokenIssuer({ ...shared, tokenTtlSeconds: 60, newId: () => 'id' });
		const checker = new TokenVerifier({ ...shared, clockToleranceSeconds: 0, foreignIssuers: [], now: () => NOW_S * 1000 });
		const request = { role: 'listener', roomId: 'hall', subject: 'x', name: '', nowSeconds: NOW_S } as const;
		const before = await maker.issue(request);
		const oldKid = ring.active.kid;
		const { kid } = await ring.rotate();
		const after = await maker.issue(request);
		expect(decodeProtectedHeader(after.token).kid).toBe(kid);
		expect(await codeOf(checker.verify(before.token))).toBe('accepted');
		expect(await codeOf(checker.verify(after.token))).toBe('accepted');
		await ring.retire(oldKid);
		expect(await codeOf(checker.verify(before.token))).toBe('token_unknown_key');
		expect(await codeOf(checker.verify(after.token))).toBe('accepted');
	});
});

describe('the static admin token', () => {
	test('is the admin, without expiry', async () => {
		expect(await verifier.verify(ADMIN_TOKEN)).toEqual({ subject: 'admin', name: 'Administrator', role: 'admin', tokenId: 'static-admin-token', issuer: 'rostrum' });
	});

	test.each([ADMIN_TOKEN.slice(0, -1), `${ADMIN_TOKEN} `, ADMIN_TOKEN.toUpperCase(), ''])('%j is not it', async (text) => {
		expect(await codeOf(verifier.verify(text))).toBe('token_malformed');
	});

	test('when none is configured, none is taken', async () => {
		const strict = new TokenVerifier({
			keys: { algorithm: 'EdDSA', publicKey: () => undefined }, issuer: 'rostrum', audience: 'rostrum', clockToleranceSeconds: 0,
			maxTokenTtlSeconds: 60, foreignIssuers: [], now: () => NOW_S * 1000,
		});
		for (const text of ['', 'undefined', 'null', ADMIN_TOKEN]) {
			expect(await codeOf(strict.verify(text))).toBe('token_malformed');
		}
	});
});
