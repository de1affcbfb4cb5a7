import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { CANDIDATE_TEXT, speechWav } from '../support/speech/wav.ts';

const SCRIPTS = path.resolve(import.meta.dirname, '../support/aiortc');

interface Said {
	event: string;
	[field: string]: unknown;
}

/** A Python program that prints one JSON object a line. */
class Script {
	readonly said: Said[] = [];
	readonly ended: Promise<void>;
	#errors = '';
	readonly #child: ChildProcess;
	readonly #waiting = new Set<() => void>();

	constructor(name: string, args: string[]) {
		this.#child = spawn('/usr/bin/python3', [path.join(SCRIPTS, name), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
		const { stdout, stderr } = this.#child;
		if (!stdout || !stderr) {
			throw new Error('no pipes');
		}
		createInterface({ input: stdout }).on('line', (line) => {
			this.said.push(JSON.parse(line) as Said);
			this.#wake();
		});
		stderr.on('data', (chunk) => (this.#errors += String(chunk)));
		this.ended = new Promise((resolve) => {
			this.#child.once('exit', () => {
				resolve();
				this.#wake();
			});
		});
	}

	async says(event: string): Promise<Said> {
		for (;;) {
			const found = this.said.find((line) => line.event === event);
			if (found) {
				return found;
			}
			if (this.#child.exitCode !== null) {
				throw new Error(`the script ended without "${event}": ${this.#errors}`);
			}
			await new Promise<void>((resolve) => this.#waiting.add(resolve));
		}
	}

	kill(): void {
		this.#child.kill('SIGKILL');
	}

	#wake(): void {
		for (const wake of this.#waiting) {
			wake();
		}
		this.#waiting.clear();
	}
}

// A stack of its own, in another language: what we get wrong on both of our sides, it shows.
describe('aiortc, which shares no code with us', () => {
	let server: RostrumProcess;
	beforeAll(async () => {
		server = await RostrumProcess.start({ mediaPort: 25_700 });
	});
	afterAll(() => server.stop());

	it('speaks by WHIP and is heard by WHEP, on one section and on three', async () => {
		const room = await server.room({ id: 'aiortc' });
		const { token } = await server.token(room, 'speaker', 'Encoder');
		const speaker = new Script('whip_speak.py', [`${server.url}/v1/rooms/${room}/publish`, token, speechWav({ voice: 'alto', text: CANDIDATE_TEXT }), '14']);
		await speaker.says('connected');
		const listen = `${server.url}/v1/rooms/${room}/listen?packing=20`;
		const listeners = [1, 3].map((sections) => new Script('whep_listen.py', [listen, '6', String(sections)]));
		try {
			for (const listener of listeners) {
				const heard = await listener.says('heard');
				const done = await listener.says('done');
				console.log('aiortc heard speech', heard['afterMs'], 'ms after its POST;', done['frames'], 'frames,', done['loudFrames'], 'of them loud');
				// Six seconds of speech with its pauses: at 50 frames a second, at least two seconds of them loud.
				expect(done['loudFrames']).toBeGreaterThan(100);
			}
			const { stage } = await server.json<{ stage: { name: string; kind: string; number: number }[] }>('GET', `/v1/rooms/${room}`);
			expect(stage).toMatchObject([{ name: 'Encoder', kind: 'encoder', number: 1 }]);
			await speaker.says('done');
			// Its DELETE took it off the stage.
			const after = await server.json<{ stage: unknown[] }>('GET', `/v1/rooms/${room}`);
			expect(after.stage).toEqual([]);
		} finally {
			for (const script of [speaker, ...listeners]) {
				script.kill();
			}
		}
	});
});
