import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AuthError } from '../../auth/auth-error.ts';
import { TokenVerifier } from '../../auth/token-verifier.ts';
import { loadConfig } from '../../config/load.ts';

const ISSUER = 'https://login.example.org/';
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let pairs: Record<'es' | 'rs' | 'ed' | 'late' | 'rogue', { privateKey: CryptoKey; jwk: JWK }>;
let server: Server;
let published: unknown;
let status: number;
let requests: number;
let onRequest: (() => void) | undefined;
let jwksUrl: string;
let nowMs: number;

const pair = async (alg: string, kid: string) => {
	const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
	return { privateKey, jwk: { ...await exportJWK(publicKey), kid, use: 'sig', alg } };
};

beforeAll(async () => {
	pairs = { es: await pair('ES256', 'es'), rs: await pair('RS256', 'rs'), ed: await pair('EdDSA', 'ed'), late: await pair('ES256', 'late'), rogue: await pair('ES256', 'es') };
});

beforeEach(async () => {
	nowMs = 1_700_000_000_000;
	requests = 0;
	status = 200;
	onRequest = undefined;
	published = { keys: [pairs.es.jwk, pairs.rs.jwk, pairs.ed.jwk] };
	server = createServer((_, response) => {
		requests++;
		response.writeHead(status, { 'content-type': 'application/json' }).end(typeof published === 'string' ? published : JSON.stringify(published));
		onRequest?.();
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const address = server.address();
	jwksUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/jwks.json`;
});

const stop = async () => {
	if (server.listening) {
		server.close();
		server.closeAllConnections();
		await once(server, 'close');
	}
};
afterEach(stop);

/** A verifier with the issuer as an operator would configure it. */
const makeVerifier = (more: Record<string, unknown> = {}): TokenVerifier => {
	const foreign = JSON.stringify([{ issuer: ISSUER, jwksUrl, audience: 'our-rooms', ...more }]);
	const { auth } = loadConfig({ env: { ROSTRUM_AUTH_FOREIGN_ISSUERS: foreign }, cores: 1, readFile: () => '' });
	return new TokenVerifier({ ...auth, keys: { algorithm: 'EdDSA', publicKey: () => undefined }, now: () => nowMs });
};

const claims = (more: Record<string, unknown> = {}): JWTPayload => ({
	iss: ISSUER, aud: 'our-rooms', sub: 'user-7', iat: nowMs / 1000, exp: nowMs / 1000 + 3600, jti: 'j', name: 'Ada', rostrum_role: 'speaker', rostrum_room: 'hall', ...more,
});
const sign = (more: Record<string, unknown> = {}, key: keyof typeof pairs = 'es', header: Record<string, unknown> = {}): Promise<string> => {
	const { privateKey, jwk } = pairs[key];
	return new SignJWT(claims(more)).setProtectedHeader({ alg: jwk.alg ?? '', kid: jwk.kid ?? '', typ: 'JWT', ...header }).sign(privateKey);
};
const codeOf = (run: Promise<unknown>): Promise<string> => run.then(() => 'accepted', (error: unknown) => {
	if (error instanceof AuthError) {
		return error.code;
	}
	throw error;
});

describe('a foreign token', () => {
	test.each(['es', 'rs', 'ed'] as const)('signed with the %s key the issuer publishes is taken', async (key) => {
		expect(await makeVerifier().verify(await sign({}, key))).toEqual({
			subject: expect.stringMatching(/^oidc:[\w-]{12}:user-7$/),
			name: 'Ada', role: 'speaker', roomId: 'hall', tokenId: 'j', issuer: ISSUER, issuedAt: nowMs / 1000, expiresAt: nowMs / 1000 + 3600,
		});
	});

	test.each<[string, string, Record<string, unknown>, Record<string, unknown>, (keyof typeof pairs)?]>([
		['with the type at+jwt', 'accepted', {}, { typ: 'at+jwt' }],
		['without type', 'accepted', {}, { typ: undefined }],
		['without a name', 'accepted', { name: undefined }, {}],
		['without a token id', 'accepted', { jti: undefined }, {}],
		['with our audience among several', 'accepted', { aud: ['other', 'our-rooms'] }, {}],
		['of another type', 'token_bad_header', {}, { typ: 'logout+jwt' }],
		['for another audience', 'token_wrong_audience', { aud: 'rostrum' }, {}],
		['of an unknown issuer', 'token_wrong_issuer', { iss: 'https://evil.example/' }, {}],
		['expired', 'token_expired', { iat: 1, exp: 2 }, {}],
		['without expiry', 'token_bad_claims', { exp: undefined }, {}],
		['of too long a life', 'token_lives_too_long', { exp: 1_900_000_000 }, {}],
		['signed by a stranger under a known id', 'token_bad_signature', {}, {}, 'rogue'],
		['signed with a key that is not published', 'token_unknown_key', {}, {}, 'late'],
		['without key id', 'token_unknown_key', {}, { kid: undefined }],
		['with its own key', 'token_bad_header', {}, { jwk: {} }],
		['without role', 'token_bad_claims', { rostrum_role: undefined }, {}],
		['with an unknown role', 'token_bad_claims', { rostrum_role: 'superuser' }, {}],
		['with a list of roles', 'token_bad_claims', { rostrum_role: ['speaker'] }, {}],
		['without room', 'token_bad_claims', { rostrum_room: undefined }, {}],
		['with a room that is no text', 'token_bad_claims', { rostrum_room: 7 }, {}],
		['that would be admin', 'token_bad_claims', { rostrum_role: 'admin', rostrum_room: undefined }, {}],
		['that uses the claims of our own tokens', 'token_bad_claims', { rostrum_role: undefined, rostrum_room: undefined, role: 'host', room: 'hall' }, {}],
	])('%s: %s', async (_, code, more, header, key = 'es') => {
		expect(await codeOf(makeVerifier().verify(await sign(more, key, header)))).toBe(code);
	});

	test('may be admin only where that is configured', async () => {
		const token = await sign({ rostrum_role: 'admin', rostrum_room: undefined });
		expect(await codeOf(makeVerifier({ allowAdmin: false }).verify(token))).toBe('token_bad_claims');
		expect(await makeVerifier({ allowAdmin: true }).verify(token)).toMatchObject({ role: 'admin' });
	});

	test('is taken with the configured algorithms alone', async () => {
		const verifier = makeVerifier({ algorithms: ['RS256'] });
		expect(await codeOf(verifier.verify(await sign({}, 'rs')))).toBe('accepted');
		expect(await codeOf(verifier.verify(await sign({}, 'es')))).toBe('token_bad_algorithm');
	});

	test('has role and room in the configured claims, whatever they are called', async () => {
		const plain = await sign({ 'https://our.example/role': 'host', 'https://our.example/room': 'attic' });
		const names = { roleClaim: 'https://our.example/role', roomClaim: 'https://our.example/room' };
		expect(await makeVerifier(names).verify(plain)).toMatchObject({ role: 'host', roomId: 'attic' });
		// Nothing that every object inherits may pass for a claim.
		for (const inherited of ['constructor', '__proto__', 'toString']) {
			expect(await codeOf(makeVerifier({ ...names, roomClaim: inherited }).verify(plain))).toBe('token_bad_claims');
			expect(await codeOf(makeVerifier({ ...names, roleClaim: inherited }).verify(plain))).toBe('token_bad_claims');
		}
	});

	test('names its person apart from ours and from other issuers\' people', async () => {
		const { subject } = await makeVerifier().verify(await sign({ sub: 'admin' }));
		expect(subject).not.toBe('admin');
		const other = makeVerifier({ issuer: 'https://second.example/' });
		expect((await other.verify(await sign({ sub: 'admin', iss: 'https://second.example/' }))).subject).not.toBe(subject);
	});

	test('without id gets one that stays the same', async () => {
		const verifier = makeVerifier();
		const token = await sign({ jti: undefined });
		const { tokenId } = await verifier.verify(token);
		expect(tokenId).toMatch(/^[\w-]{22}$/);
		expect((await verifier.verify(token)).tokenId).toBe(tokenId);
		expect((await verifier.verify(await sign({ jti: undefined, name: 'B' }))).tokenId).not.toBe(tokenId);
	});
});

describe('the issuer\'s keys', () => {
	test('are fetched once for a crowd', async () => {
		const verifier = makeVerifier();
		const token = await sign();
		await Promise.all(Array.from({ length: 50 }, () => verifier.verify(token)));
		await verifier.verify(token);
		expect(requests).toBe(1);
	});

	test('an unknown key asks again, but not more often than every 30 s', async () => {
		const verifier = makeVerifier();
		await verifier.verify(await sign());
		published = { keys: [pairs.es.jwk, pairs.late.jwk] };
		for (let attempt = 0; attempt < 20; attempt++) {
			expect(await codeOf(verifier.verify(await sign({}, 'late')))).toBe('token_unknown_key');
		}
		expect(requests).toBe(1);
		nowMs += 30_000;
		expect(await codeOf(verifier.verify(await sign({}, 'late')))).toBe('accepted');
		expect(requests).toBe(2);
	});

	test('are refreshed after 10 minutes without making anybody wait, and a withdrawn key goes', async () => {
		const verifier = makeVerifier();
		await verifier.verify(await sign());
		published = { keys: [pairs.rs.jwk] };
		nowMs += 11 * MINUTE_MS;
		const asked = new Promise<void>((resolve) => {
			onRequest = resolve;
		});
		expect(await codeOf(verifier.verify(await sign()))).toBe('accepted');
		await asked;
		await expect.poll(async () => codeOf(verifier.verify(await sign()))).toBe('token_unknown_key');
		expect(await codeOf(verifier.verify(await sign({}, 'rs')))).toBe('accepted');
	});

	test('while the issuer is away its last keys stay good, for a day', async () => {
		const verifier = makeVerifier();
		await verifier.verify(await sign());
		await stop();
		nowMs += 23 * HOUR_MS;
		expect(await codeOf(verifier.verify(await sign()))).toBe('accepted');
		nowMs += 2 * HOUR_MS;
		expect(await codeOf(verifier.verify(await sign()))).toBe('issuer_unavailable');
	});

	test.each<[string, () => void]>([
		['an error', () => { status = 500; }],
		['a redirect', () => { status = 302; }],
		['no JSON', () => { published = '<html>'; }],
		['no key set', () => { published = { keys: 7 }; }],
	])('when the issuer answers with %s, the failure is ours, worth a retry, and not repeated for each caller', async (_, spoil) => {
		spoil();
		const verifier = makeVerifier();
		const error = await verifier.verify(await sign()).catch((reason: unknown) => reason);
		expect(error).toMatchObject({ code: 'issuer_unavailable', retryable: true });
		for (let attempt = 0; attempt < 10; attempt++) {
			expect(await codeOf(verifier.verify(await sign()))).toBe('issuer_unavailable');
		}
		expect(requests).toBe(1);
		status = 200;
		published = { keys: [pairs.es.jwk] };
		nowMs += 5000;
		expect(await codeOf(verifier.verify(await sign()))).toBe('accepted');
	});
});
