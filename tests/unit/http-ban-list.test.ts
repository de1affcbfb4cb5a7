import { beforeEach, describe, expect, it } from 'vitest';
import { BanList } from '../../server/http/ban-list.ts';
import { FakeRoomStore } from '../support/fakes/fake-room-store.ts';

let store: FakeRoomStore;
let nowMs: number;
let errors: string[];
let bans: BanList;
const ban = (subject: string) => store.ban({ roomId: 'r', subject, name: subject, bannedBy: 'h', bannedAt: '2026-01-01T00:00:00Z' });
const reads = () => store.calls.filter((name) => name === 'listBans').length;

beforeEach(() => {
	store = new FakeRoomStore();
	nowMs = 0;
	errors = [];
	bans = new BanList(store, () => nowMs, (_error, roomId) => errors.push(roomId));
});

describe('BanList', () => {
	it('reads a room once for a surge of questions', async () => {
		await ban('troll');
		const answers = await Promise.all(Array.from({ length: 1000 }, (_, index) => bans.has('r', index === 7 ? 'troll' : `guest-${index}`)));
		expect(answers.filter(Boolean)).toHaveLength(1);
		expect(reads()).toBe(1);
	});

	it('takes bans made here at once, and those made elsewhere after two seconds, without anybody waiting', async () => {
		expect(await bans.has('r', 'a')).toBe(false);
		await ban('a');
		bans.forget('r');
		expect(await bans.has('r', 'a')).toBe(true);
		await ban('b');
		nowMs += 1_999;
		expect(await bans.has('r', 'b')).toBe(false);
		expect(reads()).toBe(2);
		nowMs += 1;
		expect(await bans.has('r', 'b')).toBe(false);
		expect(reads()).toBe(3);
		await new Promise(setImmediate);
		expect(await bans.has('r', 'b')).toBe(true);
	});

	it('does not let a read that began before a ban overrule it', async () => {
		let release = (): void => undefined;
		const slow = new Promise<void>((resolve) => (release = resolve));
		let first = true;
		const list = new BanList(
			{
				listBans: async (roomId) => {
					const found = await store.listBans(roomId);
					if (first) {
						first = false;
						await slow;
					}
					return found;
				},
			},
			() => nowMs,
			() => undefined,
		);
		const before = list.has('r', 'a');
		await ban('a');
		list.forget('r');
		expect(await list.has('r', 'a')).toBe(true);
		release();
		await before;
		expect(await list.has('r', 'a')).toBe(true);
	});

	it('keeps what it knows while the store is away, lets joins go on, and says so', async () => {
		await ban('troll');
		expect(await bans.has('r', 'troll')).toBe(true);
		store.failure = new Error('away');
		nowMs += 60_000;
		expect(await bans.has('r', 'troll')).toBe(true);
		expect(await bans.has('r', 'guest')).toBe(false);
		expect(await bans.has('other', 'guest')).toBe(false);
		expect(errors).toContain('r');
		store.failure = undefined;
		expect(await bans.has('other', 'guest')).toBe(false);
	});
});
