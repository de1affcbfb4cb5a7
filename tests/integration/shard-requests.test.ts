import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RtpParameters } from '../../sfu/contract/media-types.ts';
import { calibrateShard } from '../../sfu/supervisor/calibrate-shard.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import { MediaPlane } from '../support/media-plane.ts';
import { descendantsOf } from '../support/processes.ts';
import { CHROMIUM_THREE_VOICES } from '../support/sdp-fixtures.ts';

const ROOM = { roomId: 'a-room' };
const ANN = { ...ROOM, participantId: 'ann' };
const BOB = { ...ROOM, participantId: 'bob' };
/** Two links with two ends each fit; a third one only when another is really gone. */
const LINK_PORTS = { linkPortMin: 25_240, linkPortMax: 25_243 };
const MAX_LISTENERS = 3;
/** Longer than it had been waited for. */
const HELD_MS = 2_500;
/** Linux gives outgoing connections those below. */
const FIRST_UNCLAIMED = 61_000;

let supervisor: Supervisor;
let stage: Shard;
let edge: Shard;
let deaths = 0;

const start = (mediaPort: number) =>
	Supervisor.start({
		stageShards: 1,
		listenerShards: 1,
		spareShards: 0,
		mediaPort,
		listenAddresses: [{ ip: '127.0.0.1' }],
		...LINK_PORTS,
		iceConsentTimeoutSeconds: 30,
		connectTimeoutMs: 10_000,
		maxListenersPerShard: MAX_LISTENERS,
		requestTimeoutMs: 5_000,
		log: pino({ level: 'silent' }),
	});

beforeAll(async () => {
	supervisor = await start(25_220);
	supervisor.on('shardDown', () => deaths++);
	const [first, second] = supervisor.shards();
	if (!first || !second) {
		throw new Error('two shards');
	}
	[stage, edge] = [first, second];
	await edge.request('edge.open', { ...ROOM, voices: 3, packingMs: 20 });
});
afterAll(async () => {
	await supervisor.close('the test is over', 2_000);
	expect(deaths).toBe(0);
});

const openOrigin = () => stage.request('origin.open', { ...ROOM, voices: 3, onAir: true });
async function openStage(): Promise<void> {
	await openOrigin();
	await stage.request('speaker.add', { ...ANN, number: 1 });
	await stage.request('speaker.add', { ...BOB, number: 2 });
}

const opus = { mimeType: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2, parameters: {}, rtcpFeedback: [] } as const;
const microphone = (changes: Partial<RtpParameters> = {}): RtpParameters => ({
	mid: '0',
	codecs: [{ ...opus, rtcpFeedback: [] }],
	headerExtensions: [],
	encodings: [{ ssrc: 1_111 }],
	rtcp: { cname: 'ann' },
	...changes,
});
const fingerprint = (algorithm: 'sha-1' | 'sha-256' | 'sha-512', bytes: number) => ({ algorithm, value: Array.from({ length: bytes }, () => 'AB').join(':') });

describe('a supervisor', () => {
	it('that cannot have a port says which, and leaves no process behind', async () => {
		const before = childProcesses();
		const blocker = createSocket('udp4').bind(25_231, '127.0.0.1');
		await once(blocker, 'listening');
		try {
			await expect(start(25_230)).rejects.toThrow('media port 25231');
			expect(childProcesses()).toEqual(before);
		} finally {
			blocker.close();
		}
	});

	it('waits for a port that is about to be free: a dead node’s workers end after it', async () => {
		const blocker = createSocket('udp4').bind(25_231, '127.0.0.1');
		await once(blocker, 'listening');
		const freed = sleep(HELD_MS).then(() => blocker.close());
		const late = await start(25_230);
		await freed;
		await late.close('the test is over', 0);
	});
});

describe('runs with nobody', () => {
	it('take no port that a node or an outgoing connection may be given', async () => {
		const ports = new Set<number>();
		const look = setInterval(() => {
			for (const { pid, command } of descendantsOf(process.pid)) {
				if (command.includes('worker') && !known.has(pid)) for (const port of portsOf(pid)) ports.add(port);
			}
		}, 20);
		const known = new Set(descendantsOf(process.pid).map(({ pid }) => pid));
		try {
			await calibrateShard({ log: pino({ level: 'silent' }), joins: 1, receivers: 10, phaseMs: 100 });
		} finally {
			clearInterval(look);
		}
		expect(ports.size).toBeGreaterThan(10);
		expect([...ports].filter((port) => port < FIRST_UNCLAIMED)).toEqual([]);
	});
});

describe('a request that cannot be sent', () => {
	it('is refused as such, and those of the same turn are answered', async () => {
		const odd = { ...ROOM, packingMs: () => 20 } as never;
		const another = { roomId: 'another-room' };
		const [before, refused, after] = await Promise.allSettled([openOrigin(), stage.request('edge.setPacking', odd), stage.request('origin.open', { ...another, voices: 1, onAir: true })]);
		await stage.request('origin.close', another);
		expect([before.status, after.status]).toEqual(['fulfilled', 'fulfilled']);
		expect(refused).toMatchObject({ reason: { code: 'shard_failed', message: expect.stringContaining('cannot be sent'), cause: { message: expect.stringContaining('could not be cloned') } } });
	});
});

describe('one origin of a room on a shard', () => {
	it('stays when it is opened twice at once, and the other attempt is refused', async () => {
		const [first, second] = await Promise.allSettled([openOrigin(), openOrigin()]);
		// On a busy machine the first may be through before the second arrives, and is then replaced.
		if (first.status === 'rejected') {
			expect(first.reason).toMatchObject({ code: 'room_unknown' });
		}
		expect(second.status).toBe('fulfilled');
		await stage.request('speaker.add', { ...ANN, number: 1 });
	});

	it('does not come after all when it is closed while it is made', async () => {
		const [opening] = await Promise.allSettled([openOrigin(), stage.request('origin.close', ROOM)]);
		// On a busy machine it may be there before the closing arrives; it must be gone after it in either case.
		if (opening.status === 'rejected') {
			expect(opening.reason).toMatchObject({ code: 'room_unknown' });
		}
		await expect(stage.request('speaker.add', { ...ANN, number: 1 })).rejects.toMatchObject({ code: 'room_unknown' });
	});
});

describe('links', () => {
	it('that are closed while either half is made keep no port', async () => {
		await openOrigin();
		for (let round = 0; round < 12; round++) {
			const linkId = `link-${round}`;
			const [upstream, downstream] = await Promise.allSettled([
				edge.request('upstream.create', { ...ROOM, linkId, srtp: false }),
				stage.request('downstream.create', { ...ROOM, linkId, remote: { ip: '127.0.0.1', port: 25_299 } }),
				edge.request('upstream.close', { ...ROOM, linkId }),
				stage.request('downstream.close', { ...ROOM, linkId }),
			]);
			// The closing may find a half that is there already; ports that have run out would be `shard_failed`.
			for (const half of [upstream, downstream]) {
				expect(half.status === 'fulfilled' ? { code: 'room_unknown' } : half.reason).toMatchObject({ code: 'room_unknown' });
			}
		}
	});

	it('take the place of all older ones, also of one that connects late', async () => {
		await openOrigin();
		const make = async (linkId: string) => {
			const remote = await edge.request('upstream.create', { ...ROOM, linkId, srtp: false });
			const { voices, ...end } = await stage.request('downstream.create', { ...ROOM, linkId, remote });
			return { ...ROOM, linkId, remote: end, voices };
		};
		const [old, young] = [await make('old'), await make('young')];
		await edge.request('upstream.connect', young);
		await expect(edge.request('upstream.connect', old)).rejects.toMatchObject({ code: 'room_unknown' });
		await stage.request('origin.close', ROOM);
	});

	it('are replaced any number of times without using up ports', async () => {
		const plane = await MediaPlane.start({ mediaPort: 25_260, linkPortMin: 25_290, linkPortMax: 25_293 });
		try {
			const room = await plane.room();
			await plane.listen(room);
			for (let round = 0; round < 10; round++) {
				await expect.poll(() => plane.linkOf(room.id, 1), { timeout: 5_000, interval: 5 }).not.toBe('');
				const before = plane.linkOf(room.id, 1);
				await expect
					.poll(
						() => {
							// The programme takes notice once the link is whole.
							plane.supervisor.emit('shardEvent', 1, 'link.stalled', { roomId: room.id, linkId: before });
							return plane.linkOf(room.id, 1);
						},
						{ timeout: 5_000, interval: 20 },
					)
					.not.toBe(before);
			}
		} finally {
			await plane.close();
		}
	});
});

describe('a listener shard', () => {
	it('takes no more than its number of listeners, although all come at once', async () => {
		const joins = await Promise.allSettled(
			Array.from({ length: MAX_LISTENERS * 3 }, (_, index) =>
				edge.request('listener.join', { ...ROOM, sessionId: `1-${String(index).padStart(32, '0')}`, offer: CHROMIUM_THREE_VOICES }),
			),
		);
		expect(joins.filter(({ status }) => status === 'fulfilled')).toHaveLength(MAX_LISTENERS);
		for (const join of joins) {
			if (join.status === 'rejected') {
				expect(join.reason).toMatchObject({ code: 'shard_full' });
			}
		}
	});
});

describe('a hostile speaker', () => {
	it.each([
		['a SHA-1 of 64 bytes', [fingerprint('sha-1', 64)]],
		['a SHA-512 of 20 bytes', [fingerprint('sha-512', 20)]],
		['eight fingerprints', Array.from({ length: 8 }, () => fingerprint('sha-256', 32))],
	])('may connect once, with %s', async (_name, fingerprints) => {
		await openStage();
		const { id: transportId } = await stage.request('speaker.createTransport', { ...ANN, direction: 'send' });
		const connect = () => stage.request('speaker.connectTransport', { ...ANN, transportId, dtlsParameters: { fingerprints } });
		await connect();
		await expect(connect()).rejects.toMatchObject({ code: 'bad_rtp' });
	});

	it.each<[string, Partial<RtpParameters>]>([
		['the SSRC again', { mid: '1' }],
		['the mid again', { encodings: [{ ssrc: 2 }] }],
		['neither SSRC nor mid', { mid: '', encodings: [{}] }],
		['another codec', { mid: '1', encodings: [{ ssrc: 2 }], codecs: [{ mimeType: 'audio/PCMU', payloadType: 0, clockRate: 8_000 }] }],
		['the same codec twice', { mid: '1', encodings: [{ ssrc: 2 }], codecs: [{ ...opus, rtcpFeedback: [] }, { ...opus, rtcpFeedback: [] }] }],
		['two payload types for it', { mid: '1', encodings: [{ ssrc: 2 }], codecs: [{ ...opus, rtcpFeedback: [] }, { ...opus, rtcpFeedback: [], payloadType: 112 }] }],
		['an unknown extension', { mid: '1', encodings: [{ ssrc: 2 }], headerExtensions: [{ uri: 'urn:nothing' as never, id: 3 }] }],
	])('is told that it is to blame for %s, and the microphone it has runs on', async (_name, changes) => {
		await openStage();
		const { id: transportId } = await stage.request('speaker.createTransport', { ...ANN, direction: 'send' });
		await stage.request('speaker.createTransport', { ...BOB, direction: 'recv' });
		const { producerId } = await stage.request('speaker.produce', { ...ANN, transportId, rtpParameters: microphone() });
		await expect(stage.request('speaker.produce', { ...ANN, transportId, rtpParameters: microphone(changes) })).rejects.toMatchObject({ code: 'bad_rtp' });
		const rtpCapabilities = { codecs: [{ kind: 'audio' as const, preferredPayloadType: 111, ...opus, rtcpFeedback: [] }] };
		expect(await stage.request('speaker.consume', { ...BOB, ofParticipantId: 'ann', rtpCapabilities })).toMatchObject({ producerId });
	});

	it('has one transport each way, however many are asked for', async () => {
		await openStage();
		const made = await Promise.all(Array.from({ length: 200 }, () => stage.request('speaker.createTransport', { ...ANN, direction: 'send' })));
		const restarts = await Promise.allSettled(made.map(({ id }) => stage.request('speaker.restartIce', { ...ANN, transportId: id })));
		expect(restarts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
	});

	it('leaves nothing behind when removed while a transport is made', async () => {
		await openStage();
		const [made] = await Promise.allSettled([stage.request('speaker.createTransport', { ...ANN, direction: 'send' }), stage.request('speaker.remove', ANN)]);
		expect(made).toMatchObject({ status: 'rejected', reason: { code: 'participant_unknown' } });
	});
});

/** Of this process, by id. */
function childProcesses(): number[] {
	return readdirSync('/proc/self/task')
		.flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8').trim().split(' '))
		.filter((pid) => pid !== '')
		.map(Number)
		.toSorted((a, b) => a - b);
}

/** UDP and TCP ports on which a process listens. */
function portsOf(pid: number): number[] {
	try {
		const sockets = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1]));
		const lines = ['udp', 'tcp'].flatMap((protocol) => readFileSync(`/proc/${pid}/net/${protocol}`, 'utf8').trim().split('\n').slice(1));
		return lines.map((line) => line.trim().split(/\s+/)).filter((fields) => sockets.has(fields[9])).map(([, local = '']) => Number.parseInt(local.split(':')[1] ?? '', 16));
	} catch {
		return []; // It has ended.
	}
}

function linkOf(file: string): string {
	try {
		return readlinkSync(file);
	} catch {
		return ''; // Closed since it was listed.
	}
}
