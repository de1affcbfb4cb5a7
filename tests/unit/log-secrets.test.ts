import { describe, expect, it } from 'vitest';
import { withoutSecrets } from '../../server/log-secrets.ts';

describe('fields of a log line', () => {
	it('stay as they are, the same object, when nothing in them is secret', () => {
		const fields = { room: 'hall', err: new Error('x'), shards: [{ index: 1 }], none: null };
		expect(withoutSecrets(fields)).toBe(fields);
	});

	it('lose secrets by name, however deep, in lists, in any case, and the rest stays', () => {
		const fields = {
			room: 'hall', Authorization: 'Bearer x', peer: { ice: { iceParameters: { usernameFragment: 'u', password: 'p' }, port: 1 } }, tried: [{ sdp: 'v=0', shard: 2 }, 'b'],
		};
		const before = structuredClone(fields);
		expect(withoutSecrets(fields)).toEqual({
			room: 'hall', Authorization: '[secret]', peer: { ice: { iceParameters: '[secret]', port: 1 } }, tried: [{ sdp: '[secret]', shard: 2 }, 'b'],
		});
		expect(fields).toEqual(before);
	});

	it('may refer to themselves', () => {
		const fields: Record<string, unknown> = { token: 'x' };
		fields['self'] = fields;
		expect(withoutSecrets(fields)['token']).toBe('[secret]');
	});
});
