import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

// A lint rule that no longer fires looks just like code that keeps the layers, so violations are planted.
describe('the lint rule for layers', () => {
	let folder: string;
	beforeEach(() => {
		folder = mkdtempSync(path.join(tmpdir(), 'rostrum-layers-'));
		copyFileSync(path.join(ROOT, '.oxlintrc.json'), path.join(folder, '.oxlintrc.json'));
		symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
	});
	afterEach(() => rmSync(folder, { recursive: true, force: true }));

	function lint(file: string, source: string): string {
		const target = path.join(folder, file);
		mkdirSync(path.dirname(target), { recursive: true });
		writeFileSync(target, source);
		const { stdout, stderr, status } = spawnSync(path.join(ROOT, 'node_modules/.bin/oxlint'), ['--format=unix', file], { cwd: folder, encoding: 'utf8' });
		return status === 0 ? '' : `${stdout}${stderr}`;
	}

	it.each([
		['config/a.ts', '../auth/roles.ts'],
		['config/a.ts', '../sfu/contract/media-types.ts'],
		['auth/a.ts', '../server/errors.ts'],
		['auth/a.ts', '../sfu/contract/media-types.ts'],
		['sfu/edge/a.ts', '../../server/errors.ts'],
		['sfu/edge/a.ts', '../../auth/roles.ts'],
		['server/rooms/a.ts', 'mediasoup'],
		['server/rooms/a.ts', '../../sfu/edge/edge.ts'],
		['server/rooms/a.ts', '../../sfu/whep/listen-offer.ts'],
		['server/rooms/a.ts', '../../tests/support/rooms.ts'],
	])('%s may not import %s', (file, imported) => {
		expect(lint(file, `import * as thing from '${imported}';\nexport const it = thing;\n`)).toContain('no-restricted-imports');
	});

	it.each([
		['auth/a.ts', '../config/schema.ts'],
		['sfu/edge/a.ts', 'mediasoup'],
		['server/rooms/a.ts', '../../auth/roles.ts'],
		['server/rooms/a.ts', '../../sfu/contract/media-types.ts'],
		['server/rooms/a.ts', '../../sfu/supervisor/supervisor.ts'],
	])('%s may import %s', (file, imported) => {
		expect(lint(file, `import * as thing from '${imported}';\nexport const it = thing;\n`)).toBe('');
	});
});
