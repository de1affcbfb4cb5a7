import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../config/config-error.ts';
import { configLeaves } from '../../config/leaves.ts';
import { loadConfig } from '../../config/load.ts';
import { redactConfig } from '../../config/redact.ts';
import { renderExample, renderReference } from '../../config/reference.ts';

const SECRET = 'correct-horse-battery-staple-0123456789';

const load = (env: Record<string, string> = {}, yaml?: string, cores = 4) => loadConfig({
	env, cores,
	...yaml === undefined ? {} : { file: 'rostrum.yaml' },
	readFile: (file) => {
		if (file === 'rostrum.yaml' && yaml !== undefined) {
			return yaml;
		}
		throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
	},
});

const refusal = (env: Record<string, string> = {}, yaml?: string): ConfigError => {
	try {
		load(env, yaml);
	} catch (error) {
		if (error instanceof ConfigError) {
			return error;
		}
		throw error;
	}
	throw new Error('The configuration was accepted.');
};

describe('defaults', () => {
	test('with nothing given, a complete configuration', () => {
		const config = load();
		expect(config.http).toEqual({ host: '127.0.0.1', port: 3000, trustProxy: false, bodyLimitBytes: 65_536, corsOrigins: '*', embedOrigins: [], maxEventStreams: 20_000 });
		expect(config.sfu).toMatchObject({ listenerShards: 3, stageShards: 1, spareShards: 1, mediaPort: 40_000, mediaAddress: '127.0.0.1', linkPortMin: 41_000, linkPortMax: 41_999 });
		expect(config.auth).toEqual({ issuer: 'rostrum', audience: 'rostrum', tokenTtlSeconds: 86_400, maxTokenTtlSeconds: 7_776_000, clockToleranceSeconds: 5, foreignIssuers: [] });
		expect(config.rooms.autoPacking).toEqual({ thresholdListeners: 200, smallMs: 20, largeMs: 60 });
		expect(config.admin).toEqual({});
		expect(config.redis).toEqual({ keyPrefix: 'rostrum' });
		expect('nodeId' in config).toBe(false);
	});

	test.each([[1, 1], [2, 1], [3, 2], [16, 15], [0, 1], [1000, 256]])('%i cores: %i listener shards', (cores, shards) => {
		expect(load({}, undefined, cores).sfu.listenerShards).toBe(shards);
	});

	test.each([
		['127.0.0.1', '127.0.0.1'], ['localhost', '127.0.0.1'], ['::1', '127.0.0.1'], ['127.8.8.8', '127.0.0.1'],
		['0.0.0.0', 'auto'], ['::', 'auto'], ['192.0.2.7', 'auto'], ['rooms.example.org', 'auto'],
	])('http.host %s: media on %s', (host, mediaAddress) => {
		expect(load({ ROSTRUM_HTTP_HOST: host }).sfu.mediaAddress).toBe(mediaAddress);
	});

	test('a media address that is given stands, whatever the host', () => {
		expect(load({ ROSTRUM_HTTP_HOST: '0.0.0.0', ROSTRUM_MEDIA_ADDRESS: '192.0.2.9' }).sfu.mediaAddress).toBe('192.0.2.9');
	});

	test('no defaults are shared between two loads, and nothing can be changed', () => {
		const config = load({ ROSTRUM_TURN_URLS: 'stun:a:1' });
		expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError);
		expect(() => Object.assign(config.turn.urls, { 0: 'x' })).toThrow(TypeError);
		expect(() => Object.assign(config.auth.foreignIssuers, { 0: 'x' })).toThrow(TypeError);
		expect(load().auth.foreignIssuers).not.toBe(load().auth.foreignIssuers);
	});
});

describe('precedence', () => {
	const yaml = 'http:\n  port: 4000\n  host: 0.0.0.0\n';

	test('the file overlays defaults, the environment overlays the file', () => {
		const { http } = load({ ROSTRUM_HTTP_PORT: '5000' }, yaml);
		expect(http).toMatchObject({ port: 5000, host: '0.0.0.0', bodyLimitBytes: 65_536 });
	});

	test('an empty variable and an empty key count as not given', () => {
		expect(load({ ROSTRUM_HTTP_PORT: '' }, yaml).http.port).toBe(4000);
		expect(load({}, 'http:\n  port:\nsfu:\n').http.port).toBe(3000);
		expect(load({ ROSTRUM_CONFIG: '' }).http.port).toBe(3000);
	});

	test('an empty file is no file', () => {
		expect(load({}, '')).toEqual(load());
		expect(load({}, '# nothing\n')).toEqual(load());
	});

	test('ROSTRUM_CONFIG names the file', () => {
		const config = loadConfig({ env: { ROSTRUM_CONFIG: '/etc/r.yaml' }, cores: 2, readFile: (file) => `nodeId: ${file === '/etc/r.yaml' ? 'right' : 'wrong'}` });
		expect(config.nodeId).toBe('right');
	});
});

describe('variables', () => {
	test.each([
		['ROSTRUM_HTTP_HOST', '0.0.0.0', 'http.host', '0.0.0.0'],
		['ROSTRUM_HTTP_PORT', '0', 'http.port', 0],
		['ROSTRUM_PUBLIC_URL', 'https://r.example.org/x', 'http.publicUrl', 'https://r.example.org/x'],
		['ROSTRUM_DATA_DIR', '/srv/r', 'dataDir', '/srv/r'],
		['ROSTRUM_ADMIN_TOKEN', SECRET, 'admin.token', SECRET],
		['ROSTRUM_LISTENER_SHARDS', '7', 'sfu.listenerShards', 7],
		['ROSTRUM_STAGE_SHARDS', '2', 'sfu.stageShards', 2],
		['ROSTRUM_MEDIA_PORT', '50000', 'sfu.mediaPort', 50_000],
		['ROSTRUM_MEDIA_ADDRESS', '::', 'sfu.mediaAddress', '::'],
		['ROSTRUM_ANNOUNCED_ADDRESS', '203.0.113.7', 'sfu.announcedAddress', '203.0.113.7'],
		['ROSTRUM_INTERNAL_PORT', '3200', 'cluster.internalPort', 3200],
		['ROSTRUM_CLUSTER_SECRET', SECRET, 'cluster.secret', SECRET],
		['ROSTRUM_NODE_ID', 'node-7', 'nodeId', 'node-7'],
		['REDIS_URL', 'rediss://u:p@redis:6379/1', 'redis.url', 'rediss://u:p@redis:6379/1'],
		['REDIS_URL', 'redis+cluster://a,b:7000', 'redis.url', 'redis+cluster://a,b:7000'],
		['ROSTRUM_REDIS_KEY_PREFIX', 'campaign:eu', 'redis.keyPrefix', 'campaign:eu'],
		['ROSTRUM_REDIS_CA_FILE', '/etc/ca.pem', 'redis.caFile', '/etc/ca.pem'],
		['ROSTRUM_REDIS_SENTINEL_PASSWORD', 'x', 'redis.sentinelPassword', 'x'],
		['LOG_LEVEL', 'debug', 'log.level', 'debug'],
		['ROSTRUM_LOG_PRETTY', 'auto', 'log.pretty', 'auto'],
		['ROSTRUM_LOG_PRETTY', 'true', 'log.pretty', true],
		['ROSTRUM_ROOMS_DEMO', 'false', 'rooms.demo', false],
		['ROSTRUM_ROOMS_AUTO_PACKING_LARGE_MS', '120', 'rooms.autoPacking.largeMs', 120],
		['ROSTRUM_HTTP_TRUST_PROXY', 'true', 'http.trustProxy', true],
		['ROSTRUM_HTTP_TRUST_PROXY', '10.0.0.0/8, ::1,loopback', 'http.trustProxy', ['10.0.0.0/8', '::1', 'loopback']],
		['ROSTRUM_HTTP_CORS_ORIGINS', '*', 'http.corsOrigins', '*'],
		['ROSTRUM_HTTP_CORS_ORIGINS', 'https://a.example,https://b.example:8443', 'http.corsOrigins', ['https://a.example', 'https://b.example:8443']],
		['ROSTRUM_TURN_URLS', 'stun:s.example:3478', 'turn.urls', ['stun:s.example:3478']],
	])('%s=%s sets %s', (name, text, key, expected) => {
		// An address of Redis is not taken alone.
		const beside: Record<string, string> = name === 'REDIS_URL' ? { ROSTRUM_CLUSTER_SECRET: SECRET } : {};
		expect(load({ [name]: text, ...beside })).toHaveProperty(key.split('.'), expected);
	});

	test('foreign issuers are JSON, and get their defaults', () => {
		const text = JSON.stringify([{ issuer: 'https://id.example', jwksUrl: 'https://id.example/jwks', audience: 'us' }]);
		expect(load({ ROSTRUM_AUTH_FOREIGN_ISSUERS: text }).auth.foreignIssuers).toEqual([{
			issuer: 'https://id.example', jwksUrl: 'https://id.example/jwks', audience: 'us',
			algorithms: ['EdDSA', 'ES256', 'RS256'], roleClaim: 'rostrum_role', roomClaim: 'rostrum_room', allowAdmin: false,
		}]);
	});

	test('every setting has a variable of its own, by the rule or one of the fixed names', () => {
		const fixed = new Set(['ROSTRUM_PUBLIC_URL', 'ROSTRUM_ADMIN_TOKEN', 'ROSTRUM_LISTENER_SHARDS', 'ROSTRUM_STAGE_SHARDS', 'ROSTRUM_MEDIA_PORT',
			'ROSTRUM_MEDIA_ADDRESS', 'ROSTRUM_ANNOUNCED_ADDRESS', 'ROSTRUM_INTERNAL_PORT', 'ROSTRUM_INTERNAL_ADDRESS', 'ROSTRUM_REGION',
			'REDIS_URL', 'LOG_LEVEL']);
		for (const { env, key, schema } of configLeaves) {
			const byRule = `ROSTRUM_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).replaceAll('.', '_').toUpperCase()}`;
			expect(fixed.has(env) || env === byRule, `${key}: ${env}`).toBe(true);
			expect(schema.description, key).toMatch(/\.$/);
			expect(schema.default !== undefined || schema.defaultFrom !== undefined, key).toBe(true);
		}
		expect(new Set(configLeaves.map(({ env }) => env)).size).toBe(configLeaves.length);
	});

	test('what Kubernetes injects for a service called rostrum is passed over', () => {
		expect(() => load({
			ROSTRUM_SERVICE_HOST: '10.0.0.1', ROSTRUM_SERVICE_PORT: '3000', ROSTRUM_SERVICE_PORT_HTTP: '3000', ROSTRUM_PORT: 'tcp://10.0.0.1:3000',
			ROSTRUM_PORT_3000_TCP: 'tcp://10.0.0.1:3000', ROSTRUM_PORT_3000_TCP_ADDR: '10.0.0.1',
		})).not.toThrow();
		expect(refusal({ ROSTRUM_PORT: '3000' }).message).toContain('ROSTRUM_PORT: expected the name of a known variable');
	});
});

describe('refusals', () => {
	test.each<[string, Record<string, string>, string | undefined, string]>([
		['a mistyped variable', { ROSTRUM_HTPP_PORT: '1' }, undefined, 'ROSTRUM_HTPP_PORT: expected the name of a known variable, found an unknown one; did you mean ROSTRUM_HTTP_PORT?'],
		['a variable in small letters', { rostrum_http_port: '1' }, undefined, 'did you mean ROSTRUM_HTTP_PORT?'],
		['a far-off variable', { ROSTRUM_COMPLETELY_DIFFERENT_THING: '1' }, undefined, 'found an unknown one.'],
		['a mistyped key', {}, 'http:\n  prot: 1', 'http.prot (from rostrum.yaml): expected a known key, found an unknown one; did you mean http.port?'],
		['an unknown section', {}, 'htttp: {}', 'did you mean http?'],
		['__proto__', {}, '__proto__:\n  http: 1', '__proto__ (from rostrum.yaml): expected a known key'],
		['constructor', {}, 'http: { constructor: 1 }', 'http.constructor (from rostrum.yaml): expected a known key'],
		['a section that is a list', {}, 'http: [1, 2]', 'http (from rostrum.yaml): expected a mapping of settings, found a list of 2'],
		['a file that is a list', {}, '- 1', 'rostrum.yaml: expected a mapping of settings, found a list of 1'],
		['a port that is text', {}, 'http: { port: "3000" }', 'http.port (from rostrum.yaml): expected a whole number from 0 to 65535, found "3000"'],
		['a port out of range', { ROSTRUM_HTTP_PORT: '65536' }, undefined, 'http.port (from ROSTRUM_HTTP_PORT): expected a whole number from 0 to 65535, found 65536'],
		['a port with a unit', { ROSTRUM_HTTP_PORT: '80 ' }, undefined, 'found "80 "'],
		['a fraction', {}, 'http: { port: 1.5 }', 'found 1.5'],
		['not a number', {}, 'http: { port: .nan }', 'found NaN'],
		['a boolean in words', { ROSTRUM_ROOMS_DEMO: 'yes' }, undefined, 'rooms.demo (from ROSTRUM_ROOMS_DEMO): expected true or false, found "yes"'],
		['an unknown level', { LOG_LEVEL: 'loud' }, undefined, 'log.level (from LOG_LEVEL): expected one of trace, debug, info, warn, error, fatal, silent, found "loud"'],
		['packing of 30 ms', { ROSTRUM_ROOMS_AUTO_PACKING_SMALL_MS: '30' }, undefined, 'expected one of 20, 40, 60, 120, found "30"'],
		['a node id in capitals', { ROSTRUM_NODE_ID: 'Node' }, undefined, 'nodeId (from ROSTRUM_NODE_ID): expected 1 to 32 characters of a-z, 0-9 and -'],
		['an address that is none', { ROSTRUM_MEDIA_ADDRESS: '1.2.3' }, undefined, 'expected an IP address or auto, found "1.2.3"'],
		['a public URL with a query', { ROSTRUM_PUBLIC_URL: 'https://a/?b' }, undefined, 'http.publicUrl (from ROSTRUM_PUBLIC_URL)'],
		['a public URL that cannot be', { ROSTRUM_PUBLIC_URL: 'http://a:99999' }, undefined, 'expected a complete address'],
		['a proxy that is no address', { ROSTRUM_HTTP_TRUST_PROXY: '10.0.0.0/33' }, undefined, 'found "10.0.0.0/33"'],
		['a proxy switched on by yes', { ROSTRUM_HTTP_TRUST_PROXY: 'yes' }, undefined, 'found "yes"'],
		['an origin with a path', { ROSTRUM_HTTP_CORS_ORIGINS: 'https://a.example/x' }, undefined, 'http.corsOrigins (from ROSTRUM_HTTP_CORS_ORIGINS)'],
		['issuers that are no JSON', { ROSTRUM_AUTH_FOREIGN_ISSUERS: 'https://id' }, undefined, 'expected a list of mappings'],
		['an issuer without keys', {}, 'auth: { foreignIssuers: [{ issuer: a, audience: b }] }', 'auth.foreignIssuers[0].jwksUrl (from rostrum.yaml): expected an https:// address (http:// only on loopback), found nothing'],
		['an issuer with a mistyped key', {}, 'auth: { foreignIssuers: [{ issuer: a, audience: b, jwksUrl: "https://a/k", algorithm: [] }] }', 'did you mean auth.foreignIssuers[0].algorithms?'],
		['HS256 from an issuer', {}, 'auth: { foreignIssuers: [{ issuer: a, audience: b, jwksUrl: "https://a/k", algorithms: [HS256] }] }', 'auth.foreignIssuers[0].algorithms'],
		['keys over plain http', {}, 'auth: { foreignIssuers: [{ issuer: a, audience: b, jwksUrl: "http://a.example/k" }] }', 'each jwksUrl to be https'],
		['an issuer with our name', {}, 'auth: { foreignIssuers: [{ issuer: rostrum, audience: b, jwksUrl: "https://a/k" }] }', '"rostrum" twice'],
		['a missing file', { ROSTRUM_CONFIG: '/nowhere.yaml' }, undefined, 'ROSTRUM_CONFIG: expected a file that can be read, found "/nowhere.yaml" (ENOENT)'],
		['broken YAML', {}, 'http:\n  port: [1', 'rostrum.yaml: expected valid YAML, found an error in line 2'],
		['a key twice', {}, 'dataDir: a\ndataDir: b', 'DUPLICATE_KEY'],
		['link ports the wrong way round', { ROSTRUM_SFU_LINK_PORT_MIN: '42000' }, undefined, 'sfu.linkPortMin (from ROSTRUM_SFU_LINK_PORT_MIN), sfu.linkPortMax (default): expected linkPortMin to be below linkPortMax, found 42000 and 41999'],
		['link ports of one', { ROSTRUM_SFU_LINK_PORT_MIN: '41999' }, undefined, 'linkPortMin to be below'],
		['media within links', { ROSTRUM_MEDIA_PORT: '40998', ROSTRUM_LISTENER_SHARDS: '2' }, undefined, 'found media 40998–41000 and links 41000–41999'],
		['media on the HTTP port', { ROSTRUM_HTTP_PORT: '40001' }, undefined, 'found port 40001 within media 40000–40003'],
		['media on the internal port', { ROSTRUM_INTERNAL_PORT: '40003' }, undefined, 'found port 40003 within media'],
		['media beyond the last port', { ROSTRUM_MEDIA_PORT: '65533' }, undefined, 'found ports 65533–65536'],
		['both ports the same in a cluster', { ROSTRUM_HTTP_PORT: '3100', REDIS_URL: 'redis://r', ROSTRUM_CLUSTER_SECRET: SECRET }, undefined, 'found 3100 for both'],
		['Redis without a cluster secret', { REDIS_URL: 'redis://r' }, undefined, 'redis.url (from REDIS_URL), cluster.secret (default): expected a secret that the nodes of the cluster share'],
		['Sentinels without a master', { REDIS_URL: 'redis+sentinel://a,b', ROSTRUM_CLUSTER_SECRET: SECRET }, undefined, 'without the name of the master'],
		['a key prefix with a hash tag', { ROSTRUM_REDIS_KEY_PREFIX: '{a}' }, undefined, 'redis.keyPrefix'],
		['TURN without a secret', { ROSTRUM_TURN_URLS: 'turn:t.example' }, undefined, 'expected a secret for the TURN servers in turn.urls, found none'],
		['tokens longer than allowed', { ROSTRUM_AUTH_TOKEN_TTL_SECONDS: '7776001' }, undefined, 'tokenTtlSeconds to be at most maxTokenTtlSeconds'],
		['packing the wrong way round', { ROSTRUM_ROOMS_AUTO_PACKING_SMALL_MS: '120' }, undefined, 'smallMs to be at most largeMs'],
	])('%s', (_, env, yaml, expected) => {
		const error = refusal(env, yaml);
		expect(error.problems).toHaveLength(1);
		expect(error.message).toContain(expected);
	});

	test.each<[string, Record<string, string>]>([
		['media right below the links', { ROSTRUM_MEDIA_PORT: '40997', ROSTRUM_LISTENER_SHARDS: '2' }],
		['the HTTP port right behind the media ports', { ROSTRUM_HTTP_PORT: '40004' }],
		['port 3100 for people without a cluster', { ROSTRUM_HTTP_PORT: '3100' }],
		['STUN without a secret', { ROSTRUM_TURN_URLS: 'stun:s.example' }],
		['keys over http on loopback', { ROSTRUM_AUTH_FOREIGN_ISSUERS: '[{"issuer":"a","audience":"b","jwksUrl":"http://127.0.0.1:9/k"}]' }],
	])('but not %s', (_, env) => {
		expect(() => load(env)).not.toThrow();
	});

	test('all problems are listed at once, from every source', () => {
		const error = refusal(
			{ ROSTRUM_HTTP_PORT: 'x', ROSTRUM_NOPE: '1', ROSTRUM_TURN_URLS: 'turn:t' },
			'log: { level: loud }\nnope: 1\nsfu: { linkPortMin: 9, linkPortMax: 8 }',
		);
		expect(new Set(error.problems.map(({ where }) => where.split(' ')[0]))).toEqual(
			new Set(['ROSTRUM_NOPE', 'http.port', 'log.level', 'nope', 'sfu.linkPortMin', 'turn.urls']),
		);
		expect(error.message.split('\n').filter((line) => line.startsWith('  - '))).toHaveLength(6);
	});
});

describe('secrets', () => {
	const short = 'hunter2-hunter2';

	test.each<[string, Record<string, string>, string | undefined]>([
		['a variable that is too short', { ROSTRUM_ADMIN_TOKEN: short }, undefined],
		['a key that is too short', {}, `admin: { token: ${short} }`],
		['a section that holds it by mistake', {}, `admin: ${short}`],
		['a Redis address without scheme', { REDIS_URL: short }, undefined],
		['a Redis address with a bad port', { REDIS_URL: `redis://:${short}@r:99999`, ROSTRUM_CLUSTER_SECRET: SECRET }, undefined],
		['a Redis address without a secret beside it', { REDIS_URL: `redis://:${short}@r` }, undefined],
		['broken YAML around it', {}, `admin:\n  token: "${short}\nx`],
		['broken YAML behind it', {}, `admin: { token: ${short} } ${short}`],
		['a list that holds it', {}, `cluster: { secret: [${short}] }`],
		['a mistyped variable that holds it', { ROSTRUM_ADMIN_TOKN: short }, undefined],
	])('are not told in the message about %s', (_, env, yaml) => {
		const error = refusal(env, yaml);
		expect(error.message).not.toContain('hunter2');
		expect(JSON.stringify(error.problems)).not.toContain('hunter2');
	});

	test('are redacted for the log, and nothing else is', () => {
		const config = load({
			ROSTRUM_ADMIN_TOKEN: SECRET, ROSTRUM_CLUSTER_SECRET: SECRET, REDIS_URL: `redis://:${SECRET}@r`, ROSTRUM_TURN_SECRET: SECRET, ROSTRUM_REDIS_SENTINEL_PASSWORD: SECRET, ROSTRUM_NODE_ID: 'n',
		});
		const redacted = redactConfig(config);
		expect(JSON.stringify(redacted)).not.toContain(SECRET);
		expect(redacted.admin.token).toBe('[redacted]');
		expect(redacted).toMatchObject({ nodeId: 'n', http: config.http, sfu: config.sfu });
		expect(redactConfig(load()).admin).toEqual({});
		expect(config.admin.token).toBe(SECRET);
	});
});

describe('properties', () => {
	const names = fc.oneof(
		fc.constantFrom(...configLeaves.map(({ env }) => env), 'ROSTRUM_CONFIG'),
		fc.string({ maxLength: 12 }).map((text) => `ROSTRUM_${text}`),
		fc.string({ maxLength: 12 }),
	);
	const texts = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom('true', '0', '3000', '-1', '1e3', '*', 'auto', '::', '127.0.0.1', '[{}]', '[1]', 'null', '{"__proto__":1}'), fc.integer().map(String), fc.json({ maxDepth: 3 }));
	const keys = fc.constantFrom(...configLeaves.flatMap(({ path }) => path), '__proto__', 'constructor', 'x');
	const tree = fc.letrec<{ node: unknown }>((tie) => ({
		node: fc.oneof({ maxDepth: 4 }, fc.jsonValue({ maxDepth: 1 }), fc.dictionary(keys, tie('node'), { maxKeys: 4 })),
	})).node;
	const yamls = fc.oneof(fc.string({ maxLength: 60, unit: 'binary' }), tree.map((value) => JSON.stringify(value)), fc.string({ maxLength: 40, unit: fc.constantFrom(...'{}[]:-&*!|>#\n "\'ab,?%@~<'.split('')) }));

	test('any environment and any file either load or are refused by a ConfigError', () => {
		fc.assert(fc.property(fc.dictionary(names, texts, { maxKeys: 5 }), fc.option(yamls, { nil: undefined }), (env, yaml) => {
			try {
				const config = load(env, yaml);
				expect(Object.isFrozen(config.sfu)).toBe(true);
			} catch (error) {
				expect(error).toBeInstanceOf(ConfigError);
			}
		}), { numRuns: 1500 });
	});

	test('anchors that contain themselves or unfold without end, and bottomless nesting, are refused by a ConfigError', () => {
		const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', ...Array.from({ length: 8 }, (_, index) => {
			const [name, inner] = [String.fromCodePoint(98 + index), String.fromCodePoint(97 + index)];
			return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${inner}`).join(',')}]`;
		})].join('\n');
		for (const yaml of [bomb, 'turn: { urls: &a [*a] }', 'auth: { foreignIssuers: &a [*a] }', 'http: &a { port: *a }', '['.repeat(20_000)]) {
			expect(refusal({}, yaml).problems.length).toBeGreaterThan(0);
		}
	});
});

describe('generated files', () => {
	const folder = path.resolve(import.meta.dirname, '../../config');

	test('the committed reference and sample are current (else: node config/reference.ts)', () => {
		expect(readFileSync(path.join(folder, 'reference.md'), 'utf8')).toBe(renderReference());
		expect(readFileSync(path.join(folder, 'rostrum.example.yaml'), 'utf8')).toBe(renderExample());
	});

	test('the sample changes nothing as it stands', () => {
		expect(load({}, renderExample())).toEqual(load());
	});

	test('nobody can go live with the sample\'s own secrets', () => {
		const { problems } = refusal({}, renderExample().replaceAll('#: ', ''));
		expect(problems.map(({ where }) => where.split(' ')[0])).toEqual(['admin.token', 'turn.secret', 'cluster.secret']);
	});

	test('the sample with every setting in force is a good configuration that names every key', () => {
		const config = load({}, renderExample().replaceAll('#: ', '').replaceAll('CHANGE', SECRET));
		for (const { path } of configLeaves) {
			expect(config).toHaveProperty([...path]);
		}
	});
});
