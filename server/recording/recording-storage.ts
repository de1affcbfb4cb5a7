import type { Readable } from 'node:stream';
import type { RecordingRecord } from './recording-record.ts';

/** A file, or the piece of it that was asked for. */
export interface RemoteFile {
	/** 200, or 206 for a piece, 304 when it is as the reader has it, 416 when there is no such piece. */
	status: 200 | 206 | 304 | 416;
	/** Content-Length, Content-Range, ETag, Last-Modified; as far as known. */
	headers: Record<string, string>;
	/** Undefined where there is nothing to send. */
	body: Readable | undefined;
}

/** What of a request decides about the answer (RFC 9110 §13, §14). */
export interface FileRequest {
	method: 'GET' | 'HEAD';
	range?: string;
	ifNoneMatch?: string;
}

/** Where finished recordings are kept that are not on the node's own disk. Every method rejects within minutes when the storage does not answer. */
export interface RecordingStorage {
	/** Copies the record's files out of the folder; then, and not before, it is listed. Of an earlier one of the same id nothing is left. Rejects with RecordingError `storage_unavailable`. */
	store(record: RecordingRecord, folder: string, signal: AbortSignal): Promise<void>;
	/** Of one room, or all that were stored before a moment. */
	list(which: { roomId: string } | { storedBefore: Date }): Promise<RecordingRecord[]>;
	get(roomId: string, id: string): Promise<RecordingRecord | undefined>;
	/** Undefined when there is none. */
	open(record: RecordingRecord, file: string, request: FileRequest): Promise<RemoteFile | undefined>;
	/** Whether there was one. */
	remove(roomId: string, id: string): Promise<boolean>;
	close(): void;
}
