import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskSpace } from '../../server/recording/disk-space.ts';
import { PartWriter } from '../../server/recording/part-writer.ts';
import { RecordingError, RecordingProblems } from '../../server/recording/recording-problem.ts';
import { S3Storage } from '../../server/recording/s3-storage.ts';

let dir: string;
beforeEach(() => {
	dir = mkdtempSync(path.join(tmpdir(), 'rostrum-problems-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const errno = (code: string) => Object.assign(new Error(code), { code, errno: -1, syscall: 'write' });

describe('what hinders a recording', () => {
	const told: string[] = [];
	let nowMs = Date.parse('2026-05-24T20:00:00.000Z');
	const problems = new RecordingProblems(() => nowMs);
	problems.on('began', (room, id, { code, cause }) => told.push(`${room} ${id} ${code} ${cause ?? '-'}`));
	problems.on('over', (room, id, { code }) => told.push(`${room} ${id} over ${code}`));
	const news = () => told.splice(0);

	it('is told once, until it is over or something else', () => {
		problems.begin('hall', 'a', errno('ENOSPC'), 'no_sound');
		nowMs += 60_000;
		problems.begin('hall', 'a', errno('EDQUOT'), 'no_sound');
		expect(news()).toEqual(['hall a disk_full ENOSPC']);
		expect(problems.of('hall', 'a')).toEqual({ code: 'disk_full', since: '2026-05-24T20:00:00.000Z', cause: 'ENOSPC' });
		problems.begin('hall', 'a', errno('EIO'), 'no_sound');
		problems.begin('hall', 'b', new Error('no shard'), 'no_sound');
		problems.end('hall', 'a');
		problems.end('hall', 'a');
		expect(news()).toEqual(['hall a disk_error EIO', 'hall b no_sound -', 'hall a over disk_error']);
		expect(problems.of('hall', 'a')).toBeUndefined();
		expect(problems.totals).toMatchObject({ disk_full: 1, disk_error: 1, no_sound: 1, mix_failed: 0 });
	});

	it('is what whoever failed says it is, and of what is deleted nothing is told', () => {
		problems.begin('hall', 'c', new RecordingError('storage_unavailable', 'no', { word: 'AccessDenied', cause: errno('ECONNREFUSED') }), 'mix_failed');
		problems.forget('hall', 'c');
		problems.end('hall', 'c');
		expect(news()).toEqual(['hall c storage_unavailable AccessDenied']);
	});
});

describe('the disk of recordings', () => {
	it('is looked at where they will be, and has room for what is above the reserve', async () => {
		const folder = path.join(dir, 'recordings');
		const free = new DiskSpace({ folder, reserveBytes: 0 });
		const { freeBytes, totalBytes } = await free.look();
		expect(freeBytes).toBeGreaterThan(0);
		expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
		await free.require({ bytes: freeBytes / 2 });
		await expect(free.require({ bytes: totalBytes * 2 })).rejects.toMatchObject({ code: 'disk_full' });
		// Others write to it, too: far from the edge.
		const half = new DiskSpace({ folder, reserveBytes: freeBytes * 0.9 });
		await half.require();
		await expect(half.require({ resuming: true })).rejects.toMatchObject({ code: 'disk_full' });
		await expect(new DiskSpace({ folder, reserveBytes: freeBytes * 2 }).require()).rejects.toMatchObject({ code: 'disk_full' });
	});

	it('that is not there at all is no full one', async () => {
		await expect(new DiskSpace({ folder: '/nowhere/at/all', reserveBytes: 0 }).look()).rejects.toMatchObject({ code: 'ENOENT' });
	});
});

describe('a part of a recording', () => {
	it('without any sound leaves nothing behind, and one with sound all of it', async () => {
		const silent = await PartWriter.create(path.join(dir, 'silent'), 1_000);
		await silent.append(undefined, { names: [[1, 'Ann']] });
		await silent.close();
		const loud = await PartWriter.create(path.join(dir, 'loud'), 1_000);
		await loud.append(Buffer.from('OggS'), { untilMs: 1_000 });
		await loud.close();
		expect(readdirSync(dir)).toEqual(['loud']);
		expect(readdirSync(path.join(dir, 'loud'))).toEqual(['log.jsonl', 'voices.ogg']);
	});

	it('that cannot be begun is not there', async () => {
		writeFileSync(path.join(dir, 'file'), '');
		await expect(PartWriter.create(path.join(dir, 'file', 'part'), 1_000)).rejects.toMatchObject({ code: 'ENOTDIR' });
		expect(existsSync(path.join(dir, 'file', 'part'))).toBe(false);
	});
});

describe('a bucket that takes a connection and says nothing', () => {
	let server: Server;
	const sockets = new Set<Socket>();
	afterEach(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});

	it('is away within seconds, not for ever', async () => {
		server = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1');
		await once(server, 'listening');
		const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
		const storage = S3Storage.create({ endpoint, bucket: 'recordings', region: 'us-east-1', prefix: '', accessKeyId: 'K', secretAccessKey: 'S', pathStyle: true });
		const startedAtMs = performance.now();
		await expect(storage.list({ roomId: 'hall' })).rejects.toThrow();
		expect(performance.now() - startedAtMs).toBeLessThan(15_000);
		expect(sockets.size).toBeGreaterThan(0);
		storage.close();
	});
});
