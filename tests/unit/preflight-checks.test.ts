import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { machineChecks, type NodeNeeds } from '../../server/preflight/machine-checks.ts';
import { reachChecks } from '../../server/preflight/reach-checks.ts';
import { judgePolicy, redisChecks } from '../../server/preflight/redis-checks.ts';
import { addressChecks } from '../../server/preflight/service-checks.ts';
import { answeredTransaction, bindingRequest } from '../../server/preflight/stun.ts';
import { openFilesOf, portsOf, rangesOf, type SystemFacts } from '../../server/preflight/system-facts.ts';

const MB = 1_048_576;
const FACTS: SystemFacts = {
	openFiles: 1_048_576,
	ephemeralPorts: { first: 32_768, last: 60_999 },
	reservedPorts: [{ first: 40_000, last: 41_999 }],
	udpPorts: new Set(),
	udpBuffers: { receiveDefault: MB, receiveMax: MB, sendDefault: MB, sendMax: MB },
	load: 0.1,
	freeDiskBytes: 50e9,
};
const NEEDS: NodeNeeds = {
	listeners: 5_000, bytesPerListener: 120_000, maxEventStreams: 20_000, shards: 4, cores: 4, freeMemoryBytes: 8e9,
	mediaPorts: { first: 40_000, last: 40_003 }, linkPorts: { first: 41_000, last: 41_999 }, linksNeeded: 70,
};
const statuses = (facts: Partial<SystemFacts>, needs: Partial<NodeNeeds> = {}) =>
	Object.fromEntries(machineChecks({ ...FACTS, ...facts }, { ...NEEDS, ...needs }).filter(({ status }) => status !== 'ok').map(({ check, status }) => [check, status]));

describe('what a node finds of its machine', () => {
	it('is nothing where all is well', () => {
		expect(statuses({})).toEqual({});
		expect(machineChecks(FACTS, NEEDS).every(({ advice }) => advice === '')).toBe(true);
	});

	it.each<[string, Partial<SystemFacts>, Partial<NodeNeeds>, Record<string, string>]>([
		['fewer files than listeners need', { openFiles: 4_096 }, {}, { file_descriptors: 'failed' }],
		['fewer files than the configuration allows', { openFiles: 10_000 }, {}, { file_descriptors: 'warning' }],
		['ports that anybody may be given', { reservedPorts: [] }, {}, { ephemeral_ports: 'warning' }],
		['a part of the ports that anybody may be given', { reservedPorts: [{ first: 40_000, last: 41_998 }] }, {}, { ephemeral_ports: 'warning' }],
		['ports below those', { reservedPorts: [] }, { mediaPorts: { first: 20_000, last: 20_003 }, linkPorts: { first: 21_000, last: 21_999 } }, {}],
		['link ports that are taken', { udpPorts: new Set(Array.from({ length: 950 }, (_, index) => 41_000 + index)) }, {}, { link_ports: 'failed' }],
		['small buffers for a crowd', { udpBuffers: { receiveDefault: 212_992, receiveMax: 4 * MB, sendDefault: 212_992, sendMax: 4 * MB } }, {}, { udp_buffers: 'warning' }],
		['small buffers for a few', { udpBuffers: { receiveDefault: 212_992, receiveMax: MB, sendDefault: 212_992, sendMax: MB } }, { listeners: 50 }, {}],
		['a busy machine', { load: 3.5 }, {}, { processor: 'warning' }],
		['more shards than cores', {}, { shards: 9 }, { processor: 'warning' }],
		['too little memory', {}, { freeMemoryBytes: 500e6 }, { memory: 'failed' }],
		['hardly enough memory', {}, { freeMemoryBytes: 650e6 }, { memory: 'warning' }],
		['a full disk', { freeDiskBytes: 20e6 }, {}, { disk: 'failed' }],
		['a disk that fills', { freeDiskBytes: 500e6 }, {}, { disk: 'warning' }],
		['what cannot be seen', { openFiles: undefined, ephemeralPorts: undefined, udpPorts: undefined, udpBuffers: undefined }, {}, {}],
	])('is %s', (_what, facts, needs, expected) => {
		expect(statuses(facts, needs)).toEqual(expected);
	});

	it('reads what Linux writes', () => {
		expect(openFilesOf('Max cpu time              unlimited            unlimited            seconds\nMax open files            1024                 524288               files\n')).toBe(1_024);
		expect(openFilesOf('Max open files            unlimited            unlimited            files\n')).toBe(Infinity);
		expect(rangesOf('8080,40000-41999\n')).toEqual([{ first: 8_080, last: 8_080 }, { first: 40_000, last: 41_999 }]);
		expect(rangesOf('\n')).toEqual([]);
		const udp = '  sl  local_address rem_address   st tx_queue\n  402: 00000000:A028 00000000:0000 07 00000000\n  403: 0100007F:0035 00000000:0000 07 00000000\n';
		const udp6 = '  77: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 07\n';
		expect([...portsOf(udp), ...portsOf(udp6)]).toEqual([41_000, 53, 8_080]);
	});
});

describe('what a node finds of its addresses', () => {
	const statusesOf = (url: string | undefined, ...ips: string[]) => addressChecks(url, ips.map((ip) => ({ ip }))).map(({ status }) => status);
	it.each([
		['https://rooms.example.org', ['203.0.113.7'], ['ok', 'ok']],
		['http://rooms.example.org', ['203.0.113.7'], ['warning', 'ok']],
		['https://rooms.example.org', ['127.0.0.1'], ['ok', 'failed']],
		['https://rooms.example.org', ['10.1.2.3', '127.0.0.1'], ['ok', 'warning']],
		['https://192.168.1.5', ['192.168.1.5'], ['warning', 'ok']],
		['http://localhost:3000', ['127.0.0.1'], ['warning', 'warning']],
		[undefined, ['127.0.0.1'], ['warning', 'warning']],
	])('%s with media at %j', (url, ips, expected) => {
		expect(statusesOf(url, ...ips)).toEqual(expected);
	});
});

describe('what a node finds of Redis', () => {
	const info = (over: Record<string, string>) =>
		Object.entries({ role: 'master', maxmemory: '0', maxmemory_policy: 'noeviction', aof_enabled: '1', rdb_last_save_time: '1', ...over }).map(([name, value]) => `${name}:${value}\r\n`).join('');
	it.each([
		[{}, 'ok'],
		[{ role: 'slave' }, 'failed'],
		[{ maxmemory: '1000000', maxmemory_policy: 'allkeys-lru' }, 'failed'],
		[{ maxmemory_policy: 'allkeys-lru' }, 'warning'],
		[{ aof_enabled: '0' }, 'warning'],
	])('%j: %s', (over, status) => {
		expect(judgePolicy(info(over)).status).toBe(status);
	});

	it('is how far the clocks are apart', async () => {
		const answers = { ping: 'PONG', info: info({}), time: ['1800000000', '500000'] };
		const { checks, clockAheadMs } = await redisChecks({ answers: true, call: async (name) => answers[name] }, () => 1_800_000_002_000);
		expect(clockAheadMs).toBe(1_500);
		expect(checks.map(({ status }) => status)).toEqual(['ok', 'ok']);
	});

	it('is that it does not answer, or tells nothing of itself', async () => {
		const { checks, clockAheadMs } = await redisChecks({ answers: false, call: () => Promise.reject(new Error('away')) }, Date.now);
		expect(checks).toMatchObject([{ check: 'redis', status: 'failed' }]);
		expect(clockAheadMs).toBeUndefined();
		const shy = await redisChecks({ answers: true, call: (name) => (name === 'ping' ? Promise.resolve('PONG') : Promise.reject(new Error('NOPERM'))) }, Date.now);
		expect(shy.checks.map(({ status }) => status)).toEqual(['ok', 'ok']);
	});
});

describe('what a node finds of another', () => {
	const reached = { nodeId: 'node-b', announced: false, shards: [0, 1, 2], udp: [0, 1, 2], tcp: [0, 1, 2], link: true };
	it.each([
		[{}, ['ok', 'ok']],
		[{ udp: [] }, ['failed', 'ok']],
		[{ udp: [0, 1] }, ['failed', 'ok']],
		[{ udp: [], tcp: [], link: false }, ['failed', 'failed']],
		[{ udp: [], tcp: [], announced: true }, ['warning', 'ok']],
		[{ tcp: [] }, ['warning', 'ok']],
		[{ shards: [], udp: [], tcp: [] }, ['failed', 'ok']],
		[{ link: undefined }, ['ok', 'failed']],
	])('%j: %j', (over, expected) => {
		const checks = reachChecks([{ ...reached, ...over }]);
		expect(checks.map(({ status }) => status)).toEqual(expected);
		expect(checks.every(({ target }) => target === 'node-b')).toBe(true);
	});
});

describe('a STUN binding request', () => {
	// RFC 8489 §14.5, §14.7: each covers what is before it, under a length that counts it in.
	it('names whom it is for, and is signed with the password', () => {
		const { packet, transactionId } = bindingRequest('server', 'a password of the server');
		expect(packet.readUInt16BE(0)).toBe(1);
		expect(packet.readUInt16BE(2)).toBe(packet.length - 20);
		expect(packet.toString('hex', 8, 20)).toBe(transactionId);
		expect(packet.toString('latin1')).toContain('server:preflight');
		expect(packet.readUInt32BE(packet.length - 4)).toBe((crc32(packet.subarray(0, -8)) ^ 0x5354554e) >>> 0);
		const signed = Buffer.from(packet.subarray(0, -32));
		signed.writeUInt16BE(packet.length - 20 - 8, 2);
		expect(packet.subarray(-28, -8)).toEqual(createHmac('sha1', 'a password of the server').update(signed).digest());
	});

	it('is answered by success alone', () => {
		const { packet, transactionId } = bindingRequest('server', 'a password of the server');
		expect(answeredTransaction(packet)).toBeUndefined();
		const answer = Buffer.from(packet.subarray(0, 20));
		answer.writeUInt16BE(0x0101, 0);
		expect(answeredTransaction(answer)).toBe(transactionId);
		expect(answeredTransaction(answer.subarray(0, 19))).toBeUndefined();
		expect(answeredTransaction(Buffer.alloc(0))).toBeUndefined();
	});
});
