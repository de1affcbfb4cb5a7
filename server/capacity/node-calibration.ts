import type { Logger } from 'pino';
import { DomainError } from '../errors.ts';
import type { CalibrateShardOptions, ShardFigures } from '../../sfu/supervisor/calibrate-shard.ts';
import { calibrationOf } from './calibration-figures.ts';
import type { CalibrationFile } from './calibration-file.ts';
import { DEFAULT_CALIBRATION, type ShardCalibration } from './shard-calibration.ts';

/** How busy this node is, as far as a calibration needs to know. */
export interface NodeBusiness {
	cores: number;
	/** Of all its shards together, in cores. */
	busyCores: number;
	listeners: number;
	joining: number;
}

export interface NodeCalibrationOptions {
	file: Pick<CalibrationFile, 'read' | 'write'>;
	/** `calibrateShard` */
	measure: (options: Pick<CalibrateShardOptions, 'busy' | 'gentle'>) => Promise<ShardFigures>;
	business: () => NodeBusiness;
	now: () => Date;
	log: Pick<Logger, 'info' | 'warn'>;
}

/** A calibration takes a core for itself; so much of it must be idle. */
const CORES_NEEDED = 1;

/** What this node knows of its machine: measured here, in this or an earlier life, or taken over from a node on the same machine. */
export class NodeCalibration {
	readonly #options: NodeCalibrationOptions;
	#current: ShardCalibration = DEFAULT_CALIBRATION;
	#running: Promise<ShardCalibration> | undefined;

	static async open(options: NodeCalibrationOptions): Promise<NodeCalibration> {
		const calibration = new NodeCalibration(options);
		calibration.#current = (await options.file.read()) ?? DEFAULT_CALIBRATION;
		return calibration;
	}

	private constructor(options: NodeCalibrationOptions) {
		this.#options = options;
	}

	get current(): ShardCalibration {
		return this.#current;
	}

	/** Measures anew, about 7 s; one run at a time. Rejects with DomainError `no_capacity` (reason `busy`) while people need the processors, `media_unavailable` when it failed. */
	run(): Promise<ShardCalibration> {
		return (this.#running ??= this.#run().finally(() => (this.#running = undefined)));
	}

	/** Figures of another node on the same machine. */
	async adopt(calibration: ShardCalibration): Promise<void> {
		await this.#keep(calibration);
	}

	async #run(): Promise<ShardCalibration> {
		const { measure, now, log, business } = this.#options;
		const reason = this.#busy();
		if (reason !== undefined) {
			throw tooBusy(reason);
		}
		// What it takes itself does not show in the figures of the shards that carry people.
		const figures = await measure({ busy: () => this.#busy(), gentle: business().listeners > 0 }).catch((error: unknown) => {
			const stopped = this.#busy();
			throw stopped === undefined ? failed(error) : tooBusy(stopped);
		});
		const calibration = calibrationOf(figures, now());
		if (!calibration) {
			throw failed(new Error('the figures make no sense; was the machine busy with other things?'));
		}
		await this.#keep(calibration);
		log.info({ ...calibration, tookMs: Math.round(figures.tookMs) }, 'calibrated');
		return calibration;
	}

	async #keep(calibration: ShardCalibration): Promise<void> {
		this.#current = calibration;
		await this.#options.file.write(calibration).catch((error: unknown) => this.#options.log.warn({ err: error }, 'the calibration could not be kept in the data folder'));
	}

	/** Why this is no time for it; undefined when nobody would notice. */
	#busy(): string | undefined {
		const { cores, busyCores, listeners, joining } = this.#options.business();
		if (listeners + joining === 0 || busyCores + CORES_NEEDED <= cores) {
			return undefined;
		}
		return `This node serves ${listeners} listeners and has no processor core to spare for a calibration.`;
	}
}

const tooBusy = (detail: string) => new DomainError('no_capacity', detail, { extra: { reason: 'busy' }, retryAfterSeconds: 60 });
const failed = (cause: unknown) => new DomainError('media_unavailable', `The calibration failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
