// What can be told of the Lua scripts by reading them.
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Keys } from '../../server/cluster/redis/keys.ts';
import { PLAIN_COMMANDS } from '../../server/cluster/redis/redis-connection.ts';
import { redisScript } from '../../server/cluster/redis/redis-script.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const FILES = globSync('server/**/*.lua', { cwd: ROOT }).toSorted();
const SCRIPTS = FILES.filter((file) => /-\d\.lua$/.test(file));

/** Commands that may be used, with the version of Redis that has them in the form in which they are used. Valkey has all of them: it began as Redis 7.2. */
const ALLOWED: Readonly<Record<string, string>> = {
	DEL: '1.0', EXISTS: '1.0', GET: '1.0', SET: '2.6.12', PING: '1.0', PUBLISH: '2.0', TIME: '2.6', PEXPIRE: '2.6', PTTL: '2.6', EXPIRE: '1.0', INFO: '1.0',
	HGET: '2.0', HSET: '4.0', HSETNX: '2.0', HDEL: '2.0', HMGET: '2.0', HGETALL: '2.0', HKEYS: '2.0', HVALS: '2.0', HLEN: '2.0', HEXISTS: '2.0', HINCRBY: '2.0', HSCAN: '2.8',
	ZADD: '1.2', ZREM: '1.2', ZRANGEBYLEX: '2.8.9', INCR: '1.0', INCRBY: '1.0',
};

const withoutComments = (lua: string): string => lua.replaceAll(/--[^\n]*/g, '');

describe('the Lua scripts', () => {
	it('are there to be read', () => {
		expect(SCRIPTS.length).toBeGreaterThan(12);
	});

	it.each(FILES)('%s uses commands of Redis 7.0 and Valkey alone, each by its literal name', (file) => {
		const source = withoutComments(readFileSync(path.join(ROOT, file), 'utf8'));
		const calls = source.match(/redis\.p?call\s*\(/g) ?? [];
		const names = [...source.matchAll(/redis\.p?call\s*\(\s*['"]([A-Za-z]+)['"]/g)].map(([, name]) => name?.toUpperCase() ?? '');
		expect(names).toHaveLength(calls.length);
		expect(names.filter((name) => !(name in ALLOWED))).toEqual([]);
		expect(source).not.toMatch(/redis\.(setresp|register_function|replicate_commands|breakpoint)/);
	});

	it.each(FILES)('%s names no key itself: all come in as KEYS', (file) => {
		const source = withoutComments(readFileSync(path.join(ROOT, file), 'utf8'));
		const first = [...source.matchAll(/redis\.p?call\s*\(\s*['"]([A-Za-z]+)['"]\s*,\s*([^,)]+)/g)].filter(([, name]) => name !== 'PUBLISH');
		expect(first.map(([, , key]) => key?.trim() ?? '').filter((key) => !/^(KEYS\[|key$)/.test(key))).toEqual([]);
		expect(source).not.toContain('rostrum');
	});

	it.each(SCRIPTS)('%s tells its keys, arguments and replies, and takes as many keys as its name says', (file) => {
		const script = redisScript(pathToFileURL(path.join(ROOT, file)), (reply) => reply);
		for (const word of ['KEYS', 'ARGV', 'Returns']) expect(script.source).toMatch(new RegExp(`^-- ${word}`, 'm'));
		expect(script.source).not.toContain('-- include');
		const used = [...withoutComments(script.source).matchAll(/KEYS\[(\d+)\]/g)].map(([, number]) => Number(number));
		expect(Math.max(...used)).toBeLessThanOrEqual(script.keyCount);
	});

	it('are not the only commands, and the others are as old', () => {
		expect(PLAIN_COMMANDS.map((name) => name.toUpperCase()).filter((name) => !(name in ALLOWED))).toEqual([]);
	});

	it('are found by name and key count alone', () => {
		expect(() => redisScript(pathToFileURL('/tmp/no-count.lua'), String)).toThrow('<number of keys>');
	});
});

describe('the keys', () => {
	const keys = new Keys('campaign');
	const tagOf = (key: string): string | undefined => /\{([^}]+)\}/.exec(key)?.[1];

	it('of one room share a hash tag that no other room has', () => {
		expect(new Set(keys.roomKeys('launch').map(tagOf))).toEqual(new Set(['r:launch']));
		expect(new Set(keys.roomKeys('launch')).size).toBe(6);
	});

	it('of everything else have tags of their own', () => {
		const tags = [keys.room('nodes'), keys.room('rooms'), keys.nodes, keys.roomIndex, keys.generation, keys.ticket('t1'), keys.value('node-a', 'x')].map(tagOf);
		expect(new Set(tags).size).toBe(tags.length);
		expect(tagOf(keys.roomIndexTimes)).toBe(tagOf(keys.roomIndex));
		expect(tagOf(keys.ofNodes('generation'))).toBe(tagOf(keys.nodes));
	});

	it('all begin with the prefix', () => {
		for (const key of [...keys.roomKeys('a'), keys.nodes, keys.roomIndex, keys.roomIndexTimes, keys.generation, keys.changes]) expect(key.startsWith('campaign:')).toBe(true);
	});
});
