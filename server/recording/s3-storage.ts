import { createReadStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { Config } from '../../config/schema.ts';
import { readRecordingRecord, RECORD_FILE, type RecordingRecord, REPLAY_FILES } from './recording-record.ts';
import { RecordingError } from './recording-problem.ts';
import type { FileRequest, RecordingStorage, RemoteFile } from './recording-storage.ts';

/** Records that need not be fetched again while their ETag is the same. */
const MAX_KEPT = 1_000;
const LISTED_AT_ONCE = 8;
/** Waiting for a connection, for the head of an answer, and for the answer to a piece of an upload over a thin line. The SDK tries thrice. */
const CONNECT_MS = 5_000;
const ANSWER_MS = 6_000;
const PIECE_MS = 120_000;

/** Finished recordings in a bucket of an S3-compatible service: `<prefix><room>/<recording>/<file>`. */
export class S3Storage implements RecordingStorage {
	readonly #client: S3Client;
	readonly #bucket: string;
	readonly #prefix: string;
	/** By key. */
	readonly #kept = new Map<string, { etag: string | undefined; record: RecordingRecord | undefined }>();

	static create(config: Config['recording']['s3']): S3Storage {
		return new S3Storage(config);
	}

	private constructor({ endpoint, region, bucket = '', prefix, accessKeyId, secretAccessKey, pathStyle }: Config['recording']['s3']) {
		this.#bucket = bucket;
		this.#prefix = prefix;
		this.#client = new S3Client({
			region,
			forcePathStyle: pathStyle,
			requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: PIECE_MS, throwOnRequestTimeout: true },
			...(endpoint !== undefined && { endpoint }),
			...(accessKeyId !== undefined && secretAccessKey !== undefined && { credentials: { accessKeyId, secretAccessKey } }),
			// Many services besides AWS do not know the newer checksums.
			requestChecksumCalculation: 'WHEN_REQUIRED',
			responseChecksumValidation: 'WHEN_REQUIRED',
		});
	}

	async store(record: RecordingRecord, folder: string, signal: AbortSignal): Promise<void> {
		try {
			for (const name of Object.keys(record.files)) {
				await this.#upload(this.#key(record, name), createReadStream(path.join(folder, name)), REPLAY_FILES[name] ?? 'application/octet-stream', signal);
			}
			await answered((abortSignal) =>
				this.#client.send(new PutObjectCommand({ Bucket: this.#bucket, Key: this.#key(record, RECORD_FILE), Body: JSON.stringify(record), ContentType: 'application/json' }), { abortSignal }),
			);
		} catch (error) {
			throw new RecordingError('storage_unavailable', 'the bucket did not take a recording', { word: wordOf(error), cause: error });
		}
	}

	/** In pieces, a few of them in memory. What has come of one that fails is taken back. */
	async #upload(Key: string, Body: Readable, ContentType: string, signal: AbortSignal): Promise<void> {
		const upload = new Upload({ client: this.#client, params: { Bucket: this.#bucket, Key, Body, ContentType } });
		const abort = () => void upload.abort().catch(() => undefined);
		signal.addEventListener('abort', abort);
		try {
			signal.throwIfAborted();
			await upload.done();
		} finally {
			signal.removeEventListener('abort', abort);
			Body.destroy();
		}
	}

	async list(which: { roomId: string } | { storedBefore: Date }): Promise<RecordingRecord[]> {
		const keys: { key: string; etag: string | undefined }[] = [];
		const prefix = 'roomId' in which ? `${this.#prefix}${which.roomId}/` : this.#prefix;
		for (let token: string | undefined; ; ) {
			const continued = token !== undefined && { ContinuationToken: token };
			const page = await answered((abortSignal) => this.#client.send(new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, ...continued }), { abortSignal }));
			for (const { Key: key, ETag: etag, LastModified: storedAt } of page.Contents ?? []) {
				if (key?.endsWith(`/${RECORD_FILE}`) && ('roomId' in which || (storedAt && storedAt < which.storedBefore))) {
					keys.push({ key, etag });
				}
			}
			token = page.NextContinuationToken;
			if (token === undefined) {
				break;
			}
		}
		const records: RecordingRecord[] = [];
		for (let at = 0; at < keys.length; at += LISTED_AT_ONCE) {
			const some = await Promise.all(keys.slice(at, at + LISTED_AT_ONCE).map(({ key, etag }) => this.#record(key, etag)));
			records.push(...some.filter((record) => record !== undefined));
		}
		return records;
	}

	get(roomId: string, id: string): Promise<RecordingRecord | undefined> {
		return this.#record(this.#key({ roomId, id }, RECORD_FILE), undefined);
	}

	async open(record: RecordingRecord, file: string, { method, range, ifNoneMatch }: FileRequest): Promise<RemoteFile | undefined> {
		const input = { Bucket: this.#bucket, Key: this.#key(record, file), ...(ifNoneMatch !== undefined && { IfNoneMatch: ifNoneMatch }) };
		try {
			if (method === 'HEAD') {
				const found = await answered((abortSignal) => this.#client.send(new HeadObjectCommand(input), { abortSignal }));
				return { status: 200, headers: headersOf(found), body: undefined };
			}
			const found = await answered((abortSignal) => this.#client.send(new GetObjectCommand({ ...input, ...(range !== undefined && { Range: range }) }), { abortSignal }));
			const body = found.Body instanceof Readable ? found.Body : undefined;
			return { status: found.ContentRange === undefined ? 200 : 206, headers: headersOf(found), body };
		} catch (error) {
			const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
			if (status === 404) {
				return undefined;
			}
			if (status === 304 || status === 416) {
				return { status, headers: status === 416 ? { 'content-range': `bytes */${record.files[file] ?? 0}` } : {}, body: undefined };
			}
			throw error;
		}
	}

	async remove(roomId: string, id: string): Promise<boolean> {
		const folder = this.#key({ roomId, id }, '');
		const { Contents: there = [] } = await answered((abortSignal) => this.#client.send(new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: folder }), { abortSignal }));
		const keys = there.flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
		// Its record last, or what is left when this fails in between would never be found again. One by one: of a list, refusals are told in a good answer.
		for (const Key of keys.toSorted((a, b) => Number(a.endsWith(RECORD_FILE)) - Number(b.endsWith(RECORD_FILE)))) {
			await answered((abortSignal) => this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key }), { abortSignal }));
		}
		this.#kept.delete(`${folder}${RECORD_FILE}`);
		return keys.length > 0;
	}

	close(): void {
		this.#client.destroy();
	}

	#key({ roomId, id }: { roomId: string; id: string }, file: string): string {
		return `${this.#prefix}${roomId}/${id}/${file}`;
	}

	async #record(key: string, etag: string | undefined): Promise<RecordingRecord | undefined> {
		const kept = this.#kept.get(key);
		if (kept && etag !== undefined && kept.etag === etag) {
			return kept.record;
		}
		try {
			const found = await answered((abortSignal) => this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key }), { abortSignal }));
			const record = readRecordingRecord((await found.Body?.transformToString()) ?? '');
			this.#kept.set(key, { etag: found.ETag, record });
			for (const oldest of this.#kept.size > MAX_KEPT ? this.#kept.keys() : []) {
				this.#kept.delete(oldest);
				break;
			}
			return record;
		} catch (error) {
			if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404) {
				return undefined;
			}
			throw error;
		}
	}
}

/** A bucket that takes a connection and says nothing is one that is away. What streams after the head of an answer may take its time. */
async function answered<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
	const abort = new AbortController();
	const timer = setTimeout(() => abort.abort(), ANSWER_MS);
	try {
		return await work(abort.signal);
	} finally {
		clearTimeout(timer);
	}
}

/** `NoSuchBucket`, `AccessDenied`, `ECONNREFUSED` … */
function wordOf(error: unknown): string {
	const { name, code } = error as { name?: string; code?: unknown };
	return typeof code === 'string' && code !== '' ? code : (name ?? 'failed');
}

function headersOf({ ContentLength, ContentRange, ETag, LastModified }: { ContentLength?: number; ContentRange?: string; ETag?: string; LastModified?: Date }): Record<string, string> {
	return {
		'accept-ranges': 'bytes',
		...(ContentLength !== undefined && { 'content-length': String(ContentLength) }),
		...(ContentRange !== undefined && { 'content-range': ContentRange }),
		...(ETag !== undefined && { etag: ETag }),
		...(LastModified !== undefined && { 'last-modified': LastModified.toUTCString() }),
	};
}
