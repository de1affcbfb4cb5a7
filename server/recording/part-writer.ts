import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncFolder } from './durable.ts';
import type { PartLogLine } from './part-log.ts';
import { LOG_FILE, VOICES_FILE } from './recording-folders.ts';

/** More than this waits for a disk that does not keep up, and the part is given up: minutes of speech. */
const MAX_WAITING = 300;

/** Writes one part of a recording. What `append` was given is on disk when the promise resolves: the sound first, then that it is there. */
export class PartWriter {
	readonly #folder: string;
	readonly #voices: FileHandle;
	readonly #log: FileHandle;
	#hasSound = false;
	#last: Promise<void> = Promise.resolve();
	#waiting = 0;
	#failed: Error | undefined;
	#closed: Promise<void> | undefined;

	/** @param startMs of the epoch. Rejects when the folder cannot be written; then it is not there. */
	static async create(folder: string, startMs: number): Promise<PartWriter> {
		const handles: FileHandle[] = [];
		try {
			await mkdir(folder, { recursive: true, mode: 0o700 });
			const voices = await open(path.join(folder, VOICES_FILE), 'ax', 0o600);
			handles.push(voices);
			const log = await open(path.join(folder, LOG_FILE), 'ax', 0o600);
			handles.push(log);
			const writer = new PartWriter(folder, voices, log);
			await writer.append(undefined, { startMs });
			await syncFolder(folder);
			await syncFolder(path.dirname(folder));
			return writer;
		} catch (error) {
			await Promise.allSettled(handles.map((handle) => handle.close()));
			await rm(folder, { recursive: true, force: true }).catch(() => undefined);
			throw error;
		}
	}

	private constructor(folder: string, voices: FileHandle, log: FileHandle) {
		this.#folder = folder;
		this.#voices = voices;
		this.#log = log;
	}

	/** Rejects when the disk does: this part ends there, and nothing more is written to it. */
	append(data: Uint8Array | undefined, line: PartLogLine): Promise<void> {
		if (++this.#waiting > MAX_WAITING) {
			this.#failed ??= new Error('the disk does not keep up');
		}
		const written = this.#last.then(() => this.#write(data, line)).finally(() => this.#waiting--);
		this.#last = written.catch(() => undefined);
		return written;
	}

	/** After everything that waits. A part without any sound leaves nothing behind: on a disk that fails there would be one for each attempt. Idempotent. */
	close(): Promise<void> {
		return (this.#closed ??= this.#last.then(async () => {
			await this.#voices.close();
			await this.#log.close();
			if (!this.#hasSound) {
				await rm(this.#folder, { recursive: true, force: true });
			}
		}));
	}

	async #write(data: Uint8Array | undefined, line: PartLogLine): Promise<void> {
		if (this.#failed) {
			throw this.#failed;
		}
		try {
			if (data && data.length > 0) {
				await this.#voices.appendFile(data);
				await this.#voices.datasync();
			}
			await this.#log.appendFile(`${JSON.stringify(line)}\n`);
			await this.#log.datasync();
			this.#hasSound ||= data !== undefined;
		} catch (error) {
			this.#failed = error instanceof Error ? error : new Error('writing failed', { cause: error });
			throw this.#failed;
		}
	}
}
