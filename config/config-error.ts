/** One thing that is wrong with the configuration. Never holds the value of a secret. */
export interface ConfigProblem {
	/** Key and source, such as `http.port (from ROSTRUM_HTTP_PORT)`. */
	readonly where: string;
	readonly expected: string;
	readonly found: string;
}

/** Everything that is wrong with the configuration, in one plain text for the person who starts the server. */
export class ConfigError extends Error {
	readonly problems: readonly ConfigProblem[];

	constructor(problems: readonly ConfigProblem[]) {
		const lines = problems.map(({ where, expected, found }) => `  - ${where}: expected ${expected}, found ${found}${found.endsWith('?') ? '' : '.'}`);
		super([
			`The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:`,
			...lines,
			'All settings are listed in config/reference.md.',
		].join('\n'));
		this.name = 'ConfigError';
		this.problems = problems;
	}
}
