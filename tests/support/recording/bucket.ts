import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';

/** The part of s3rver (which has no types) that is used. */
interface S3rver {
	run(): Promise<AddressInfo>;
	close(): Promise<void>;
}
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
const S3rver = createRequire(import.meta.url)('s3rver') as new (options: object) => S3rver;

const OBJECT = '._S3rver_object';

/** An S3 server of its own with one bucket. Its access key is its authors' choice. */
export class Bucket {
	readonly name = 'recordings';
	readonly #directory: string;
	#port = 0;
	#server: S3rver | undefined;

	static async start(): Promise<Bucket> {
		const bucket = new Bucket(await mkdtemp(path.join(tmpdir(), 'rostrum-s3-')));
		await bucket.back();
		return bucket;
	}

	private constructor(directory: string) {
		this.#directory = directory;
	}

	get url(): string {
		return `http://127.0.0.1:${this.#port}`;
	}

	/** Nobody answers at its address. Idempotent. */
	async away(): Promise<void> {
		const server = this.#server;
		this.#server = undefined;
		await server?.close();
	}

	/** At the same address, with what was in it. */
	async back(): Promise<void> {
		this.#server = new S3rver({ address: '127.0.0.1', port: this.#port, silent: true, directory: this.#directory, configureBuckets: [{ name: 'recordings' }] });
		this.#port = (await this.#server.run()).port;
	}

	/** As if the recordings in it had ended, and been stored, so much earlier. */
	age(ms: number): void {
		for (const key of this.objects) {
			const file = this.fileOf(key);
			if (key.endsWith('/recording.json')) {
				const record = JSON.parse(readFileSync(file, 'utf8')) as { endedAt: string };
				writeFileSync(file, JSON.stringify({ ...record, endedAt: new Date(Date.parse(record.endedAt) - ms).toISOString() }));
			}
			utimesSync(file, new Date(Date.now() - ms), new Date(Date.now() - ms));
		}
	}

	/** What a node needs to know of it. */
	get env(): Record<string, string> {
		return {
			ROSTRUM_RECORDING_STORAGE: 's3',
			ROSTRUM_RECORDING_S3_ENDPOINT: this.url,
			ROSTRUM_RECORDING_S3_BUCKET: this.name,
			ROSTRUM_RECORDING_S3_ACCESS_KEY_ID: 'S3RVER',
			ROSTRUM_RECORDING_S3_SECRET_ACCESS_KEY: 'S3RVER',
		};
	}

	/** Where an object's bytes are. */
	fileOf(key: string): string {
		return path.join(this.#directory, this.name, `${key}${OBJECT}`);
	}

	/** Paths of its objects. */
	get objects(): string[] {
		const root = path.join(this.#directory, this.name);
		return readdirSync(root, { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isFile() && entry.name.endsWith(OBJECT))
			.map(({ parentPath, name }) => path.relative(root, path.join(parentPath, name.replace(OBJECT, ''))));
	}

	/** Idempotent. */
	async close(): Promise<void> {
		await this.away();
		await rm(this.#directory, { recursive: true, force: true });
	}
}
