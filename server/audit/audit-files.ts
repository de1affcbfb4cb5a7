import { chmod, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

const SUFFIX = '.jsonl';
const NAME = /^audit-(\d{15})\.jsonl$/;
const NEWLINE = 0x0a;

export interface AuditFilesOptions {
	/** Made with mode 0700 when absent. */
	dir: string;
	/** A file is not written to any more when it has this size. */
	maxFileBytes: number;
	/** Files whose last entry is older go; milliseconds. */
	keepMs: number;
	/** Milliseconds since the epoch. */
	now: () => number;
}

/**
 * The audit log on disk: files of JSON lines, each named after the time it was begun, that are only ever appended to.
 * A line that was cut off by a crash is closed, not removed, and passed over when reading.
 */
export class AuditFiles {
	readonly #options: AuditFilesOptions;
	#handle: FileHandle | undefined;
	#bytes = 0;
	/** Times in the names, oldest first; the last one is being written. */
	#times: number[];

	/** Rejects when the folder cannot be used. */
	static async open(options: AuditFilesOptions): Promise<AuditFiles> {
		await mkdir(options.dir, { recursive: true, mode: 0o700 });
		const names = await readdir(options.dir);
		const times = names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number).toSorted((a, b) => a - b);
		const files = new AuditFiles(options, times);
		const latest = times.at(-1);
		if (latest !== undefined) await files.#begin(latest);
		await files.#forgetOld();
		return files;
	}

	private constructor(options: AuditFilesOptions, times: number[]) {
		this.#options = options;
		this.#times = times;
	}

	/** Whole lines, on disk for good when this resolves. Calls must not overlap. */
	async append(lines: readonly string[]): Promise<void> {
		if (this.#handle === undefined || this.#bytes >= this.#options.maxFileBytes) {
			await this.#begin(Math.max(this.#options.now(), (this.#times.at(-1) ?? -1) + 1));
			await this.#forgetOld();
		}
		const data = Buffer.from(`${lines.join('\n')}\n`);
		try {
			await this.#handle?.writeFile(data);
			await this.#handle?.datasync();
		} catch (error) {
			// Half a line may stand there now; the next one begins a file of its own.
			await this.close().catch(() => undefined);
			throw error;
		}
		this.#bytes += data.length;
	}

	/** The lines of each file, newest file first. Files that have gone meanwhile are left out. */
	async *newestFirst(): AsyncGenerator<string[]> {
		for (const time of this.#times.toReversed()) {
			const text = await readFile(this.#path(time), 'utf8').catch(() => '');
			yield text.split('\n');
		}
	}

	/** Idempotent. */
	async close(): Promise<void> {
		const handle = this.#handle;
		this.#handle = undefined;
		await handle?.close();
	}

	async #begin(time: number): Promise<void> {
		await this.close();
		const file = this.#path(time);
		this.#handle = await open(file, 'a+', 0o600);
		await chmod(file, 0o600);
		this.#bytes = (await this.#handle.stat()).size;
		if (this.#times.at(-1) !== time) {
			this.#times.push(time);
			await syncFolder(this.#options.dir);
		}
		if (this.#bytes === 0) return;
		const last = Buffer.alloc(1);
		await this.#handle.read(last, 0, 1, this.#bytes - 1);
		if (last[0] !== NEWLINE) {
			await this.#handle.writeFile('\n');
			this.#bytes++;
		}
	}

	async #forgetOld(): Promise<void> {
		const before = this.#options.now() - this.#options.keepMs;
		for (const time of this.#times.slice(0, -1)) {
			const written = await stat(this.#path(time)).catch(() => undefined);
			if (written !== undefined && written.mtimeMs >= before) break;
			await rm(this.#path(time), { force: true });
			this.#times = this.#times.filter((each) => each !== time);
		}
	}

	#path(time: number): string {
		return path.join(this.#options.dir, `audit-${String(time).padStart(15, '0')}${SUFFIX}`);
	}
}

/** A file that was made is there after a power cut only once its folder is on disk. */
async function syncFolder(dir: string): Promise<void> {
	const handle = await open(dir, 'r');
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}
