import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { DiskRoomStore } from '../rooms/store/disk-store.ts';
import { StoreError } from '../rooms/store/store-error.ts';
import type { RecordStore, StoredRecord } from './record-store.ts';

const validator = Compile(Type.Object({ id: Type.String(), version: Type.Integer(), untilMs: Type.Integer(), text: Type.String() }));

/** Records in the node's own database, among its small values. Nobody else changes them. */
export class DiskRecordStore implements RecordStore {
	readonly #disk: Pick<DiskRoomStore, 'values' | 'getValue' | 'setValue' | 'removeValue'>;
	readonly #prefix: string;
	readonly #now: () => number;

	/** @param now milliseconds since the epoch */
	constructor(disk: Pick<DiskRoomStore, 'values' | 'getValue' | 'setValue' | 'removeValue'>, kind: string, now: () => number) {
		this.#disk = disk;
		this.#prefix = `record:${kind}:`;
		this.#now = now;
	}

	async load(): Promise<readonly StoredRecord[]> {
		const records: StoredRecord[] = [];
		for (const { key, value } of await this.#disk.values(this.#prefix)) {
			const record = read(key, value);
			if (record.untilMs > this.#now()) records.push(record);
			else await this.#disk.removeValue(key);
		}
		return records;
	}

	async put(records: readonly StoredRecord[]): Promise<void> {
		for (const record of records) {
			const key = this.#prefix + record.id;
			const there = await this.#disk.getValue(key);
			if (there !== undefined && read(key, there).version > record.version) continue;
			await this.#disk.setValue(key, JSON.stringify(record));
		}
	}

	onChange(): () => void {
		return () => {};
	}
}

function read(key: string, value: string): StoredRecord {
	let parsed: unknown;
	try {
		parsed = JSON.parse(value);
	} catch {
		// Said below.
	}
	if (validator.Check(parsed)) return parsed;
	throw new StoreError('store_damaged', `The value ${key} in the node's database is damaged. Restore a backup, or remove it.`);
}
