import { describe, expect, it } from 'vitest';
import { makeSessionId, shardIndexOf } from '../../sfu/contract/session-id.ts';
import { edgeKindKey, edgeKindOf, effectivePackingMs } from '../../sfu/edge/edge-kind.ts';
import { mediaAddresses } from '../../server/programme/media-addresses.ts';

describe('kinds of edge routers', () => {
	it.each([
		[111, 120, undefined, 60, 60],
		[111, 120, 20, 60, 20],
		[109, 20, undefined, 60, 20],
		[109, 50, undefined, 60, 40],
		[96, 60, 120, 20, 60],
		[96, 10, undefined, 120, 20],
	] as const)('payload type %i, maxptime %i, ?packing=%s in a room at %i ms gets %i ms', (payloadType, maxMs, fixed, roomMs, expected) => {
		expect(effectivePackingMs(edgeKindOf(payloadType, maxMs, fixed), roomMs)).toBe(expected);
	});

	it('clients that differ in nothing that matters share a router', () => {
		expect(edgeKindKey(edgeKindOf(111, 119, undefined))).toBe(edgeKindKey(edgeKindOf(111, 60, undefined)));
		expect(edgeKindKey(edgeKindOf(111, 120, undefined))).not.toBe(edgeKindKey(edgeKindOf(109, 120, undefined)));
		expect(edgeKindKey(edgeKindOf(111, 120, 60))).not.toBe(edgeKindKey(edgeKindOf(111, 120, undefined)));
	});
});

describe('session ids', () => {
	it('carry their shard', () => {
		expect(shardIndexOf(makeSessionId(7, 'a'.repeat(32)))).toBe(7);
	});
	it.each(['', '7', '7-', 'x-00000000000000000000000000000000', `1-${'g'.repeat(32)}`, `-1-${'0'.repeat(32)}`, `1-${'0'.repeat(33)}`, `1-${'0'.repeat(32)}\n`, '__proto__'])(
		'%j is not one',
		(id) => {
			expect(shardIndexOf(id)).toBeUndefined();
		},
	);
});

describe('addresses that shards listen on', () => {
	const address = (text: string, internal: boolean) => ({ address: text, internal, family: 'IPv4', netmask: '', mac: '', cidr: null }) as const;
	const interfaces = { lo: [address('127.0.0.1', true)], eth0: [address('192.0.2.7', false), address('fe80::1', false)] };
	it.each([
		['one address is taken as it is', { mediaAddress: '192.0.2.7' }, [{ ip: '192.0.2.7' }]],
		['behind NAT clients are told another', { mediaAddress: '10.0.0.2', announcedAddress: '203.0.113.7' }, [{ ip: '10.0.0.2', announcedAddress: '203.0.113.7' }]],
		['auto takes all but link-local, and loopback', { mediaAddress: 'auto' }, [{ ip: '192.0.2.7' }, { ip: '127.0.0.1' }]],
		['auto behind NAT', { mediaAddress: 'auto', announcedAddress: '203.0.113.7' }, [{ ip: '0.0.0.0', announcedAddress: '203.0.113.7' }]],
	])('%s', (_what, settings, expected) => {
		expect(mediaAddresses(settings, interfaces)).toEqual(expected);
	});
});
