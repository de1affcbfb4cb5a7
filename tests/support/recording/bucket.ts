import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';

/** The part of s3rver (which has no types) that is used. */
interface S3rver {
	run(): Promise<AddressInfo>;
	close(): Promise<void>;
}
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
const S3rver = createRequire(import.meta.url)('s3rver') as new (options: object) => S3rver;

/** An S3 server of its own with one bucket. Its access key is its authors' choice. */
export class Bucket {
	readonly name = 'recordings';
	readonly url: string;
	readonly #server: S3rver;
	readonly #directory: string;
	#closed = false;

	static async start(): Promise<Bucket> {
		const directory = await mkdtemp(path.join(tmpdir(), 'rostrum-s3-'));
		const server = new S3rver({ address: '127.0.0.1', port: 0, silent: true, directory, configureBuckets: [{ name: 'recordings' }] });
		const { port } = await server.run();
		return new Bucket(server, directory, `http://127.0.0.1:${port}`);
	}

	private constructor(server: S3rver, directory: string, url: string) {
		this.#server = server;
		this.#directory = directory;
		this.url = url;
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

	/** Paths of its objects. */
	get objects(): string[] {
		const root = path.join(this.#directory, this.name);
		return readdirSync(root, { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isFile() && entry.name.endsWith('._S3rver_object'))
			.map(({ parentPath, name }) => path.relative(root, path.join(parentPath, name.replace('._S3rver_object', ''))));
	}

	/** Idempotent. */
	async close(): Promise<void> {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		await this.#server.close();
		await rm(this.#directory, { recursive: true, force: true });
	}
}
