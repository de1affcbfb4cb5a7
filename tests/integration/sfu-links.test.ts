import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LinkedVoice, LinkEndpoint } from '../../sfu/contract/media-types.ts';
import { figure } from '../support/figure.ts';
import { LinkRig, VOICES } from '../support/link-rig.ts';

const STAGE = 0;
const RELAY = 1;
const EDGE = 2;
const MAX_DOWNSTREAMS = 3;
const ROOM = { roomId: 'a-room' };
const HERE: LinkEndpoint = { ip: '127.0.0.1', port: 22_299 };
const KEYS = { cryptoSuite: 'AEAD_AES_256_GCM', keyBase64: Buffer.alloc(44, 7).toString('base64') } as const;
/** What begins links: an origin, and an edge that relays. */
const BEGINNINGS = [
	['an origin', STAGE],
	['a relay', RELAY],
] as const;

let rig: LinkRig;
let deaths = 0;

beforeAll(async () => {
	// Of ten link ports every test may take what it needs only if those before it gave theirs back.
	// A worker that a test holds up must not be taken for hung and replaced, however slow this machine is just now.
	rig = await LinkRig.start({ mediaPort: 22_200, linkPortMin: 22_220, linkPortMax: 22_229, maxDownstreams: MAX_DOWNSTREAMS, hungAfterMs: 20_000 });
	rig.supervisor.on('shardDown', () => deaths++);
	await openRoom();
});
afterEach(async () => {
	await rig.shard(STAGE).request('origin.close', ROOM);
	await Promise.all([RELAY, EDGE].map((index) => rig.shard(index).request('edge.close', { ...ROOM, reason: 'the test is over' })));
	await openRoom();
});
afterAll(async () => {
	await rig.close();
	expect(deaths).toBe(0);
});

async function openRoom(): Promise<void> {
	await rig.shard(STAGE).request('origin.open', { ...ROOM, voices: VOICES, onAir: true });
	await Promise.all([RELAY, EDGE].map((index) => rig.shard(index).request('edge.open', { ...ROOM, voices: VOICES, packingMs: 20 })));
}

const downstream = (index: number, linkId: string, remote = HERE) => rig.shard(index).request('downstream.create', { ...ROOM, linkId, remote });
const close = (index: number, linkId: string) => rig.shard(index).request('downstream.close', { ...ROOM, linkId });
const codeOf = (outcome: PromiseSettledResult<unknown>): unknown => (outcome.status === 'fulfilled' ? 'made' : (outcome.reason as { code?: unknown }).code);

describe.each(BEGINNINGS)('%s', (_what, index) => {
	it('has no more links than it may, although all are asked for at once', async () => {
		const outcomes = (await Promise.allSettled(Array.from({ length: MAX_DOWNSTREAMS * 3 }, (_, link) => downstream(index, `link-${link}`)))).map(codeOf);
		expect(outcomes.filter((code) => code === 'made')).toHaveLength(MAX_DOWNSTREAMS);
		expect(outcomes.filter((code) => code === 'link_full')).toHaveLength(MAX_DOWNSTREAMS * 2);
		await expect(downstream(index, 'one-more')).rejects.toMatchObject({ code: 'link_full', retryable: true });
		// One that is made again takes its own place.
		await downstream(index, 'link-0');
		await close(index, 'link-1');
		await downstream(index, 'one-more');
		await expect(downstream(index, 'and-another')).rejects.toMatchObject({ code: 'link_full' });
	});

	// A request may be through before the one that was sent behind it arrives; a port that is kept shows in any order.
	it('keeps nothing of links that fail, are refused or are closed while they are made', async () => {
		for (let round = 0; round < 12; round++) {
			const linkId = `link-${round}`;
			const [made, again] = await Promise.allSettled([downstream(index, linkId), downstream(index, linkId), downstream(index, 'no', { ...HERE, port: 0 }), close(index, linkId)]);
			expect(['room_unknown', 'made']).toContain(codeOf(made));
			expect(['room_unknown', 'made']).toContain(codeOf(again));
		}
		// Of the same link asked for twice the later one counts, and the earlier one leaves nothing.
		for (let round = 0; round < 12; round++) {
			const [earlier, later] = await Promise.allSettled([downstream(index, 'twice'), downstream(index, 'twice')]);
			expect(['room_unknown', 'made']).toContain(codeOf(earlier));
			expect(codeOf(later)).toBe('made');
		}
		await close(index, 'twice');
		const all = await Promise.allSettled(Array.from({ length: MAX_DOWNSTREAMS }, (_, link) => downstream(index, `last-${link}`)));
		expect(all.map(codeOf)).toEqual(['made', 'made', 'made']);
	});

	it('gives back every port when the room is closed, links under way too', async () => {
		for (let round = 0; round < 6; round++) {
			await downstream(index, 'whole');
			const [half] = await Promise.allSettled([
				downstream(index, 'half'),
				index === STAGE ? rig.shard(index).request('origin.close', ROOM) : rig.shard(index).request('edge.close', { ...ROOM, reason: 'in a test' }),
			]);
			expect(['room_unknown', 'made']).toContain(codeOf(half));
			await expect(downstream(index, 'late')).rejects.toMatchObject({ code: 'room_unknown' });
			await openRoom();
		}
	});

	it('has no link that leaves the host without an address for such', async () => {
		await expect(downstream(index, 'outside', { ip: '192.0.2.7', port: 40_000, srtpParameters: KEYS })).rejects.toMatchObject({ code: 'wrong_role' });
	});

	it.each<[string, unknown]>([
		['no address', { port: 5 }],
		['a name', { ...HERE, ip: 'localhost' }],
		['every address', { ...HERE, ip: '0.0.0.0', srtpParameters: KEYS }],
		['an address with more behind it', { ...HERE, ip: '127.0.0.1; x' }],
		['port 0', { ...HERE, port: 0 }],
		['a negative port', { ...HERE, port: -1 }],
		['a port beyond the last', { ...HERE, port: 70_000 }],
		['no port', { ip: '127.0.0.1' }],
		['another host in clear', { ...HERE, ip: '192.0.2.7' }],
		['a short key', { ...HERE, srtpParameters: { ...KEYS, keyBase64: 'AAAA' } }],
		['a key of other letters', { ...HERE, srtpParameters: { ...KEYS, keyBase64: '%'.repeat(60) } }],
		['another suite', { ...HERE, srtpParameters: { ...KEYS, cryptoSuite: 'AES_CM_128_HMAC_SHA1_80' } }],
		['no suite', { ...HERE, srtpParameters: { keyBase64: KEYS.keyBase64 } }],
		['nothing', null],
		['a list', []],
	])('refuses an other end that says %s, and goes on', async (_said, remote) => {
		// Whatever shape another node's words have.
		await expect(downstream(index, 'hostile', remote as LinkEndpoint)).rejects.toMatchObject({ code: 'bad_rtp', retryable: false });
		await downstream(index, 'friendly');
	});
});

describe('the receiving half', () => {
	const create = (linkId: string, srtp = false) => rig.shard(EDGE).request('upstream.create', { ...ROOM, linkId, srtp });
	const connect = (linkId: string, remote: LinkEndpoint, voices: LinkedVoice[]) => rig.shard(EDGE).request('upstream.connect', { ...ROOM, linkId, remote, voices });

	it('has no end that leaves the host without an address for such', async () => {
		await expect(create('outside', true)).rejects.toMatchObject({ code: 'wrong_role' });
	});

	it.each<[string, (good: LinkedVoice[]) => { remote?: unknown; voices?: unknown }]>([
		['keys where there are none', () => ({ remote: { ...HERE, srtpParameters: KEYS } })],
		['no host', () => ({ remote: { ip: '', port: 1 } })],
		['a voice twice', ([first]) => ({ voices: [first, first] })],
		['a voice too many', (good) => ({ voices: [...good, { ...good[0], index: VOICES + 1 }] })],
		['one SSRC for two voices', ([first]) => ({ voices: [first, { ...first, index: 1 }] })],
		['no voices at all', () => ({ voices: undefined })],
		['a voice without parameters', () => ({ voices: [{ index: 0 }] })],
	])('refuses an upstream that says %s, keeps no port, and goes on', async (_said, said) => {
		for (let round = 0; round < 12; round++) {
			const linkId = `hostile-${round}`;
			const { voices, ...sending } = await downstream(STAGE, linkId, await create(linkId));
			const { remote = sending, voices: told = voices, ...rest } = { ...said(voices) };
			const lies = 'voices' in said(voices) ? said(voices).voices : told;
			await expect(connect(linkId, remote as LinkEndpoint, lies as LinkedVoice[])).rejects.toMatchObject({ code: 'bad_rtp' });
			expect(rest).toEqual({});
			await close(STAGE, linkId);
		}
		await rig.link(ROOM.roomId, STAGE, EDGE);
	});

	it('says that its link has stalled, again and again, and that it flows, when the other end was only held up', async () => {
		const { linkId } = await rig.link(ROOM.roomId, STAGE, EDGE);
		await rig.listen(ROOM.roomId, EDGE);
		const stalled = () => rig.event(EDGE, 'link.stalled', (link) => link.linkId === linkId);
		const worker = rig.shard(STAGE).workerPid ?? 0;
		expect(worker).toBeGreaterThan(1);
		const heldUpAtMs = performance.now();
		process.kill(worker, 'SIGSTOP');
		try {
			await stalled();
			figure('said to be stalled after', performance.now() - heldUpAtMs);
			const saidAtMs = performance.now();
			await stalled();
			figure('said again after', performance.now() - saidAtMs);
			expect(performance.now() - saidAtMs).toBeGreaterThan(900);
		} finally {
			process.kill(worker, 'SIGCONT');
		}
		expect(await rig.event(EDGE, 'link.flowing')).toEqual({ ...ROOM, linkId });
	});
});

describe('a shard behind an address of another name', () => {
	it('tells other hosts that name, on both ends, and its own host nothing of it', async () => {
		const behind = await LinkRig.start({ mediaPort: 22_250, stageShards: 0, listenerShards: 1, linkAddress: { ip: '127.0.0.1', announcedAddress: '192.0.2.7' } });
		try {
			const shard = behind.shard(0);
			await shard.request('edge.open', { ...ROOM, voices: VOICES, packingMs: 20 });
			expect(await shard.request('upstream.create', { ...ROOM, linkId: 'far', srtp: true })).toMatchObject({ ip: '192.0.2.7', srtpParameters: { cryptoSuite: KEYS.cryptoSuite } });
			const remote = { ip: '192.0.2.8', port: 40_000, srtpParameters: KEYS };
			expect(await shard.request('downstream.create', { ...ROOM, linkId: 'far-too', remote })).toMatchObject({ ip: '192.0.2.7', srtpParameters: { cryptoSuite: KEYS.cryptoSuite } });
			const near = await shard.request('upstream.create', { ...ROOM, linkId: 'near', srtp: false });
			expect(near).toEqual({ ip: '127.0.0.1', port: near.port });
		} finally {
			await behind.close();
		}
	});
});

describe('a shard that is closing', () => {
	it('answers every request or is gone, and makes nothing any more', async () => {
		const closing = await LinkRig.start({ mediaPort: 22_240, stageShards: 0, listenerShards: 1 });
		const shard = closing.shard(0);
		await shard.request('edge.open', { ...ROOM, voices: VOICES, packingMs: 20 });
		const requests = Promise.allSettled([
			shard.request('downstream.create', { ...ROOM, linkId: 'before', remote: HERE }),
			shard.request('upstream.create', { ...ROOM, linkId: 'before-up', srtp: false }),
			shard.request('shard.close', { reason: 'in a test' }),
			shard.request('downstream.create', { ...ROOM, linkId: 'after', remote: HERE }),
			shard.request('upstream.create', { ...ROOM, linkId: 'after-up', srtp: false }),
			shard.request('edge.open', { roomId: 'another', voices: VOICES, packingMs: 20 }),
			shard.request('edge.close', { ...ROOM, reason: 'again' }),
			shard.request('downstream.close', { ...ROOM, linkId: 'before' }),
		]);
		const [first, second, ...others] = (await requests).map(codeOf);
		// Under way when the shard closed: told so by it, or by its end.
		expect(['room_unknown', 'shard_gone']).toContain(first);
		expect(['room_unknown', 'shard_gone']).toContain(second);
		expect(others).toEqual(['made', 'shard_gone', 'shard_gone', 'shard_gone', 'made', 'made']);
		await closing.close();
	});
});
