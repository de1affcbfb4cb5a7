import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { CONFIG_FILE_VARIABLE } from './environment.ts';
import { type AnnotatedSchema, configLeaves, expectation, isSection, type Leaf } from './leaves.ts';
import { ConfigSchema, ForeignIssuerSchema } from './schema.ts';

/** Makes config/reference.md and config/rostrum.example.yaml; `node config/reference.ts` writes them. */

const UNITS: readonly (readonly [RegExp, string])[] = [[/Ms$/, 'milliseconds'], [/Seconds$/, 'seconds'], [/Bytes$/, 'bytes']];
const unitOf = (key: string): string => {
	const unit = UNITS.find(([suffix]) => suffix.test(key))?.[1];
	return unit === undefined ? '' : ` (${unit})`;
};

/** A bar ends a table cell, even inside backticks. */
const cell = (text: string): string => text.replaceAll('|', '\\|');
const inline = (value: unknown): string => `\`${JSON.stringify(value)}\``;
const defaultOf = (schema: AnnotatedSchema): string =>
	schema.default === undefined ? schema.defaultFrom ?? 'required' : inline(schema.default);

const row = (key: string, env: string, schema: AnnotatedSchema): string => {
	const kind = `${expectation(schema)}${unitOf(key)}${schema.secret === true ? '; secret' : ''}`;
	return `| ${[`\`${key}\``, ...env === '' ? [] : [`\`${env}\``], kind, defaultOf(schema), schema.description ?? ''].map(cell).join(' | ')} |`;
};

export const renderReference = (): string => {
	const issuer = ForeignIssuerSchema as AnnotatedSchema;
	return [
		'# Settings',
		'',
		'Made from `config/schema.ts` by `node config/reference.ts`; change the schema, not this file.',
		'',
		`Settings come from the defaults, then the YAML file that \`${CONFIG_FILE_VARIABLE}\` names (sample: \`rostrum.example.yaml\`), then the`,
		'environment; the last one wins. An empty variable or key counts as not given. Unknown keys and unknown `ROSTRUM_…`',
		'variables are refused. In a variable, lists are separated by commas, and lists of mappings are JSON.',
		'',
		'| key | variable | value | default | meaning |',
		'|---|---|---|---|---|',
		...configLeaves.map((leaf) => row(leaf.key, leaf.env, leaf.schema)),
		'',
		'## Each entry of `auth.foreignIssuers`',
		'',
		'| key | value | default | meaning |',
		'|---|---|---|---|',
		...Object.entries(issuer.properties ?? {}).map(([name, schema]) => row(name, '', schema)),
		'',
	].join('\n');
};

const exampleOf = ({ schema }: Leaf): unknown => schema.examples?.[0] ?? schema.default;

const exampleLines = (schema: AnnotatedSchema, leaves: readonly Leaf[], prefix: readonly string[]): string[] => {
	const indent = '  '.repeat(prefix.length);
	return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
		const lines = prefix.length === 0 ? [''] : [];
		if (isSection(child)) {
			return [...lines, `${indent}# ${child.description ?? name}`, `${indent}${name}:`, ...exampleLines(child, leaves, [...prefix, name])];
		}
		const leaf = leaves.find(({ key }) => key === [...prefix, name].join('.'));
		if (leaf === undefined) {
			throw new Error(`No setting ${name}`);
		}
		const fallback = child.default === undefined ? ` Default: ${child.defaultFrom ?? 'none'}.` : '';
		const yaml = stringify({ [name]: exampleOf(leaf) }, { lineWidth: 0 }).trimEnd().split('\n');
		return [...lines, `${indent}# ${child.description ?? ''}${fallback} [${leaf.env}]`, ...yaml.map((line) => `${indent}#: ${line}`)];
	});
};

/** A file that changes nothing as it stands; settings are the lines that begin with `#:`, with an example or the default. */
export const renderExample = (): string => [
	'# Sample configuration of Rostrum, made by `node config/reference.ts`.',
	`# Copy it, take "#: " away where you want something else than the default, and name the copy in ${CONFIG_FILE_VARIABLE}.`,
	'# The variable in brackets sets the same thing and wins over the file. Details: config/reference.md.',
	...exampleLines(ConfigSchema, configLeaves, []),
	'',
].join('\n');

if (import.meta.main) {
	writeFileSync(path.join(import.meta.dirname, 'reference.md'), renderReference());
	writeFileSync(path.join(import.meta.dirname, 'rostrum.example.yaml'), renderExample());
}
