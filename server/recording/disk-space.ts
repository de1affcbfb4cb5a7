import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { RecordingError } from './recording-problem.ts';

export interface DiskSpaceOptions {
	/** Where recordings go; it need not be there yet, but the folder it is in. */
	folder: string;
	/** Left free for everything else on that disk. */
	reserveBytes: number;
}

export interface DiskFigures {
	freeBytes: number;
	totalBytes: number;
	reserveBytes: number;
}

/** What was paused waits for more than this above the reserve: it would stop again within seconds. */
const MARGIN_BYTES = 1024 * 1024;
const MARGIN_RATIO = 0.25;

/** The disk that recordings are written to. A full one takes rooms, the audit log and webhooks with it, so recordings end before that. */
export class DiskSpace {
	readonly #options: DiskSpaceOptions;
	#last: DiskFigures | undefined;

	constructor(options: DiskSpaceOptions) {
		this.#options = options;
	}

	/** As it was when it was looked at last; undefined before that. */
	get last(): DiskFigures | undefined {
		return this.#last;
	}

	/**
	 * Resolves while there is room; rejects with RecordingError `disk_full`.
	 * @param bytes that are about to be written
	 * @param resuming whether something waits for room, and not to stop again at once
	 */
	async require({ bytes = 0, resuming = false } = {}): Promise<void> {
		const { freeBytes, reserveBytes } = await this.look();
		const marginBytes = resuming ? MARGIN_BYTES + reserveBytes * MARGIN_RATIO : 0;
		if (freeBytes < reserveBytes + bytes + marginBytes) {
			throw new RecordingError('disk_full', `the disk has ${mb(freeBytes)} MB left; ${bytes > 0 ? `${mb(bytes)} MB are needed beside` : 'recordings leave'} ${mb(reserveBytes)} MB free`);
		}
	}

	/** Rejects when the system does not know. */
	async look(): Promise<DiskFigures> {
		const { folder, reserveBytes } = this.#options;
		const { bavail, blocks, bsize } = await statfs(folder).catch((error: NodeJS.ErrnoException) => {
			if (error.code === 'ENOENT') {
				return statfs(path.dirname(folder));
			}
			throw error;
		});
		return (this.#last = { freeBytes: bavail * bsize, totalBytes: blocks * bsize, reserveBytes });
	}
}

const mb = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
