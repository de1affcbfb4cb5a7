import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/** What a folder lists is on disk from now on. */
export async function syncFolder(folder: string): Promise<void> {
	const handle = await open(folder, 'r');
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

/** All of it or nothing, whenever the power goes or the disk is full. */
export async function writeDurably(file: string, data: string | Uint8Array): Promise<void> {
	const scratch = `${file}.new`;
	try {
		const handle = await open(scratch, 'w', 0o600);
		try {
			await handle.writeFile(data);
			await handle.sync();
		} finally {
			await handle.close();
		}
		await rename(scratch, file);
	} catch (error) {
		await rm(scratch, { force: true }).catch(() => undefined);
		throw error;
	}
	await syncFolder(path.dirname(file));
}

/** A file that was written by somebody else is on disk from now on, under its last name. */
export async function publish(scratch: string, file: string): Promise<void> {
	const handle = await open(scratch, 'r');
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
	await rename(scratch, file);
	await syncFolder(path.dirname(file));
}
