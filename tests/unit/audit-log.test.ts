import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditAct } from '../../server/audit/audit-entry.ts';
import { AuditLog } from '../../server/audit/audit-log.ts';
import type { ClusterView } from '../../server/cluster/cluster-view.ts';
import type { Peers } from '../../server/cluster/peer-protocol.ts';
import { DomainError } from '../../server/errors.ts';
import { nodeReport } from '../support/cluster/http-nodes.ts';
import { silent } from '../support/redis/connections.ts';

let dir: string;
let nowMs: number;
const open: AuditLog[] = [];
beforeEach(() => {
	dir = mkdtempSync(path.join(tmpdir(), 'rostrum-audit-'));
	nowMs = Date.parse('2026-05-24T20:00:00.000Z');
});
afterEach(async () => {
	await Promise.all(open.splice(0).map((log) => log.close()));
	rmSync(dir, { recursive: true, force: true });
});

const act = (target: string, more: Partial<AuditAct> = {}): AuditAct => ({ actor: { subject: 'hana', role: 'host' }, action: 'participant.mute', room: 'hall', target, via: 'http', outcome: 'done', ...more });
const nobody: Peers = { request: async () => Promise.reject(new DomainError('peer_unreachable', 'nobody there')) };

async function log(nodeId = 'node-a', more: { maxFileBytes?: number; keepMs?: number; nodes?: string[]; peers?: Peers } = {}): Promise<AuditLog> {
	const view: Pick<ClusterView, 'nodeId' | 'nodes'> = { nodeId, nodes: () => (more.nodes ?? [nodeId]).map((id) => nodeReport(id, 'http://127.0.0.1:1')) };
	const made = await AuditLog.open({ dir: path.join(dir, nodeId), nodeId, view, peers: more.peers ?? nobody, now: () => nowMs, log: silent, ...more });
	open.push(made);
	return made;
}
const targets = async (from: AuditLog, limit = 100) => (await from.findHere({ limit })).map(({ target }) => target);

describe('the audit log of a node', () => {
	it('is in the order of what happened, also within a millisecond and when the clock goes back', async () => {
		const audit = await log();
		await Promise.all([audit.record(act('1')), audit.record(act('2'))]);
		nowMs -= 60_000;
		await audit.record(act('3'));
		expect(await targets(audit)).toEqual(['3', '2', '1']);
		const ids = (await audit.findHere({ limit: 9 })).map(({ id }) => id);
		expect(ids).toEqual(ids.toSorted().toReversed());
	});

	it('begins a new file when one is full, reads them all, and lets go of those that are too old', async () => {
		const audit = await log('node-a', { maxFileBytes: 400 });
		for (let index = 0; index < 6; index++) {
			await audit.record(act(String(index)));
			nowMs += 1_000;
		}
		const folder = path.join(dir, 'node-a');
		const files = readdirSync(folder).toSorted();
		expect(files.length).toBeGreaterThan(1);
		expect(await targets(audit)).toEqual(['5', '4', '3', '2', '1', '0']);
		await audit.close();
		for (const file of files.slice(0, -1)) utimesSync(path.join(folder, file), 1, 1);
		const again = await log('node-a', { keepMs: 86_400_000 });
		expect(readdirSync(folder)).toEqual(files.slice(-1));
		expect(await targets(again)).toContain('5');
	});

	it('is not washed away by refusals: they are counted when they come too fast, and what is done is always written', async () => {
		const audit = await log();
		for (let index = 0; index < 500; index++) await audit.record(act('x', { outcome: 'refused', code: 'forbidden' }));
		await audit.record(act('done'));
		const entries = await audit.findHere({ limit: 1_000 });
		expect(entries).toHaveLength(101);
		expect(entries[0]).toMatchObject({ target: 'done', suppressed: 400 });
		nowMs += 1_000;
		for (let index = 0; index < 10; index++) await audit.record(act('y', { outcome: 'refused' }));
		expect((await targets(audit, 1_000)).filter((target) => target === 'y')).toHaveLength(5);
	});

	it('goes on without a disk, says nothing to whoever asked, and counts what it could not write', async () => {
		const audit = await log('node-a', { maxFileBytes: 1 });
		await audit.record(act('before'));
		expect(audit.totals).toEqual({ written: 1, lost: 0, suppressed: 0 });
		// The next entry begins a file, and there is no folder for it.
		rmSync(path.join(dir, 'node-a'), { recursive: true });
		await expect(Promise.all([audit.record(act('lost')), audit.record(act('with its folder'))])).resolves.toBeDefined();
		expect(audit.totals).toEqual({ written: 1, lost: 2, suppressed: 0 });
		mkdirSync(path.join(dir, 'node-a'));
		await audit.record(act('after'));
		expect(audit.totals).toEqual({ written: 2, lost: 2, suppressed: 0 });
		expect(await targets(audit)).toEqual(['after']);
	});

	it('tells of what is done line by line once, each hour while it goes on, and again after a break or by somebody else', async () => {
		const audit = await log();
		const caption = (more: Partial<AuditAct> = {}) => audit.record({ actor: { subject: 'cap', role: 'cohost', tokenId: 't1' }, action: 'caption.write', room: 'hall', via: 'http', ip: '192.0.2.1', outcome: 'done', detail: { speaker: 'Hana' }, ...more });
		const entries = async () => (await audit.findHere({ limit: 100, action: 'caption' })).toReversed();
		for (let second = 0; second < 2 * 3_600; second += 4) {
			await caption();
			nowMs += 4_000;
		}
		expect((await entries()).map(({ at, detail }) => [at, detail])).toEqual([
			['2026-05-24T20:00:00.000Z', undefined],
			['2026-05-24T21:00:00.000Z', { acts: 900, since: '2026-05-24T20:00:00.000Z' }],
		]);
		await caption({ ip: '198.51.100.7' });
		await caption({ actor: { subject: 'cap', role: 'cohost', tokenId: 't2' } });
		await caption({ room: 'annexe' });
		await caption({ outcome: 'refused', code: 'too_many_requests' });
		expect(await entries()).toHaveLength(6);
		await caption();
		expect((await entries()).slice(6).map(({ detail }) => detail)).toEqual([{ acts: 900, since: '2026-05-24T21:00:00.000Z' }]);
		nowMs += 16 * 60_000;
		await caption();
		await caption();
		expect((await entries()).slice(7).map(({ ip, detail }) => [ip, detail])).toEqual([['192.0.2.1', undefined]]);
	});

	it('remembers a bounded number of those', async () => {
		const audit = await log();
		const caption = (index: number) => audit.record({ actor: { subject: `cap-${index}`, role: 'cohost' }, action: 'caption.write', room: 'hall', via: 'http', outcome: 'done' });
		await Promise.all(Array.from({ length: 3_000 }, (_, index) => caption(index)));
		// The last ones are known still, the first ones are not.
		await caption(2_999);
		await caption(0);
		expect(audit.totals.written).toBe(3_001);
	});
});

describe('the audit log of a cluster', () => {
	it('is one list, newest first, page by page, with the names of those who did not answer', async () => {
		const b = await log('node-b');
		const peers: Peers = {
			request: async (nodeId, name, params) => {
				if (nodeId !== 'node-b' || name !== 'auditEntries') throw new DomainError('peer_unreachable', 'gone');
				// The table's types cannot follow which name it is.
				return (await b.handlers.auditEntries(params as never, 'node-a')) as never;
			},
		};
		const a = await log('node-a', { nodes: ['node-a', 'node-b', 'node-c'], peers });
		for (const [where, target] of [[a, '1'], [b, '2'], [a, '3'], [b, '4']] as const) {
			await where.record(act(target));
			nowMs += 10;
		}
		const first = await a.find({ limit: 3 });
		expect(first.entries.map(({ target, node }) => `${target} ${node}`)).toEqual(['4 node-b', '3 node-a', '2 node-b']);
		expect(first.missing).toEqual(['node-c']);
		const second = await a.find({ limit: 3, after: first.next! });
		expect(second.entries.map(({ target }) => target)).toEqual(['1']);
		expect(second.next).toBeUndefined();
	});
});
