import { describe, expect, it } from 'vitest';
import { parseRedisAddress, type RedisAddress } from '../../config/redis-address.ts';

describe('an address of Redis', () => {
	it.each<[string, RedisAddress]>([
		['redis://localhost', { form: 'single', tls: false, host: 'localhost', port: 6379, db: 0 }],
		['redis://10.0.0.1:7000/3', { form: 'single', tls: false, host: '10.0.0.1', port: 7000, db: 3 }],
		['redis://r/', { form: 'single', tls: false, host: 'r', port: 6379, db: 0 }],
		['redis://[fd00::1]:6380', { form: 'single', tls: false, host: 'fd00::1', port: 6380, db: 0 }],
		['rediss://:p%40ss@r.example.org', { form: 'single', tls: true, password: 'p@ss', host: 'r.example.org', port: 6379, db: 0 }],
		['redis://user:a:b@c@r', { form: 'single', tls: false, username: 'user', password: 'a:b@c', host: 'r', port: 6379, db: 0 }],
		['redis+sentinel://a,b:5000/main', { form: 'sentinel', tls: false, sentinels: [{ host: 'a', port: 26_379 }, { host: 'b', port: 5000 }], masterName: 'main', db: 0 }],
		['rediss+sentinel://u:p@a/main.set-1/2', { form: 'sentinel', tls: true, username: 'u', password: 'p', sentinels: [{ host: 'a', port: 26_379 }], masterName: 'main.set-1', db: 2 }],
		['redis+cluster://a:1,[::1]:2,c', { form: 'cluster', tls: false, nodes: [{ host: 'a', port: 1 }, { host: '::1', port: 2 }, { host: 'c', port: 6379 }] }],
		['rediss+cluster://:p@a/', { form: 'cluster', tls: true, password: 'p', nodes: [{ host: 'a', port: 6379 }] }],
	])('%s is read', (url, expected) => {
		expect(parseRedisAddress(url)).toEqual(expected);
	});

	it.each([
		['', 'cannot be read'],
		['http://r', 'cannot be read'],
		['redis:/r', 'cannot be read'],
		['redis://', 'no host'],
		['redis://:hunter2@', 'no host'],
		['redis://a,b', 'several hosts'],
		['redis://a/x', 'not a number'],
		['redis://a/0/1', 'path behind'],
		['redis://a:0', 'port'],
		['redis://a:65536', 'port'],
		['redis://hunter2@a', 'without a password'],
		['redis://hunter2:@a', 'without a password'],
		['redis://:hunter2%zz@a', '%25'],
		['redis://a?password=hunter2', 'cannot be read'],
		['redis://:hun/ter2@a', 'one that cannot be read, as number 1'],
		['redis+sentinel://a', 'without the name'],
		['redis+sentinel://a/0 1', 'cannot be read'],
		['redis+sentinel://a/m/1/2', 'without the name'],
		['redis+cluster://a/1', 'database 0 only'],
		['redis+cluster://a,,b', 'number 2'],
		[`redis+cluster://${Array.from({ length: 33 }, () => 'a').join(',')}`, 'more than 32'],
	])('%s is refused, and nothing of it is quoted', (url, reason) => {
		let message = 'accepted';
		try {
			parseRedisAddress(url);
		} catch (error) {
			message = String(error);
		}
		expect(message).toContain(reason);
		expect(message).not.toContain('hun');
	});
});
