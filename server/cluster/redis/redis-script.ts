import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** One Lua script, kept in a file `<name>-<number of keys>.lua`, and how its reply is read. */
export interface RedisScript<Reply> {
	readonly name: string;
	readonly keyCount: number;
	readonly source: string;
	/** By which Redis knows it. */
	readonly sha1: string;
	/** Throws when the reply is none of those its header names. */
	readonly read: (reply: unknown) => Reply;
}

const FILE_NAME = /([a-z-]+)-(\d)\.lua$/;
const INCLUDE = /^-- include ([a-z-]+\.lua)$/gm;

/**
 * Loads a script. A line `-- include other.lua` stands for that file of the same folder.
 * @throws Error for a file that is missing or named otherwise
 */
export function redisScript<Reply>(file: URL, read: (reply: unknown) => Reply): RedisScript<Reply> {
	const [, name, keyCount] = FILE_NAME.exec(file.pathname) ?? [];
	if (name === undefined) throw new Error(`${file.pathname} is not named <name>-<number of keys>.lua`);
	const source = readFileSync(file, 'utf8').replaceAll(INCLUDE, (_, included: string) => readFileSync(new URL(included, file), 'utf8').trimEnd());
	return { name, keyCount: Number(keyCount), source, sha1: createHash('sha1').update(source).digest('hex'), read };
}

/** For `read`: a whole number. */
export function asInteger(reply: unknown): number {
	if (typeof reply !== 'number') throw new TypeError(`expected a number from Redis, found ${typeof reply}`);
	return reply;
}

/** For `read`: text, or undefined where Redis has nothing. */
export function asText(reply: unknown): string | undefined {
	if (reply === null || reply === undefined) return undefined;
	if (typeof reply === 'number') return String(reply);
	if (typeof reply !== 'string') throw new TypeError(`expected text from Redis, found ${typeof reply}`);
	return reply;
}

/** For `read`: a list; what is in it is read by the caller. */
export function asList(reply: unknown): readonly unknown[] {
	if (!Array.isArray(reply)) throw new TypeError(`expected a list from Redis, found ${typeof reply}`);
	return reply;
}
