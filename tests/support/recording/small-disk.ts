import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const BALLAST = 'ballast';

/** A disk that is full quickly: a small file system in memory, mounted where it is wanted. */
export class SmallDisk {
	readonly folder: string;

	private constructor(folder: string) {
		this.folder = folder;
	}

	/** Why there can be none here; undefined when there can. */
	static whyNot(): string | undefined {
		const probe = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', '/mnt'], { encoding: 'utf8' });
		return probe.status === 0 ? undefined : `no file system can be mounted here: ${(probe.stderr || String(probe.error)).trim()}`;
	}

	/** @param folder made when it is not there */
	static mount(folder: string, mb: number): SmallDisk {
		mkdirSync(folder, { recursive: true });
		const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mb}m`, 'tmpfs', folder], { encoding: 'utf8' });
		if (status !== 0) {
			throw new Error(`mount: ${stderr}`);
		}
		return new SmallDisk(folder);
	}

	get freeBytes(): number {
		const { bavail, bsize } = statfsSync(this.folder);
		return bavail * bsize;
	}

	/** Something else takes what there is, but for so much. */
	fill(leaveBytes = 0): void {
		this.clear();
		const bytes = this.freeBytes - leaveBytes;
		try {
			writeFileSync(path.join(this.folder, BALLAST), Buffer.alloc(Math.max(0, bytes)));
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') {
				throw error; // The last pages went to somebody else.
			}
		}
	}

	/** Somebody makes room. */
	clear(): void {
		rmSync(path.join(this.folder, BALLAST), { force: true });
	}

	/** Idempotent. */
	unmount(): void {
		spawnSync('umount', ['--lazy', this.folder]);
	}
}
