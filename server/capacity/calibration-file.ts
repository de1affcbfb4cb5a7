import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { ShardCalibration } from './shard-calibration.ts';

const Kept = Type.Object({ machine: Type.String(), calibration: ShardCalibration });
const KEPT = Compile(Kept);
const NAME = 'calibration.json';

/** A node's calibration in its data folder, with the machine that it holds for. */
export class CalibrationFile {
	readonly #path: string;
	readonly #machine: string;

	/** @param machine what makes another machine of it: processor, cores, versions */
	constructor(dataDir: string, machine: string) {
		this.#path = path.join(dataDir, NAME);
		this.#machine = machine;
	}

	/** Undefined when there is none, or none of this machine. */
	async read(): Promise<ShardCalibration | undefined> {
		try {
			const kept: unknown = JSON.parse(await readFile(this.#path, 'utf8'));
			return KEPT.Check(kept) && kept.machine === this.#machine ? kept.calibration : undefined;
		} catch {
			return undefined; // None yet, or a broken one: the next run writes it anew.
		}
	}

	async write(calibration: ShardCalibration): Promise<void> {
		const kept: Static<typeof Kept> = { machine: this.#machine, calibration };
		await writeFile(`${this.#path}.new`, `${JSON.stringify(kept, undefined, '\t')}\n`, { mode: 0o600 });
		await rename(`${this.#path}.new`, this.#path);
	}
}
