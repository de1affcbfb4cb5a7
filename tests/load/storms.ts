// A storm on Rostrum and on bare mediasoup behind plain HTTP, in turns, with the same clients on the same machine: how soon the
// last one hears, and what those who were there before notice. A shared machine is not equally fast from minute to minute, so
// compare the rounds of one run.
// node tests/load/storms.ts [--rounds N] [--listeners N] [--within S] [--incumbents N] [--json FILE]
import { createECDH } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { median } from './bench-figures.ts';
import { machine } from './bench-table.ts';
import { Child } from './child.ts';
import { progress, wholeNumber } from './command-line.ts';
import { cpuUs } from './processor-time.ts';
import type { FromBareHttp, ToBareHttp } from './server-bare-http.ts';
import type { SurgeOptions } from './surge/messages.ts';
import type { SurgeReport } from './surge/report.ts';
import { SurgeRun } from './surge/surge-run.ts';

const SHARDS = 2;
const PACKING_MS = 60;
const HOLD_MS = 3_000;
const LATE_SPEAKER_AT_MS = 1_500;
/** After a server has started, and after its clients have gone. */
const SETTLE_MS = 2_000;
const CALIBRATION_MS = 300;
const AIMS = { firstAudioMsP99: 600, incumbentsGapMs: 150 } as const;

const SIDES = ['bareMediasoup', 'rostrum', 'rostrumLateSpeaker'] as const;
type Side = (typeof SIDES)[number];
const NAMES: Record<Side, string> = { bareMediasoup: 'bare mediasoup', rostrum: 'Rostrum', rostrumLateSpeaker: 'Rostrum, one more speaker in mid-storm' };

interface Storm {
	side: Side;
	round: number;
	/** How fast the machine was just before: P-256 key agreements a second of one core, what DTLS is made of. */
	keyAgreementsPerSecond: number;
	joined: number;
	failed: number;
	lossRatio: number;
	firstAudioMs: SurgeReport['firstAudioMs'];
	incumbents: SurgeReport['incumbents'];
	/** Of the server's processes, from the storm's beginning to its end. */
	serverCpuSeconds: number;
	generatorSaturated: boolean;
	speaker: SurgeReport['speaker'];
}

const { values } = parseArgs({
	options: {
		rounds: { type: 'string', default: '5' },
		listeners: { type: 'string', default: '1000' },
		within: { type: 'string', default: '3' },
		incumbents: { type: 'string', default: '100' },
		'media-port': { type: 'string', default: '26000' },
		json: { type: 'string' },
	},
});
const rounds = wholeNumber(values.rounds, 'rounds', 1);
const mediaPort = wholeNumber(values['media-port'], 'media-port', 1_024);
const common: Omit<SurgeOptions, 'url' | 'room' | 'token' | 'speakers' | 'speakerAtMs'> = {
	listeners: wholeNumber(values.listeners, 'listeners', 1),
	withinMs: wholeNumber(values.within, 'within', 1) * 1_000,
	incumbents: wholeNumber(values.incumbents, 'incumbents', 0),
	holdMs: HOLD_MS, arrivals: 'even', waves: 1, waveEveryMs: 0, churn: 0, hls: 0, constantSpeech: true, patienceMs: 30_000, overflow: true,
	generators: undefined, bindAddress: undefined, seed: 1,
};

async function onBare(): Promise<[SurgeReport, number]> {
	const server = Child.start<ToBareHttp, FromBareHttp>('server-bare-http.ts', [String(mediaPort), String(SHARDS), String(PACKING_MS)]);
	try {
		const { url, pids } = await server.expect('ready');
		return await stormOn(pids, { ...common, url, room: 'storm', token: undefined, speakers: 0, speakerAtMs: undefined });
	} finally {
		await server.close({ kind: 'close' });
	}
}

async function onRostrum(speakerAtMs: number | undefined): Promise<[SurgeReport, number]> {
	// As people run it, but for the rehearsal's line in its log, which says when it is ready for a crowd.
	const server = await RostrumProcess.start({ mediaPort, env: { ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_LISTENER_SHARDS: String(SHARDS), ROSTRUM_SFU_REHEARSAL_JOINS: '800' } });
	try {
		for (let shard = 1; shard <= SHARDS; shard++) {
			await server.waitForLog((line) => line.msg === 'shard rehearsed joins' && line['shard'] === shard);
		}
		const room = await server.room({ id: 'storm', packingMs: PACKING_MS });
		const pids = [server.pid, ...[...(await server.shardPids()).values()].flatMap(({ pid, workerPid }) => [pid, workerPid])];
		return await stormOn(pids, { ...common, url: server.url, room, token: ADMIN_TOKEN, speakers: 1, speakerAtMs });
	} finally {
		await server.stop();
	}
}

async function stormOn(pids: readonly number[], options: SurgeOptions): Promise<[SurgeReport, number]> {
	await sleep(SETTLE_MS);
	const all = (): number => pids.reduce((sum, pid) => sum + cpuUs(pid), 0);
	let beganUs: number | undefined;
	let endedUs: number | undefined;
	const report = await SurgeRun.run(options, {
		onProgress: ({ phase }) => {
			if (phase === 'storm') beganUs ??= all();
			else if (beganUs !== undefined) endedUs ??= all();
		},
	});
	return [report, ((endedUs ?? Number.NaN) - (beganUs ?? Number.NaN)) / 1e6];
}

function keyAgreementsPerSecond(): number {
	const [own, other] = [createECDH('prime256v1'), createECDH('prime256v1')];
	own.generateKeys();
	const key = other.generateKeys();
	const startedAtMs = performance.now();
	let count = 0;
	for (; performance.now() - startedAtMs < CALIBRATION_MS; count++) {
		own.computeSecret(key);
	}
	return Math.round((count * 1_000) / (performance.now() - startedAtMs));
}

async function storm(side: Side, round: number): Promise<Storm> {
	const speed = keyAgreementsPerSecond();
	const [report, serverCpuSeconds] = await (side === 'bareMediasoup' ? onBare() : onRostrum(side === 'rostrum' ? undefined : LATE_SPEAKER_AT_MS));
	const { joined, failed, lossRatio, firstAudioMs, incumbents, generatorSaturated, speaker } = report;
	return { side, round, keyAgreementsPerSecond: speed, joined, failed, lossRatio, firstAudioMs, incumbents, serverCpuSeconds, generatorSaturated, speaker };
}

const storms: Storm[] = [];
for (let round = 1; round <= rounds; round++) {
	for (const side of SIDES) {
		progress(`round ${round} of ${rounds}: ${NAMES[side]}`);
		const one = await storm(side, round);
		storms.push(one);
		const { firstAudioMs, incumbents, speaker } = one;
		progress(
			`${one.joined} joined, ${one.failed} failed; first audio p50 ${firstAudioMs.p50} ms, p99 ${firstAudioMs.p99} ms; incumbents: longest gap ${incumbents.maxGapMs} ms, lost ${incumbents.lossRatio}; ` +
				`server ${one.serverCpuSeconds.toFixed(2)} CPU-s${speaker === null ? '' : `; speaker on stage in ${speaker.onStageMs} ms, heard in ${speaker.heardMs} ms`}; machine at ${one.keyAgreementsPerSecond} key agreements a second`,
		);
		await sleep(SETTLE_MS);
	}
}

const of = (side: Side): Storm[] => storms.filter((one) => one.side === side);
const figuresOf = (side: Side) => {
	const own = of(side);
	const p99 = own.map(({ firstAudioMs }) => firstAudioMs.p99 ?? Number.NaN);
	const gaps = own.map(({ incumbents }) => incumbents.maxGapMs);
	return {
		firstAudioMsP99: { median: median(p99), least: Math.min(...p99), most: Math.max(...p99), held: p99.filter((ms) => ms < AIMS.firstAudioMsP99).length },
		incumbentsGapMs: { median: median(gaps), least: Math.min(...gaps), most: Math.max(...gaps), held: gaps.filter((ms) => ms <= AIMS.incumbentsGapMs).length },
		serverCpuSeconds: median(own.map(({ serverCpuSeconds }) => serverCpuSeconds)),
		failed: own.reduce((sum, { failed }) => sum + failed, 0),
		lost: own.filter(({ incumbents }) => incumbents.lossRatio > 0).length,
	};
};
const figures = Object.fromEntries(SIDES.map((side) => [side, figuresOf(side)])) as Record<Side, ReturnType<typeof figuresOf>>;
/** Of each round by itself: the machine is the same within it, more or less. */
const ratios = Object.fromEntries(
	(['rostrum', 'rostrumLateSpeaker'] as const).map((side) => [side, median(of(side).map(({ round, firstAudioMs }) => (firstAudioMs.p99 ?? Number.NaN) / (of('bareMediasoup')[round - 1]?.firstAudioMs.p99 ?? Number.NaN)))]),
);

console.log(`\n${common.listeners} within ${common.withinMs / 1_000} s, ${common.incumbents} before them, ${rounds} rounds`.padEnd(52) + 'first audio p99, ms'.padStart(32) + 'longest gap, ms'.padStart(32) + 'server CPU-s'.padStart(14));
for (const side of SIDES) {
	const { firstAudioMsP99, incumbentsGapMs, serverCpuSeconds } = figures[side];
	const cell = ({ median: middle, least, most, held }: typeof firstAudioMsP99): string => `${middle.toFixed(0)} (${least.toFixed(0)}-${most.toFixed(0)}), held in ${held}`.padStart(32);
	console.log(NAMES[side].padEnd(52) + cell(firstAudioMsP99) + cell(incumbentsGapMs) + serverCpuSeconds.toFixed(2).padStart(14));
}
console.log(`First audio p99 beside bare mediasoup, of the same round: ${ratios['rostrum']?.toFixed(2)}, with one more speaker ${ratios['rostrumLateSpeaker']?.toFixed(2)}. Aims: p99 under ${AIMS.firstAudioMsP99} ms, no gap over ${AIMS.incumbentsGapMs} ms.`);
if (values.json !== undefined) {
	writeFileSync(values.json, `${JSON.stringify({ machine: machine(), aims: AIMS, settings: common, figures, ratios: { firstAudioP99: ratios }, storms }, undefined, '\t')}\n`);
	progress(`written to ${values.json}`);
}
process.exit(0);
