/** Host and port of one Redis or Sentinel process; IPv6 addresses stand without brackets. */
export interface RedisHost {
	readonly host: string;
	readonly port: number;
}

interface Access {
	readonly username?: string;
	readonly password?: string;
	readonly tls: boolean;
}

/** REDIS_URL in parts. `username` and `password` are those of Redis, in the Sentinel form too. */
export type RedisAddress =
	| (Access & RedisHost & { readonly form: 'single'; readonly db: number })
	| (Access & { readonly form: 'sentinel'; readonly sentinels: readonly RedisHost[]; readonly masterName: string; readonly db: number })
	| (Access & { readonly form: 'cluster'; readonly nodes: readonly RedisHost[] });

const SHAPE = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/([^/?#\s]*)(?:\/([^?#\s]*))?$/;
const HOST = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::(\d{1,5}))?$/;
/** What Sentinel allows in the name of a set (sentinel.conf). */
const MASTER_NAME = /^[A-Za-z0-9._-]{1,64}$/;
const DATABASE = /^\d{1,5}$/;
const MAX_HOSTS = 32;

/**
 * Reads `redis[s]://[user]:[password]@host[:6379][/db]`, `redis[s]+sentinel://[user]:[password]@host[:26379],…/name[/db]` and
 * `redis[s]+cluster://[user]:[password]@host[:6379],…`. Special characters of user and password are percent-encoded.
 * @throws Error whose message says what is wrong without quoting any of it: it may hold a password.
 */
export function parseRedisAddress(url: string): RedisAddress {
	const [, tls, form, authority = '', path = ''] = SHAPE.exec(url) ?? fail('one that cannot be read (special characters of a password must be percent-encoded)');
	// The last one: an @ in a password should be %40, but can be told apart all the same.
	const at = authority.lastIndexOf('@');
	const access = { ...credentials(at === -1 ? undefined : authority.slice(0, at)), tls: tls === 's' };
	const hosts = hostsOf(authority.slice(at + 1), form === 'sentinel' ? 26_379 : 6379);
	const parts = path === '' ? [] : path.replace(/\/$/, '').split('/');
	if (form === 'cluster') {
		if (parts.length > 0) fail('one with a database or path (a Redis Cluster has database 0 only)');
		return { form, ...access, nodes: hosts };
	}
	if (form === 'sentinel') {
		const [masterName = '', db, ...rest] = parts;
		if (!MASTER_NAME.test(masterName) || rest.length > 0) fail('a Sentinel address without the name of the master behind the hosts (redis+sentinel://host:26379/name)');
		return { form, ...access, sentinels: hosts, masterName, db: database(db) };
	}
	const [first = fail('no host'), ...others] = hosts;
	if (others.length > 0) fail('several hosts (those are for redis+sentinel:// and redis+cluster://)');
	if (parts.length > 1) fail('a path behind the database number');
	return { form: 'single', ...access, ...first, db: database(parts[0]) };
}

function credentials(text: string | undefined): { username?: string; password?: string } {
	if (text === undefined || text === '' || text === ':') return {};
	const colon = text.indexOf(':');
	if (colon === -1) fail('a user name without a password (redis://:password@host has a password alone)');
	let username: string;
	let password: string;
	try {
		username = decodeURIComponent(text.slice(0, colon));
		password = decodeURIComponent(text.slice(colon + 1));
	} catch {
		return fail('a user name or password with a % that is not percent-encoding (write it as %25)');
	}
	if (password === '') fail('a user name without a password');
	return username === '' ? { password } : { username, password };
}

function hostsOf(text: string, defaultPort: number): RedisHost[] {
	const hosts = text.split(',').map((entry, index) => {
		const [, ipv6, name, port] = HOST.exec(entry) ?? fail(`no host, or one that cannot be read, as number ${index + 1}`);
		const number = port === undefined ? defaultPort : Number(port);
		if (number < 1 || number > 65_535) fail(`a port that is not from 1 to 65535 at host ${index + 1}`);
		return { host: ipv6 ?? name ?? '', port: number };
	});
	if (hosts.length > MAX_HOSTS) fail(`more than ${MAX_HOSTS} hosts`);
	return hosts;
}

function database(text: string | undefined): number {
	if (text === undefined) return 0;
	return DATABASE.test(text) ? Number(text) : fail('a database that is not a number');
}

function fail(found: string): never {
	throw new Error(found);
}
