import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { messagesOf, Outbox, type ShardMail } from '../../sfu/contract/outbox.ts';
import type { ShardMessage } from '../../sfu/contract/shard-protocol.ts';
import { RequestServer, type ShardHandlers } from '../../sfu/shard/request-server.ts';

const result = (id: number): ShardMessage => ({ kind: 'result', id, result: {} });
const uncloneable = (id: number): ShardMessage => ({ kind: 'result', id, result: { callback: () => undefined } });
const nothingIsUnsendable = (): never => {
	throw new Error('this can be sent');
};

describe('the channel between a node and its shard', () => {
	it('carries what was said in one turn as one, in order, and never nothing', async () => {
		const sent: ShardMail[] = [];
		const outbox = new Outbox((mail) => sent.push(mail), nothingIsUnsendable);
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
		}, nothingIsUnsendable);
		outbox.post(result(1));
		for (let turns = 0; turns < 5; turns++) {
			await turn();
		}
		expect(sent).toEqual([result(1), result(11), result(12)]);
	});

	it('says of what cannot be cloned that it was not sent, and carries the rest of the turn in order', async () => {
		const arrived: ShardMessage[] = [];
		const unsendable: [id: number, name: string][] = [];
		const outbox = new Outbox(
			(mail) => arrived.push(...messagesOf(structuredClone(mail))),
			(message, error) => unsendable.push([message.kind === 'result' ? message.id : 0, (error as Error).name]),
		);
		for (const message of [result(1), uncloneable(2), result(3), uncloneable(4), result(5)]) {
			outbox.post(message);
		}
		await turn();
		expect(arrived).toEqual([result(1), result(3), result(5)]);
		expect(unsendable).toEqual([[2, 'DataCloneError'], [4, 'DataCloneError']]);
		outbox.post(uncloneable(6));
		await turn();
		expect(unsendable.at(-1)).toEqual([6, 'DataCloneError']);
		outbox.post(result(7));
		await turn();
		await turn();
		expect(arrived.at(-1)).toEqual(result(7));
		expect([arrived.length, unsendable.length]).toEqual([4, 3]);
	});
});

describe('a shard whose answer cannot be sent', () => {
	it('says so to who asked, and to the log, and answers the others', async () => {
		const port = Object.assign(new EventEmitter(), { connected: true, send: (mail: ShardMail) => sent.push(...messagesOf(structuredClone(mail))) });
		const sent: ShardMessage[] = [];
		const unexpected: string[] = [];
		const handlers = { 'edge.open': () => ({ callback: () => undefined }), 'edge.close': () => ({}) } as unknown as ShardHandlers;
		const server = new RequestServer(port, handlers, (error, what) => unexpected.push(`${what}: ${(error as Error).name}`));
		port.emit('message', [
			{ kind: 'request', id: 1, name: 'edge.open', params: {} },
			{ kind: 'request', id: 2, name: 'edge.close', params: {} },
		]);
		server.event('stage.talkers', { roomId: 'hall', talkers: [], dominant: null, odd: () => undefined } as never);
		await turn();
		await turn();
		await turn();
		expect(sent).toEqual([
			{ kind: 'result', id: 2, result: {} },
			{ kind: 'error', id: 1, code: 'shard_failed', message: expect.stringContaining('cannot be sent') },
		]);
		expect(unexpected.toSorted()).toEqual(['result: DataCloneError', 'stage.talkers: DataCloneError']);
	});
});
