import { readdirSync, readFileSync } from 'node:fs';

/** State letter and parent of a process, proc(5); undefined once it is gone. */
function statOf(pid: number): { state: string; parent: number } | undefined {
	try {
		// The command's name is in parentheses and may itself contain anything.
		const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)\s*/s, '').split(' ');
		return { state: fields[0] ?? '', parent: Number(fields[1]) };
	} catch {
		return undefined;
	}
}

/** Whether it still runs: one that merely waits to be reaped does not. */
export function isRunning(pid: number): boolean {
	const stat = statOf(pid);
	return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X';
}

/** All processes that descend from this one, however deep. */
export function descendantsOf(pid: number): { pid: number; command: string }[] {
	const children = new Map<number, number[]>();
	for (const entry of readdirSync('/proc')) {
		const parent = /^\d+$/.test(entry) ? statOf(Number(entry))?.parent : undefined;
		if (parent !== undefined) {
			children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
		}
	}
	const found: { pid: number; command: string }[] = [];
	const look = [pid];
	for (let next = look.pop(); next !== undefined; next = look.pop()) {
		for (const child of children.get(next) ?? []) {
			found.push({ pid: child, command: commandOf(child) });
			look.push(child);
		}
	}
	return found;
}

function commandOf(pid: number): string {
	try {
		return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
	} catch {
		return '';
	}
}
