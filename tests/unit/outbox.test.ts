import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { messagesOf, Outbox, type ShardMail } from '../../sfu/contract/outbox.ts';
import type { ShardMessage } from '../../sfu/contract/shard-protocol.ts';

const result = (id: number): ShardMessage => ({ kind: 'result', id, result: {} });

describe('the channel between a node and its shard', () => {
	it('carries what was said in one turn as one, in order, and never nothing', async () => {
		const sent: ShardMail[] = [];
		const outbox = new Outbox((mail) => sent.push(mail));
		outbox.post(result(1));
		await turn();
		for (const id of [2, 3, 4]) {
			outbox.post(result(id));
		}
		await turn();
		await turn();
		expect(sent).toEqual([result(1), [result(2), result(3), result(4)]]);
		expect(sent.map((mail) => messagesOf(mail).length)).toEqual([1, 3]);
	});

	it('takes what is said while it sends into the next turn', async () => {
		const sent: ShardMail[] = [];
		const outbox = new Outbox((mail) => {
			sent.push(mail);
			if (sent.length < 3) {
				outbox.post(result(10 + sent.length));
			}
		});
		outbox.post(result(1));
		for (let turns = 0; turns < 5; turns++) {
			await turn();
		}
		expect(sent).toEqual([result(1), result(11), result(12)]);
	});
});
