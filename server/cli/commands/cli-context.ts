import type { Command } from 'commander';
import { ApiClient, CliFailure } from './api-client.ts';

/** What a command may touch of the world. */
export interface CliWorld {
	env: Readonly<Record<string, string | undefined>>;
	/** Results. */
	out: (text: string) => void;
	/** Errors and progress. */
	err: (text: string) => void;
	/** Whether progress can overwrite its own line. */
	terminal: boolean;
	fetch: typeof fetch;
	sleep: (ms: number) => Promise<void>;
}

/** Wrong use: exit code 2. */
export class WrongUse extends Error {}

const DEFAULT_URL = 'http://localhost:3000';

/** What all commands share: the way to the server, and how results are shown. */
export class CliContext {
	readonly world: CliWorld;
	/** Set by a command that was carried out and whose answer is no: exit code 1. */
	failed = false;
	readonly #program: Command;

	constructor(world: CliWorld, program: Command) {
		this.world = world;
		this.#program = program;
	}

	get json(): boolean {
		return this.#program.opts<{ json?: boolean }>().json === true;
	}

	/** @throws WrongUse without a way in */
	get api(): ApiClient {
		const { env, fetch } = this.world;
		const options = this.#program.opts<{ url?: string; token?: string }>();
		const url = options.url ?? env['ROSTRUM_URL'] ?? DEFAULT_URL;
		const token = options.token ?? env['ROSTRUM_ADMIN_TOKEN'];
		if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw new WrongUse(`--url (or ROSTRUM_URL) must be an http or https address, not "${url}"`);
		if (token === undefined || token === '') throw new WrongUse('--token (or ROSTRUM_ADMIN_TOKEN) must be an admin token');
		return new ApiClient({ url, token, fetch });
	}

	/** The answer as it came with `--json`, otherwise in words. */
	show(answer: unknown, words: () => string): void {
		this.world.out(`${this.json ? JSON.stringify(answer ?? null, undefined, '\t') : words()}\n`);
	}
}

/** Columns as wide as their longest cell; the last one runs free. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
	return [head, ...rows].map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ').trimEnd()).join('\n');
}

/** An option's argument as a whole number. @throws WrongUse */
export function wholeNumber(name: string): (text: string) => number {
	return (text) => {
		const value = Number(text);
		if (!/^\d+$/.test(text.trim()) || !Number.isSafeInteger(value)) throw new WrongUse(`${name} is a whole number, not "${text}"`);
		return value;
	};
}

/** An option's argument as an instant. @throws WrongUse */
export function instant(name: string): (text: string) => string {
	return (text) => {
		if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) || Number.isNaN(Date.parse(text))) {
			throw new WrongUse(`${name} is a time with its zone, such as 2026-05-24T18:00:00+02:00, not "${text}"`);
		}
		return new Date(text).toISOString();
	};
}

/** Some answers are missing on older servers: says so rather than "no such path". */
export function orMissing(what: string): (error: unknown) => never {
	return (error) => {
		throw error instanceof CliFailure && (error.code === 'not_found' || error.code === 'method_not_allowed') ? new CliFailure(`this server has no ${what} yet`, error.code, error) : error;
	};
}
