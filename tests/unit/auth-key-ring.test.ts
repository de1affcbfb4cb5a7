import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeyRing } from '../../auth/key-ring.ts';
import { KeyRingError } from '../../auth/key-ring-error.ts';

let root: string;
let dir: string;
let nowMs: number;

beforeEach(async () => {
	root = await mkdtemp(path.join(tmpdir(), 'rostrum-keys-'));
	dir = path.join(root, 'data', 'keys');
	nowMs = 1_700_000_000_000;
});
afterEach(() => rm(root, { recursive: true, force: true }));

const open = () => KeyRing.open({ dir, now: () => nowMs, algorithm: 'EdDSA' });
const modeOf = async (file: string) => ((await stat(file)).mode & 0o777).toString(8);
const keyFiles = async () => (await readdir(dir)).map((name) => path.join(dir, name));
const readKey = async (file: string) => Value.Parse(Type.Object({ x: Type.String(), d: Type.String() }), JSON.parse(await readFile(file, 'utf8')));
const onlyFile = async (): Promise<string> => {
	const [file, ...others] = await keyFiles();
	if (file === undefined || others.length > 0) {
		throw new Error('There should be one key file.');
	}
	return file;
};

describe('on disk', () => {
	test('the first start makes a key, the second finds it', async () => {
		const first = await open();
		const second = await open();
		expect(second.active.kid).toBe(first.active.kid);
		expect(await keyFiles()).toHaveLength(1);
	});

	test.each([0o000, 0o022, 0o077, 0o777])('folder and files are closed to others under umask %o', async (umask) => {
		await mkdir(path.dirname(dir), { recursive: true });
		const before = process.umask(umask);
		try {
			const ring = await open();
			await ring.rotate();
		} finally {
			process.umask(before);
		}
		expect(await modeOf(dir)).toBe('700');
		expect(await Promise.all((await keyFiles()).map(modeOf))).toEqual(['600', '600']);
	});

	test('what the group may is repaired, for volume managers set it at every mount', async () => {
		const { active } = await open();
		await chmod(await onlyFile(), 0o660);
		await chmod(dir, 0o775);
		expect((await open()).active.kid).toBe(active.kid);
		expect(await modeOf(await onlyFile())).toBe('600');
		expect(await modeOf(dir)).toBe('700');
	});

	test('a key that everybody could read is refused, with the file and the way out', async () => {
		await open();
		const file = await onlyFile();
		await chmod(file, 0o644);
		await expect(open()).rejects.toThrow(KeyRingError);
		await expect(open()).rejects.toThrow(`${file} is open to every user of this machine (mode 644)`);
		await expect(open()).rejects.toThrow(`chmod 600 ${file}`);
		expect(await modeOf(file)).toBe('644');
	});

	test('a folder that everybody could write to is refused', async () => {
		await mkdir(dir, { recursive: true });
		await chmod(dir, 0o777);
		await expect(open()).rejects.toThrow(`chmod 700 ${dir}`);
	});

	test('other files in the folder are left alone', async () => {
		await open();
		await writeFile(path.join(dir, 'NOTES.txt'), 'keep me');
		await open();
		expect(await readdir(dir)).toContain('NOTES.txt');
	});
});

describe('damage', () => {
	const edit = async (change: (key: Record<string, string>) => unknown) => {
		const file = await onlyFile();
		await writeFile(file, JSON.stringify(change(await readKey(file))));
	};
	const flip = (text = ''): string => {
		const bytes = Buffer.from(text, 'base64url');
		bytes[0] = (bytes[0] ?? 0) ^ 1;
		return bytes.toString('base64url');
	};

	test.each<[string, () => Promise<unknown>, string]>([
		['an empty file', async () => writeFile(await onlyFile(), ''), 'it is empty'],
		['half a file', async () => writeFile(await onlyFile(), (await readFile(await onlyFile(), 'utf8')).slice(0, 60)), 'it is not JSON'],
		['a file without private part', () => edit((key) => ({ ...key, d: undefined })), 'not an Ed25519 signing key'],
		['another kind of key', () => edit((key) => ({ ...key, crv: 'X25519' })), 'not an Ed25519 signing key'],
		['a changed id', () => edit((key) => ({ ...key, kid: 'other' })), 'belongs to another key'],
		['a changed public part', () => edit((key) => ({ ...key, x: flip(key.x) })), 'belongs to another key'],
		['a changed private part', () => edit((key) => ({ ...key, d: flip(key.d) })), 'do not belong together'],
		['a private part of the wrong length', () => edit((key) => ({ ...key, d: 'AAAA' })), 'do not belong together'],
	])('%s is told plainly, with the file and what to do, and never its content', async (_, damage, why) => {
		await open();
		const file = await onlyFile();
		const { d } = await readKey(file);
		await damage();
		const error = await open().then(() => undefined, (reason: unknown) => reason);
		const message = error instanceof KeyRingError ? error.message : `no KeyRingError but ${String(error)}`;
		expect(message).toContain(`The key file ${file} is damaged (`);
		expect(message).toContain(why);
		expect(message).toContain('Put it back from a backup, or delete it');
		expect(message).not.toContain(d);
	});
});

describe('rotation', () => {
	test('a new key signs, old ones verify until they are retired, across restarts', async () => {
		const ring = await open();
		const old = ring.active.kid;
		nowMs += 1000;
		const { kid: fresh } = await ring.rotate();
		for (const view of [ring, await open()]) {
			expect(view.active.kid).toBe(fresh);
			expect(view.publicKey(old)).toBeDefined();
			expect(view.jwks().keys.map((key) => key.kid)).toEqual([fresh, old]);
		}
		await ring.retire(old);
		for (const view of [ring, await open()]) {
			expect(view.publicKey(old)).toBeUndefined();
			expect(view.jwks().keys.map((key) => key.kid)).toEqual([fresh]);
		}
	});

	test('the newest signs even when the clock went back, and after rotations at once', async () => {
		const ring = await open();
		nowMs -= 86_400_000;
		const made = await Promise.all([ring.rotate(), ring.rotate(), ring.rotate()]);
		expect(ring.active.kid).toBe(made[2].kid);
		expect((await open()).active.kid).toBe(made[2].kid);
		expect(new Set(made.map(({ createdAtMs }) => createdAtMs)).size).toBe(3);
	});

	test('neither the signing key nor one that is not there can be retired', async () => {
		const ring = await open();
		await expect(ring.retire(ring.active.kid)).rejects.toThrow('rotate before retiring');
		await expect(ring.retire('nobody')).rejects.toThrow('There is no key nobody');
		await expect(ring.rotate()).resolves.toBeDefined();
	});

	test('the published set holds public parts only', async () => {
		const ring = await open();
		await ring.rotate();
		const { keys } = ring.jwks();
		expect(keys).toHaveLength(2);
		for (const key of keys) {
			expect(Object.keys(key).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x']);
		}
	});
});

describe('a crash', () => {
	test('temporary files of an interrupted write are removed and never read', async () => {
		const { active } = await open();
		await writeFile(path.join(dir, '.half.jwk.json.0011aabb.tmp'), '{"kty":"OK');
		await writeFile(path.join(dir, '.empty.jwk.json.0011aabb.tmp'), '');
		expect((await open()).active.kid).toBe(active.kid);
		expect(await readdir(dir)).toEqual([`${active.kid}.jwk.json`]);
	});

	test('at no moment of a write is there a key file that is not whole or not closed', async () => {
		const ring = await open();
		let looks = 0;
		const written = new AbortController();
		const look = () => {
			for (const name of readdirSync(dir).filter((entry) => !entry.startsWith('.'))) {
				JSON.parse(readFileSync(path.join(dir, name), 'utf8'));
				expect(statSync(path.join(dir, name)).mode & 0o777).toBe(0o600);
			}
			looks++;
		};
		const watching = (async () => {
			while (!written.signal.aborted) {
				look();
				await setImmediate();
			}
		})();
		await Promise.all([watching, ring.rotate().finally(() => written.abort())]);
		expect(looks).toBeGreaterThan(3);
	});

	test('kill -9 at any moment leaves a ring that opens and has every key that was acknowledged', async () => {
		const script = `
			import { KeyRing } from ${JSON.stringify(path.resolve(import.meta.dirname, '../../auth/key-ring.ts'))};
			const ring = await KeyRing.open({ dir: process.argv[1], now: Date.now, algorithm: 'EdDSA' });
			process.stdout.write(ring.active.kid + '\\n');
			for (;;) {
				const { kid } = await ring.rotate();
				process.stdout.write(kid + '\\n');
			}`;
		const acknowledged = new Set<string>();
		for (let round = 0; round < 6; round++) {
			const child = spawn(process.execPath, ['--input-type=module', '-e', script, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
			let text = '';
			child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
				text += chunk;
				// In the middle of one of the next writes: where exactly, the machine decides.
				if (text.split('\n').length > 2 + round * 2) {
					child.kill('SIGKILL');
				}
			});
			const [, signal]: unknown[] = await once(child, 'close');
			expect(signal).toBe('SIGKILL');
			text.split('\n').slice(0, -1).forEach((kid) => acknowledged.add(kid));
			const ring = await open();
			for (const kid of acknowledged) {
				expect(ring.publicKey(kid), kid).toBeDefined();
			}
			expect((await readdir(dir)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
		}
		expect(acknowledged.size).toBeGreaterThan(6);
	});
});
