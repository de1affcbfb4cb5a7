import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { setPriority } from 'node:os';
import type { Writable } from 'node:stream';

export interface FfmpegProcessOptions {
	/** A path, or a name to look for in PATH. */
	ffmpegPath: string;
	/** Options before each input, without `-i`. */
	inputOptions: readonly string[];
	inputs: number;
	/** Everything after the inputs; what it writes to `pipe:1` comes as `output`. */
	outputOptions: readonly string[];
	/** How nice it is to other processes: 0 to 19. Default 10. */
	niceness?: number;
}

export interface FfmpegProcessEvents {
	output: [chunk: Buffer];
	/** Once, whatever the cause. `stderr`: its last words. */
	ended: [{ code: number | null; signal: NodeJS.Signals | null; stderr: string }];
}

/** The first descriptor behind stdin, stdout and stderr. */
const FIRST_INPUT = 3;
/** What of an input may wait for ffmpeg to read it: minutes of speech. */
const MAX_WAITING_BYTES = 1024 * 1024;
const MAX_STDERR_CHARACTERS = 2_000;

/**
 * One ffmpeg that reads several streams from pipes. It does not outlive this process: its inputs end with it, however it
 * ends, and then ffmpeg ends by itself.
 */
export class FfmpegProcess extends EventEmitter<FfmpegProcessEvents> {
	readonly #child: ChildProcess;
	readonly #inputs: readonly Writable[];
	#stderr = '';
	#ended = false;

	static spawn(options: FfmpegProcessOptions): FfmpegProcess {
		return new FfmpegProcess(options);
	}

	private constructor({ ffmpegPath, inputOptions, inputs, outputOptions, niceness = 10 }: FfmpegProcessOptions) {
		super();
		const files = Array.from({ length: inputs }, (_, index) => [...inputOptions, '-i', `pipe:${FIRST_INPUT + index}`]);
		this.#child = spawn(ffmpegPath, ['-nostdin', '-hide_banner', '-loglevel', 'error', ...files.flat(), ...outputOptions], {
			stdio: ['ignore', 'pipe', 'pipe', ...files.map((): 'pipe' => 'pipe')],
			// Nothing of ours concerns it, and nothing of it may depend on who started the server.
			env: { PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', AV_LOG_FORCE_NOCOLOR: '1' },
		});
		this.#inputs = this.#child.stdio.slice(FIRST_INPUT).flatMap((stream) => (stream && 'write' in stream ? [stream] : []));
		for (const input of this.#inputs) {
			input.on('error', () => undefined); // It has ended, or will: that is told once, by `ended`.
		}
		this.#child.stdout?.on('data', (chunk: Buffer) => this.emit('output', chunk));
		this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-MAX_STDERR_CHARACTERS)));
		this.#child.once('error', (error) => {
			this.#stderr += error.message;
			this.#onEnded(null, null);
		});
		// Its output may be read for a moment longer than it lives.
		this.#child.once('close', (code, signal) => this.#onEnded(code, signal));
		this.#lowerPriority(niceness);
	}

	get pid(): number | undefined {
		return this.#child.pid;
	}

	/** False when it has not read for so long that nothing more may wait for it; what is written after its end is lost. */
	write(input: number, data: Buffer): boolean {
		const stream = this.#inputs[input];
		if (!stream) {
			throw new RangeError(`there is no input ${input}`);
		}
		if (this.#ended || stream.destroyed || data.length === 0) {
			return true;
		}
		if (stream.writableLength > MAX_WAITING_BYTES) {
			return false;
		}
		stream.write(data);
		return true;
	}

	/** Lets it finish what it has. */
	endInputs(): void {
		for (const input of this.#inputs) {
			input.end();
		}
	}

	/** Idempotent. */
	kill(): void {
		this.#child.kill('SIGKILL');
		for (const input of this.#inputs) {
			input.destroy();
		}
	}

	#onEnded(code: number | null, signal: NodeJS.Signals | null): void {
		if (!this.#ended) {
			this.#ended = true;
			this.emit('ended', { code, signal, stderr: this.#stderr.trim() });
		}
	}

	/** Sound that comes late is better than listeners who are not served. */
	#lowerPriority(niceness: number): void {
		try {
			if (this.#child.pid !== undefined) {
				setPriority(this.#child.pid, niceness);
			}
		} catch {
			// It has gone already, or this host does not allow it.
		}
	}
}
