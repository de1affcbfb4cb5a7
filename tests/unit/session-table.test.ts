import { describe, expect, it } from 'vitest';
import { type Session, SessionTable } from '../../sfu/session/session-table.ts';

function fakeSession(id: string, connectByMs: number, table: SessionTable): Session & { closedBy: string[] } {
	const closedBy: string[] = [];
	return {
		id,
		connectByMs,
		isConnected: false,
		closedBy,
		patch: () => Promise.resolve({ etag: '' }),
		close: (reason) => {
			closedBy.push(reason);
			table.remove(id, reason === 'left');
		},
	};
}

describe('the sessions of a shard', () => {
	it('ends those of a person or a token, as narrowly as is asked, and forgets owners with their sessions', () => {
		const owner = (subject: string, token: string, issuedAt = 10) => ({ subject, token, issuedAt });
		const table = new SessionTable(1_000);
		const all = ['a', 'b', 'c', 'd', 'nobody’s'].map((id) => fakeSession(id, 1e9, table));
		for (const session of all) table.add(session);
		table.own('a', 'hall', owner('sam', 't1'));
		table.own('b', 'hall', owner('sam', 't2', 20));
		table.own('c', 'den', owner('sam', 't1'));
		table.own('d', 'hall', owner('tim', 't3'));
		table.own('gone', 'hall', owner('sam', 't1'));
		const left = () => all.filter(({ closedBy }) => closedBy.length === 0).map(({ id }) => id).join('');
		expect([table.endOf({}), table.endOf({ roomId: 'hall' }), table.endOf({ subject: 'tim', roomId: 'den' }), table.endOf({ subject: 'sam', issuedBy: 9 })]).toEqual([0, 0, 0, 0]);
		expect([table.endOf({ subject: 'sam', roomId: 'hall', issuedBy: 10 }), left()]).toEqual([1, 'bcdnobody’s']);
		expect([table.endOf({ token: 't1' }), left()]).toEqual([1, 'bdnobody’s']);
		expect([table.endOf({ subject: 'sam' }), table.endOf({ subject: 'sam' }), left()]).toEqual([1, 0, 'dnobody’s']);
	});

	it('closes those that have not connected by their deadline, and no others', () => {
		const table = new SessionTable(1_000);
		const [late, connected, early] = [1_000, 1_000, 2_000].map((deadline, i) => fakeSession(`s${i}`, deadline, table));
		for (const session of [late, connected, early]) {
			table.add(session as Session);
		}
		table.connected('s1');
		table.sweep(999);
		expect(table.size).toBe(3);
		table.sweep(1_500);
		expect(late?.closedBy).toEqual(['never connected']);
		expect(table.size).toBe(2);
		table.sweep(2_500);
		expect(connected?.closedBy).toEqual([]);
		expect(table.size).toBe(1);
	});

	it('answers the DELETE of a client that said goodbye over DTLS before it, once and for a while', () => {
		const table = new SessionTable(1_000);
		for (const id of ['a', 'b', 'c']) {
			const session = fakeSession(id, 1e9, table);
			table.add(session);
			session.close(id === 'c' ? 'connection lost' : 'left');
		}
		table.end('a');
		expect(() => table.end('a')).toThrow('no such session');
		expect(() => table.end('c')).toThrow('no such session');
		table.sweep(performance.now() + 11_000);
		expect(() => table.end('b')).toThrow('no such session');
	});

	it('ends a session by DELETE, and takes no id twice', () => {
		const table = new SessionTable(1_000);
		const session = fakeSession('a', 1e9, table);
		table.add(session);
		expect(() => table.add(session)).toThrow('taken');
		table.end('a');
		expect(session.closedBy).toEqual(['deleted']);
		expect(() => table.end('a')).toThrow('no such session');
	});
});
