import { isIP } from 'node:net';
import { parseRedisAddress } from './redis-address.ts';
import type { Config } from './schema.ts';

/** A rule over several settings, or one that a schema cannot say. Run only when each of `keys` is fine by itself. */
export interface Check {
	readonly keys: readonly string[];
	/** What must hold, as it reads after "expected". */
	readonly expected: string;
	/** What is wrong, as it reads after "found"; undefined when nothing is. Must never quote a secret. */
	readonly run: (config: Config) => string | undefined;
}

/** Ports the shards bind; spares have none of their own, they take over that of a dead shard. */
const mediaPorts = ({ sfu }: Config) => ({ first: sfu.mediaPort, last: sfu.mediaPort + sfu.stageShards + sfu.listenerShards - 1 });
const mediaKeys = ['sfu.mediaPort', 'sfu.stageShards', 'sfu.listenerShards'];
const mediaRange = (config: Config) => `${mediaPorts(config).first}–${mediaPorts(config).last}`;
const inMediaPorts = (config: Config, port: number) => port >= mediaPorts(config).first && port <= mediaPorts(config).last;

export const isLoopbackHost = (host: string): boolean =>
	host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);

const isAddressOrRange = (text: string): boolean => {
	if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) {
		return true;
	}
	const [address = '', bits, ...rest] = text.split('/');
	const family = isIP(address);
	return family !== 0 && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)));
};

const jwksUrlIsSafe = (text: string): boolean => {
	const url = URL.parse(text);
	return url !== null && (url.protocol === 'https:' || isLoopbackHost(url.hostname));
};

/** What the parser says of an address, in words that quote none of it. */
const redisProblem = (url: string): string | undefined => {
	try {
		parseRedisAddress(url);
		return undefined;
	} catch (error) {
		return error instanceof Error ? error.message : 'one that cannot be read';
	}
};

/** The first entry a rule refuses, as it reads in a message. */
const firstBad = (entries: readonly string[], isGood: (entry: string) => boolean): string | undefined => {
	const bad = entries.find((entry) => !isGood(entry));
	return bad === undefined ? undefined : JSON.stringify(bad);
};

export const checks: readonly Check[] = [
	{
		keys: ['recording.storage', 'recording.s3.bucket', 'recording.s3.accessKeyId', 'recording.s3.secretAccessKey'],
		expected: 'with recording.storage s3 a bucket, and both parts of an access key or neither',
		run: ({ recording: { storage, s3 } }) =>
			storage !== 's3' ? undefined : s3.bucket === undefined ? 'no bucket' : (s3.accessKeyId === undefined) !== (s3.secretAccessKey === undefined) ? 'one part of an access key' : undefined,
	},
	{
		keys: ['http.publicUrl'],
		expected: 'a complete address such as https://rooms.example.org',
		run: ({ http }) => http.publicUrl === undefined || URL.canParse(http.publicUrl) ? undefined : 'one that cannot be read',
	},
	{
		keys: ['http.trustProxy'],
		expected: 'addresses, ranges (10.0.0.0/8), loopback, linklocal or uniquelocal',
		run: ({ http }) => typeof http.trustProxy === 'boolean' ? undefined : firstBad(http.trustProxy, isAddressOrRange),
	},
	{
		keys: ['http.corsOrigins'],
		expected: 'origins such as https://example.org',
		run: ({ http }) => http.corsOrigins === '*' ? undefined : firstBad(http.corsOrigins, (origin) => URL.canParse(origin)),
	},
	{
		keys: ['auth.tokenTtlSeconds', 'auth.maxTokenTtlSeconds'],
		expected: 'tokenTtlSeconds to be at most maxTokenTtlSeconds',
		run: ({ auth }) => auth.tokenTtlSeconds <= auth.maxTokenTtlSeconds ? undefined : `${auth.tokenTtlSeconds} and ${auth.maxTokenTtlSeconds}`,
	},
	{
		keys: ['auth.foreignIssuers'],
		expected: 'each jwksUrl to be https, or http on a loopback address',
		run: ({ auth }) => firstBad(auth.foreignIssuers.map(({ jwksUrl }) => jwksUrl), jwksUrlIsSafe),
	},
	{
		keys: ['auth.foreignIssuers', 'auth.issuer'],
		expected: 'every issuer to have a name of its own',
		run: ({ auth }) => {
			const names = [auth.issuer, ...auth.foreignIssuers.map(({ issuer }) => issuer)];
			const twice = names.find((name, index) => names.indexOf(name) !== index);
			return twice === undefined ? undefined : `${JSON.stringify(twice)} twice`;
		},
	},
	{
		keys: ['sfu.mediaAddress'],
		expected: 'an IP address or auto',
		run: ({ sfu }) => sfu.mediaAddress === 'auto' || isIP(sfu.mediaAddress) !== 0 ? undefined : JSON.stringify(sfu.mediaAddress),
	},
	{
		keys: mediaKeys,
		expected: 'one port for each shard, up to 65535',
		run: (config) => mediaPorts(config).last <= 65_535 ? undefined : `ports ${mediaRange(config)}`,
	},
	{
		keys: ['sfu.linkPortMin', 'sfu.linkPortMax'],
		expected: 'linkPortMin to be below linkPortMax',
		run: ({ sfu }) => sfu.linkPortMin < sfu.linkPortMax ? undefined : `${sfu.linkPortMin} and ${sfu.linkPortMax}`,
	},
	{
		keys: [...mediaKeys, 'sfu.linkPortMin', 'sfu.linkPortMax'],
		expected: 'media ports and link ports to be apart',
		run: (config) => {
			const { first, last } = mediaPorts(config);
			const { linkPortMin, linkPortMax } = config.sfu;
			return last < linkPortMin || first > linkPortMax ? undefined : `media ${mediaRange(config)} and links ${linkPortMin}–${linkPortMax}`;
		},
	},
	{
		keys: [...mediaKeys, 'http.port'],
		expected: 'the HTTP port to be none of the media ports',
		run: (config) => inMediaPorts(config, config.http.port) ? `port ${config.http.port} within media ${mediaRange(config)}` : undefined,
	},
	{
		keys: [...mediaKeys, 'cluster.internalPort'],
		expected: 'the internal port to be none of the media ports',
		run: (config) => inMediaPorts(config, config.cluster.internalPort)
			? `port ${config.cluster.internalPort} within media ${mediaRange(config)}` : undefined,
	},
	{
		// The internal port is opened in a cluster only, so one node alone may use 3100 for people.
		keys: ['http.port', 'cluster.internalPort', 'redis.url'],
		expected: 'the HTTP port and the internal port to differ',
		run: ({ http, cluster, redis }) => redis.url !== undefined && http.port === cluster.internalPort ? `${http.port} for both` : undefined,
	},
	{
		keys: ['redis.url'],
		expected: 'redis://host:port/db, redis+sentinel://host:port,…/master-name/db or redis+cluster://host:port,… (rediss… for TLS)',
		run: ({ redis }) => redis.url === undefined ? undefined : redisProblem(redis.url),
	},
	{
		keys: ['redis.url', 'cluster.secret'],
		expected: 'a secret that the nodes of the cluster share, beside REDIS_URL: ROSTRUM_CLUSTER_SECRET, the same on each of them',
		run: ({ redis, cluster }) => redis.url !== undefined && cluster.secret === undefined ? 'none' : undefined,
	},
	{
		keys: ['rooms.autoPacking.smallMs', 'rooms.autoPacking.largeMs'],
		expected: 'smallMs to be at most largeMs',
		run: ({ rooms: { autoPacking: { smallMs, largeMs } } }) => smallMs <= largeMs ? undefined : `${smallMs} and ${largeMs}`,
	},
	{
		keys: ['turn.urls', 'turn.secret'],
		expected: 'a secret for the TURN servers in turn.urls',
		run: ({ turn }) => turn.secret === undefined && turn.urls.some((url) => url.startsWith('turn')) ? 'none' : undefined,
	},
];
