import { Value } from 'typebox/value';
import { checks, isLoopbackHost } from './checks.ts';
import { ConfigError, type ConfigProblem } from './config-error.ts';
import { describeFound } from './describe.ts';
import { CONFIG_FILE_VARIABLE, type Environment, parseVariable, unknownVariables } from './environment.ts';
import { parseYaml, unknownKeys } from './file.ts';
import { type AnnotatedSchema, configLeaves, expectation, type Leaf } from './leaves.ts';
import { isMapping, type Mapping, valueAt } from './mapping.ts';
import { type Config, ConfigSchema } from './schema.ts';

export interface LoadOptions {
	readonly env: Environment;
	/** Path of the YAML file; without it, `ROSTRUM_CONFIG` names one, or there is none. */
	readonly file?: string;
	/** Processor cores of this machine; decides the default number of listener shards. */
	readonly cores: number;
	/** Reads a file as text; throws as `fs.readFileSync` does. */
	readonly readFile: (path: string) => string;
}

/**
 * The configuration: defaults, overlaid by the file, overlaid by the environment. An empty variable and an empty key
 * count as not given. The result is deeply frozen.
 *
 * @throws ConfigError with everything that is wrong, at once.
 */
export const loadConfig = ({ env, file, cores, readFile }: LoadOptions): Config => {
	const path = file ?? (env[CONFIG_FILE_VARIABLE] || undefined);
	const { value: fileRoot, problems } = path === undefined ? { value: undefined, problems: [] } : readYaml(path, readFile);
	problems.push(...unknownKeys(ConfigSchema, fileRoot, path ?? ''), ...unknownVariables(env, configLeaves));

	const values = new Map<string, unknown>();
	const sources = new Map<string, string>();
	const failed = new Set<string>();
	for (const leaf of configLeaves) {
		const { value, source } = pick(leaf, env, fileRoot, path);
		sources.set(leaf.key, source);
		if (value === undefined) {
			continue;
		}
		const completed = Value.Default(leaf.schema, structuredClone(value));
		const found = leafProblems(leaf, completed, source);
		if (found.length > 0) {
			problems.push(...found);
			failed.add(leaf.key);
		} else {
			values.set(leaf.key, completed);
		}
	}
	// A failed setting takes its default here, so that the rules about the others can still be checked.
	const config = assemble(new Map([...derivedDefaults(values, cores), ...values]));
	for (const check of checks) {
		const found = check.keys.some((key) => failed.has(key)) ? undefined : check.run(config);
		if (found !== undefined) {
			const where = check.keys.map((key) => `${key} (${sources.get(key) ?? 'default'})`).join(', ');
			problems.push({ where, expected: check.expected, found });
		}
	}
	if (problems.length > 0) {
		throw new ConfigError(problems);
	}
	return deepFreeze(config);
};

const readYaml = (path: string, readFile: (path: string) => string): { value: unknown; problems: ConfigProblem[] } => {
	let text: string;
	try {
		text = readFile(path);
	} catch (error) {
		const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
		const found = `${JSON.stringify(path)} (${code})`;
		return { value: undefined, problems: [{ where: CONFIG_FILE_VARIABLE, expected: 'a file that can be read', found }] };
	}
	return parseYaml(text, path);
};

/** The value that counts for a setting, and where it came from. */
const pick = (leaf: Leaf, env: Environment, fileRoot: unknown, path: string | undefined): { value: unknown; source: string } => {
	const text = env[leaf.env];
	if (text !== undefined && text !== '') {
		return { value: parseVariable(leaf.schema, text), source: `from ${leaf.env}` };
	}
	const fileValue = valueAt(fileRoot, leaf.path);
	return fileValue === undefined ? { value: leaf.schema.default, source: 'default' } : { value: fileValue, source: `from ${path}` };
};

const leafProblems = (leaf: Leaf, value: unknown, source: string): ConfigProblem[] => {
	const fits: boolean = Value.Check(leaf.schema, value);
	if (fits) {
		return [];
	}
	const where = `${leaf.key} (${source})`;
	const items = leaf.schema.items;
	if (Array.isArray(value) && items?.type === 'object') {
		const inside = value.flatMap((item: unknown, index) => itemProblems(items, item, `${leaf.key}[${index}]`, source));
		if (inside.length > 0) {
			return inside;
		}
	}
	if (Array.isArray(value)) {
		const bad = items === undefined ? undefined : value.find((item) => !Value.Check(items, item)) as unknown;
		const found = bad === undefined ? describeFound(value, true) : `${describeFound(bad, leaf.secret)} in it`;
		return [{ where, expected: expectation(leaf.schema), found }];
	}
	return [{ where, expected: expectation(leaf.schema), found: describeFound(value, leaf.secret) }];
};

/** Problems inside one mapping of a list of mappings, key by key. */
const itemProblems = (schema: AnnotatedSchema, item: unknown, key: string, source: string): ConfigProblem[] => {
	if (!isMapping(item)) {
		return [{ where: `${key} (${source})`, expected: 'a mapping', found: describeFound(item, true) }];
	}
	const wrong = Object.entries(schema.properties ?? {}).flatMap(([name, child]): ConfigProblem[] => {
		const value = valueAt(item, [name]);
		const problem = { where: `${key}.${name} (${source})`, expected: expectation(child), found: describeFound(value, false) };
		return Value.Check(child, value) ? [] : [problem];
	});
	return [...wrong, ...unknownKeys(schema, item, source.replace(/^from /, ''), [key])];
};

/** Defaults that depend on the machine or on other settings. */
const derivedDefaults = (values: ReadonlyMap<string, unknown>, cores: number): [string, unknown][] => {
	const host = values.get('http.host');
	return [
		['sfu.listenerShards', Math.min(256, Math.max(1, cores - 1))],
		['sfu.mediaAddress', typeof host !== 'string' || isLoopbackHost(host) ? '127.0.0.1' : 'auto'],
	];
};

const assemble = (values: ReadonlyMap<string, unknown>): Config => {
	const root: Mapping = {};
	for (const { key, path, schema } of configLeaves) {
		let section = root;
		for (const name of path.slice(0, -1)) {
			const next = section[name] ?? {};
			section[name] = next;
			section = isMapping(next) ? next : section;
		}
		const value = values.get(key) ?? structuredClone(schema.default);
		if (value !== undefined) {
			section[path.at(-1) ?? key] = value;
		}
	}
	if (!Value.Check(ConfigSchema, root)) {
		throw new Error(`The defaults do not fit the schema: ${JSON.stringify(Value.Errors(ConfigSchema, root)[0])}`);
	}
	return root;
};

const deepFreeze = <T>(value: T): T => {
	if (typeof value === 'object' && value !== null) {
		Object.values(value).forEach(deepFreeze);
		Object.freeze(value);
	}
	return value;
};
