import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { KeyRingError } from './key-ring-error.ts';

/**
 * Files that hold secrets: made so that a crash at any moment leaves either no file or a whole one, and kept from
 * other people's eyes whatever the umask.
 */
const TEMPORARY = /^\..+\.tmp$/;

const syncFolder = async (folder: string): Promise<void> => {
	const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
};

/**
 * Takes away what the group may do; refuses what everybody may. Group bits are repaired because volume managers
 * (Kubernetes' fsGroup) set them anew at every mount. A key the whole machine could read may have been copied: closing
 * the door without a word would hide that, so a person decides.
 */
const closeToOthers = async (handle: FileHandle, name: string, wantedMode: number, refusedBits: number, advice: string): Promise<void> => {
	const { mode } = await handle.stat();
	if ((mode & refusedBits) !== 0) {
		throw new KeyRingError(`${name} is open to every user of this machine (mode ${(mode & 0o777).toString(8)}). ${advice}`);
	}
	if ((mode & 0o777) !== wantedMode) {
		await handle.chmod(wantedMode);
	}
};

/** Makes the folder (mode 0700) if need be, durable in its parents, and removes what an interrupted write left in it. */
export const openKeyFolder = async (folder: string): Promise<void> => {
	const firstMade = await mkdir(folder, { recursive: true });
	const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
	try {
		// Others' write access alone is refused: it lets them plant keys. Mere sight of file names is just closed.
		const refused = firstMade === undefined ? 0o002 : 0;
		await closeToOthers(handle, folder, 0o700, refused, `Somebody may have planted keys. Look at its files, then: chmod 700 ${folder}`);
	} finally {
		await handle.close();
	}
	if (firstMade !== undefined) {
		for (let made = folder; made.length >= firstMade.length; made = path.dirname(made)) {
			await syncFolder(path.dirname(made));
		}
	}
	for (const name of await readdir(folder)) {
		if (TEMPORARY.test(name)) {
			await unlink(path.join(folder, name));
		}
	}
};

/** Writes a file whole: temporary file, fsync, rename, fsync of the folder. Resolves when it would survive a power cut. */
export const writeKeyFile = async (folder: string, name: string, text: string): Promise<void> => {
	const temporary = path.join(folder, `.${name}.${randomBytes(6).toString('hex')}.tmp`);
	const handle = await open(temporary, 'wx', 0o600);
	try {
		// The umask can take bits away from the mode given to open().
		await handle.chmod(0o600);
		await handle.writeFile(text);
		await handle.sync();
	} finally {
		await handle.close();
	}
	await rename(temporary, path.join(folder, name));
	await syncFolder(folder);
};

export const readKeyFile = async (folder: string, name: string): Promise<string> => {
	const file = path.join(folder, name);
	const handle = await open(file, 'r');
	try {
		const advice = `The key may have been copied. Delete the file to stop trusting it, or, if nobody else was on this machine: chmod 600 ${file}`;
		await closeToOthers(handle, file, 0o600, 0o007, advice);
		return await handle.readFile('utf8');
	} finally {
		await handle.close();
	}
};

export const removeKeyFile = async (folder: string, name: string): Promise<void> => {
	await unlink(path.join(folder, name));
	await syncFolder(folder);
};

export const listKeyFiles = async (folder: string, suffix: string): Promise<string[]> =>
	(await readdir(folder)).filter((name) => name.endsWith(suffix) && !name.startsWith('.')).toSorted();
