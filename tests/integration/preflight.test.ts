import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FleetCapacityNow } from '../../server/capacity/capacity-schemas.ts';
import type { NodeCheck, PreflightReport } from '../../server/preflight/preflight-report.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { samplesOf } from '../support/scrape.ts';

const MEDIA_PORT = 27_400;
const ROOT = path.resolve(import.meta.dirname, '../..');
const preflight = (server: RostrumProcess, room: string, body: object = { calibrate: false }) =>
	server.json<PreflightReport>('POST', `/v1/admin/rooms/${room}/preflight`, body);
const found = ({ checks }: PreflightReport, name: string): NodeCheck | undefined => checks.find(({ check }) => check === name);

/** With the exit code, whatever it is. */
async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
	try {
		return { code: 0, ...(await promisify(execFile)(path.join(ROOT, 'node_modules/.bin/node'), ['server/cli/preflight.ts', ...args], { cwd: ROOT })) };
	} catch (error) {
		return error as { code: number; stdout: string; stderr: string };
	}
}

describe('preflight on a real node', () => {
	let server: RostrumProcess;
	let dataDir: string;
	let room: string;
	beforeAll(async () => {
		dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-preflight-'));
		server = await RostrumProcess.start({ mediaPort: MEDIA_PORT, dataDir });
		room = await server.room({ expectedListeners: 500 }, 'scheduled');
	});
	afterAll(async () => {
		await server.stop();
		rmSync(dataDir, { recursive: true, force: true });
	});

	it('measures the machine once, keeps the figures, and reckons with them', async () => {
		const defaults = await server.json<FleetCapacityNow>('GET', '/v1/admin/capacity');
		expect(defaults.nodes[0]?.calibration.source).toBe('defaults');
		const report = await preflight(server, room, {});
		expect(found(report, 'calibration')).toMatchObject({ status: 'ok' });
		const { nodes, ...capacity } = report.capacity;
		expect(nodes[0]?.calibration).toMatchObject({ source: 'measured' });
		expect(capacity).toMatchObject({ packingMs: 60, expectedListeners: 500, withinSeconds: 60, enough: true, moreNodes: 0, overflowShare: 0 });
		expect(existsSync(path.join(dataDir, 'calibration.json'))).toBe(true);

		// Far apart from nonsense on any machine: what a listener costs is some hundred microseconds and some ten kilobytes.
		const { cpuUsPerListenerSecond: us, cpuMsPerJoin, bytesPerListener } = nodes[0]!.calibration;
		expect(us[20]).toBeGreaterThan(us[40]);
		expect(us[40]).toBeGreaterThan(us[60]);
		expect(us[60]).toBeGreaterThan(us[120]);
		expect(us[60]).toBeGreaterThan(60);
		expect(us[60]).toBeLessThan(2_000);
		expect(cpuMsPerJoin).toBeGreaterThan(2);
		expect(cpuMsPerJoin).toBeLessThan(20);
		expect(bytesPerListener).toBeGreaterThan(60_000);
		expect(bytesPerListener).toBeLessThan(250_000);

		// Known from now on, so the second look does not measure again.
		expect(found(await preflight(server, room, {}), 'calibration')).toBeUndefined();
		const live = await server.json<FleetCapacityNow>('GET', '/v1/admin/capacity');
		expect(live.nodes[0]?.calibration).toMatchObject({ source: 'measured', cpuMsPerJoin });
		expect(live.nodes[0]?.calibration.ageSeconds).toBeLessThan(60);
		expect(live.capacity.listeners).toBe(report.capacity.capacity);
	});

	it('finds nothing wrong that would keep a small audience out, and says so in plain words', async () => {
		const report = await preflight(server, room);
		expect(report.checks.filter(({ status }) => status === 'failed')).toEqual([]);
		expect(report.ready).toBe(true);
		expect(report.summary).toMatch(/^This fleet of 1 node holds [\d,]+ listeners at 60 ms and admits [\d,]+ a second\. You expect 500 within 60 s: that is enough\. .*No check failed\./);
		expect(report.checks.map(({ check }) => check)).toEqual(expect.arrayContaining(['shards', 'file_descriptors', 'ephemeral_ports', 'link_ports', 'udp_buffers', 'processor', 'memory', 'disk', 'public_url', 'media_address', 'overflow', 'clock', 'capacity']));
		for (const { status, advice } of report.checks) {
			expect(advice === '').toBe(status === 'ok');
		}
	});

	it('says what is missing for an audience that the node does not hold', async () => {
		const report = await preflight(server, room, { expectedListeners: 1_000_000, withinSeconds: 60, calibrate: false });
		expect(report.ready).toBe(false);
		expect(found(report, 'capacity')).toMatchObject({ node: '*', status: 'failed' });
		const { capacity, moreNodes = 0, overflowShare } = report.capacity;
		expect(moreNodes).toBeGreaterThanOrEqual(Math.ceil(1_000_000 / capacity) - 1);
		expect(overflowShare).toBeCloseTo(1 - capacity / 1_000_000, 3);
		expect(report.summary).toContain(`You need ${moreNodes} more nodes like these, or ${Math.round(overflowShare * 100)} % will hear the HLS stream.`);
	});

	it('tells the same figures as metrics', async () => {
		const figures = samplesOf(await (await server.call('GET', '/metrics')).text());
		const { headroom, capacity } = await server.json<FleetCapacityNow>('GET', '/v1/admin/capacity');
		expect(figures.get('rostrum_capacity_listeners')).toBe(capacity.listeners);
		expect(figures.get('rostrum_headroom_ratio')).toBeGreaterThan(headroom.ratio - 0.2);
		expect(figures.get('rostrum_headroom_listeners')).toBeGreaterThan(0);
	});

	it('finds link ports that another program holds', async () => {
		const sockets: Socket[] = [];
		try {
			for (let port = MEDIA_PORT + 20; port < MEDIA_PORT + 80; port++) {
				const socket = createSocket('udp4');
				sockets.push(socket);
				socket.bind(port, '127.0.0.1');
				await once(socket, 'listening');
			}
			const report = await preflight(server, room);
			expect(found(report, 'link_ports')).toMatchObject({ status: 'failed' });
			expect(found(report, 'link_ports')?.detail).toMatch(/^(19|20) of the 80 link ports/);
			expect(report.ready).toBe(false);
		} finally {
			sockets.forEach((socket) => socket.close());
		}
		expect(found(await preflight(server, room), 'link_ports')).toMatchObject({ status: 'ok' });
	});

	it('knows no room that is not there, and nobody but admins', async () => {
		expect((await server.call('POST', '/v1/admin/rooms/nowhere/preflight')).status).toBe(404);
		const { token } = await server.token(room, 'host', 'Hana');
		expect((await server.call('POST', `/v1/admin/rooms/${room}/preflight`, {}, token)).status).toBe(403);
		expect((await server.call('POST', `/v1/admin/rooms/${room}/preflight`, {}, null)).status).toBe(401);
		expect((await server.call('GET', '/v1/admin/capacity', undefined, token)).status).toBe(403);
		expect((await server.call('POST', `/v1/admin/rooms/${room}/preflight`, { calibrate: 'yes' })).status).toBe(400);
	});

	it('answers on the command line, by its exit code too', async () => {
		const common = ['--url', server.url, '--token', ADMIN_TOKEN, '--calibrate', 'no'];
		const good = await cli(...common, '--room', room);
		expect(good).toMatchObject({ code: 0 });
		expect(good.stdout).toContain('You expect 500 within 60 s: that is enough.');
		expect(good.stdout.trim().split('\n').at(-1)).toBe('Ready.');
		const small = await cli(...common, '--room', room, '--expect', '1000000', '--json');
		expect(small.code).toBe(1);
		expect(JSON.parse(small.stdout)).toMatchObject({ ready: false, capacity: { expectedListeners: 1_000_000 } });
		const unknown = await cli(...common, '--room', 'nowhere');
		expect(unknown).toMatchObject({ code: 1, stdout: '' });
		expect(unknown.stderr).toContain('404');
		expect((await cli('--url', server.url)).code).toBe(2);
	});
});

describe('preflight on a node with faults', () => {
	it('finds a low limit of open files and an ffmpeg that is not there', async () => {
		const limited = await RostrumProcess.start({
			mediaPort: MEDIA_PORT + 200,
			env: { ROSTRUM_OVERFLOW_FFMPEG_PATH: '/nowhere/ffmpeg', ROSTRUM_HTTP_MAX_EVENT_STREAMS: '200' },
		});
		try {
			// As a unit file would: the running node reads its own limits, and these are that process's.
			await promisify(execFile)('prlimit', ['--pid', String(limited.pid), '--nofile=300:300']);
			const room = await limited.room({ expectedListeners: 100 }, 'scheduled');
			const report = await preflight(limited, room);
			expect(found(report, 'file_descriptors')).toMatchObject({ status: 'failed' });
			expect(found(report, 'file_descriptors')?.detail).toContain('may open 300 files');
			// Everybody has a place without it; when it will be needed, it has to be there.
			expect(found(report, 'overflow')).toMatchObject({ status: 'warning' });
			expect(found(report, 'overflow')?.detail).toBe('There is no program "/nowhere/ffmpeg".');
			const crowd = await preflight(limited, room, { expectedListeners: 1_000_000, calibrate: false });
			expect(found(crowd, 'overflow')).toMatchObject({ status: 'failed' });
			expect(report.ready).toBe(false);
		} finally {
			await limited.stop();
		}
	});
});
