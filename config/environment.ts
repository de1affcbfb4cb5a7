import { Value } from 'typebox/value';
import type { ConfigProblem } from './config-error.ts';
import { nearestName } from './describe.ts';
import type { AnnotatedSchema, Leaf } from './leaves.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Names the YAML file; read by the loader alone, so it is no key of the file. */
export const CONFIG_FILE_VARIABLE = 'ROSTRUM_CONFIG';

/**
 * What a variable's text means for a setting. Text that fits no form comes back as it is, for the schema to refuse:
 * numbers in decimal, true or false, lists by commas, lists of mappings as JSON.
 */
export const parseVariable = (schema: AnnotatedSchema, text: string): unknown => {
	const choice = [...schema.enum ?? [], ...schema.const === undefined ? [] : [schema.const]].find((value) => String(value) === text);
	if (choice !== undefined) {
		return choice;
	}
	if (schema.anyOf !== undefined) {
		const readings = schema.anyOf.map((option) => ({ option, value: parseVariable(option, text) }));
		const fitting = readings.find(({ option, value }) => Value.Check(option, value));
		return fitting === undefined ? text : fitting.value;
	}
	switch (schema.type) {
		case 'integer': return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
		case 'number': return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : text;
		case 'boolean': return text === 'true' ? true : text === 'false' ? false : text;
		case 'array':
			if (schema.items?.type !== 'object') {
				return text.split(',').map((item) => item.trim()).filter((item) => item !== '');
			}
			try {
				return JSON.parse(text) as unknown;
			} catch {
				return text;
			}
		default: return text;
	}
};

/**
 * A Kubernetes service called "rostrum" puts ROSTRUM_SERVICE_HOST, ROSTRUM_PORT=tcp://… and more into every pod of
 * its namespace. They are nobody's mistake, so they must not stop the server.
 */
const isServiceLink = (name: string, text: string): boolean =>
	/^ROSTRUM_([A-Z0-9_]+_)?SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(name)
	|| /^ROSTRUM_([A-Z0-9_]+_)?PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)
	|| (/^ROSTRUM_([A-Z0-9_]+_)?PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(text));

/** Variables that begin like ours and are not: a mistyped name must not be passed over in silence. */
export const unknownVariables = (env: Environment, leaves: readonly Leaf[]): ConfigProblem[] => {
	const known = [CONFIG_FILE_VARIABLE, ...leaves.map((leaf) => leaf.env)];
	return Object.entries(env)
		.filter(([name, text]) => /^ROSTRUM_/i.test(name) && text !== undefined && !known.includes(name) && !isServiceLink(name, text))
		.map(([name]) => {
			const near = nearestName(name, known);
			return {
				where: name,
				expected: 'the name of a known variable',
				found: `an unknown one${near === undefined ? '' : `; did you mean ${near}?`}`,
			};
		});
};
