import { describe, expect, it } from 'vitest';
import { Revocations } from '../../auth/revocations.ts';
import { holderOf } from '../../auth/token-holder.ts';
import type { Peers } from '../../server/cluster/peer-protocol.ts';
import { DomainError } from '../../server/errors.ts';
import { SessionOwners } from '../../server/sessions/session-owners.ts';
import { FakeView, nodeReport } from '../support/cluster/http-nodes.ts';
import { silent } from '../support/redis/connections.ts';

const sam = { subject: 'sam', tokenId: 't1', issuedAt: 100 };
const tim = { subject: 'tim', tokenId: 't2', issuedAt: 100 };

function world({ others = [], request = async () => ({ ended: 0 }) as never }: { others?: string[]; request?: Peers['request'] } = {}) {
	const reports = new Map(['a', ...others].map((id) => [id, nodeReport(id, 'http://127.0.0.1:1')]));
	const index = new Revocations();
	const later: (() => void)[] = [];
	const asked: unknown[] = [];
	const owners = SessionOwners.create({
		media: { endSessions: async (match) => asked.push(match) },
		view: new FakeView('a', reports),
		peers: { request },
		isRevoked: (holder, roomId) => index.of(holder, roomId) !== undefined,
		schedule: (_ms, task) => {
			later.push(task);
			return () => {};
		},
		log: silent,
	});
	return { owners, index, later, asked, reports };
}

describe('owners of sessions', () => {
	it('lose what is theirs, in the room that is meant, and what is over is let go of', async () => {
		const { owners, asked } = world();
		const ended: string[] = [];
		owners.add(sam, 'hall', (reason) => ended.push(`sam hall ${reason}`));
		owners.add(sam, 'den', (reason) => ended.push(`sam den ${reason}`));
		owners.add(tim, 'hall', (reason) => ended.push(`tim hall ${reason}`));
		owners.add(sam, 'hall', () => ended.push('over before'))();
		await owners.end({ subject: 'sam', room: 'hall' }, 'banned');
		expect(ended).toEqual(['sam hall banned']);
		expect(asked).toEqual([{ subject: holderOf(sam).subject, roomId: 'hall' }]);
		await owners.end({ tokenId: 't2' }, 'token_revoked');
		expect(ended).toEqual(['sam hall banned', 'tim hall token_revoked']);
	});

	it('cannot slip in while they are sent away', async () => {
		const { owners, index } = world();
		const join = owners.join(sam, 'hall');
		expect(join.ended).toBeUndefined();
		await owners.end({ subject: 'sam', room: 'hall' }, 'banned');
		expect(() => join.require()).toThrowError(expect.objectContaining({ code: 'banned' }) as Error);
		index.put({ id: 'r', subject: 'tim', issuedBy: 100, revokedBy: 'admin', expiresAt: 1_000 });
		expect(owners.join(holderOf(tim), 'hall').ended).toBe('token_revoked');
		expect(owners.join(holderOf({ ...tim, issuedAt: 101 }), 'hall').ended).toBeUndefined();
		expect(owners.join(null, 'hall').holder).toBeUndefined();
	});

	it('are asked for at every node, again where none answers, and no more when it is gone', async () => {
		let deaf = true;
		const heard: string[] = [];
		const { owners, later, reports } = world({
			others: ['b', 'c'],
			request: async (nodeId) => {
				heard.push(nodeId);
				if (nodeId === 'c' && deaf) throw new DomainError('peer_unreachable', 'deaf');
				return { ended: 0 } as never;
			},
		});
		await owners.end({ subject: 'sam' }, 'banned');
		expect([heard, later.length]).toEqual([['b', 'c'], 1]);
		deaf = false;
		later.shift()?.();
		await expect.poll(() => heard).toEqual(['b', 'c', 'c']);
		deaf = true;
		await owners.end({ subject: 'sam' }, 'banned');
		reports.delete('c');
		later.shift()?.();
		await expect.poll(() => heard.length).toBe(6);
		expect(later).toEqual([]);
	});
});
