// Changes a store as fast as it can and tells its parent each change once it is acknowledged. It is
// killed in the middle of it (tests/integration/store-kill.test.ts).
import { DiskRoomStore } from '../../server/rooms/store/disk-store.ts';
import { aRoom } from './rooms.ts';

/** One acknowledged change; the parent keeps the book by them. */
export type AcknowledgedChange =
	| { kind: 'room'; id: string; version: number; title: string }
	| { kind: 'removed'; id: string }
	| { kind: 'number'; roomId: string; subject: string; number: number }
	| { kind: 'ban'; roomId: string; subject: string }
	| { kind: 'unban'; roomId: string; subject: string }
	| { kind: 'value'; key: string; value: string };

const [file, round] = process.argv.slice(2);
if (file === undefined || round === undefined || process.send === undefined) throw new Error('usage: forked with FILE ROUND');
const acknowledge = (change: AcknowledgedChange): void => {
	process.send?.(change);
};

const store = await DiskRoomStore.open({ file });
const lasting = `round-${round}`;
await store.createRoom(aRoom({ id: lasting }));
acknowledge({ kind: 'room', id: lasting, version: 1, title: aRoom().title });

for (let turn = 2; ; turn++) {
	const title = `Turn ${turn}`;
	await store.updateRoom(aRoom({ id: lasting, title, version: turn, description: 'd'.repeat((turn * 97) % 4_000) }));
	acknowledge({ kind: 'room', id: lasting, version: turn, title });

	const subject = `user-${turn}`;
	acknowledge({ kind: 'number', roomId: lasting, subject, number: await store.speakerNumber(lasting, subject) });

	await store.ban({ roomId: lasting, subject, name: 'Somebody', bannedBy: 'host', bannedAt: '2026-05-24T20:10:00.000Z' });
	acknowledge({ kind: 'ban', roomId: lasting, subject });
	if (turn % 3 === 0) {
		await store.unban(lasting, subject);
		acknowledge({ kind: 'unban', roomId: lasting, subject });
	}

	await store.setValue('turn', `${round}/${turn}`);
	acknowledge({ kind: 'value', key: 'turn', value: `${round}/${turn}` });

	const passing = `passing-${round}-${turn}`;
	await store.createRoom(aRoom({ id: passing }));
	acknowledge({ kind: 'room', id: passing, version: 1, title: aRoom().title });
	await store.removeRoom(passing);
	acknowledge({ kind: 'removed', id: passing });

	// Lets the messages out, and the parent keep up.
	await new Promise((resolve) => setImmediate(resolve));
}
