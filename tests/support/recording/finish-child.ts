// Finishes one recording in a process of its own, so that what it needs can be measured (tests/integration/recording-long.test.ts).
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pino } from 'pino';
import { DiskSpace } from '../../../server/recording/disk-space.ts';
import { Finisher } from '../../../server/recording/finisher.ts';
import { RecordingFolders } from '../../../server/recording/recording-folders.ts';
import { RecordingProblems } from '../../../server/recording/recording-problem.ts';
import { S3Storage } from '../../../server/recording/s3-storage.ts';

/** What it tells its parent when it is done. */
export interface FinishFigures {
	tookMs: number;
	/** Most memory that this process, and ffmpeg, had at once (VmHWM). */
	nodeBytes: number;
	ffmpegBytes: number;
	/** As it was before it began. */
	idleBytes: number;
}

const [root, roomId, id, endpoint, bucket] = process.argv.slice(2);
if (root === undefined || roomId === undefined || id === undefined || endpoint === undefined || bucket === undefined || process.send === undefined) {
	throw new Error('usage: forked with ROOT ROOM ID ENDPOINT BUCKET');
}
const highest = (pid: string | number): number => {
	try {
		return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
	} catch {
		return 0; // It has gone.
	}
};
const folders = new RecordingFolders(root);
const log = pino({ level: 'warn' });
const startedAtMs = performance.now();
const idleBytes = highest(process.pid);
let ffmpegBytes = 0;
setInterval(() => {
	for (const child of readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ').filter((pid) => pid !== '')) {
		ffmpegBytes = Math.max(ffmpegBytes, highest(child));
	}
}, 100);
const finisher = new Finisher({
	config: { ffmpegPath: 'ffmpeg', opusKbps: 48, aacKbps: 80 },
	nodeId: 'node-a',
	folders,
	shelf: { partsElsewhere: async () => [], fetchParts: async () => undefined, dropElsewhere: async () => undefined },
	storage: S3Storage.create({ endpoint, bucket, region: 'us-east-1', prefix: 'recordings/', accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER', pathStyle: true }),
	space: new DiskSpace({ folder: path.resolve(root), reserveBytes: 0 }),
	problems: new RecordingProblems(Date.now).on('began', (_room, _id, problem) => {
		throw new Error(`hindered: ${problem.code} ${problem.cause}`);
	}),
	whyNot: () => undefined,
	onReady: () => {
		const figures: FinishFigures = { tookMs: performance.now() - startedAtMs, nodeBytes: highest(process.pid), ffmpegBytes, idleBytes };
		process.send?.(figures, () => process.exit(0));
	},
	nowMs: () => performance.now(),
	log,
});
finisher.finish(roomId, id);
