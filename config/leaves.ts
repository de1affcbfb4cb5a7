import type { TSchema } from 'typebox';
import { ConfigSchema } from './schema.ts';

/** The JSON Schema words and our annotations that the loader and the reference read. */
export type AnnotatedSchema = TSchema & {
	readonly type?: string;
	readonly properties?: Readonly<Record<string, AnnotatedSchema>>;
	readonly required?: readonly string[];
	readonly items?: AnnotatedSchema;
	readonly anyOf?: readonly AnnotatedSchema[];
	readonly enum?: readonly (string | number)[];
	readonly const?: string | number | boolean;
	readonly minimum?: number;
	readonly maximum?: number;
	readonly minLength?: number;
	readonly maxLength?: number;
	readonly minItems?: number;
	readonly default?: unknown;
	readonly examples?: readonly unknown[];
	readonly description?: string;
	readonly env?: string;
	readonly secret?: boolean;
	readonly expects?: string;
	readonly defaultFrom?: string;
};

/** One setting: `path` inside the configuration, `key` the same with dots. */
export interface Leaf {
	readonly path: readonly string[];
	readonly key: string;
	readonly env: string;
	readonly secret: boolean;
	readonly schema: AnnotatedSchema;
}

/** Whether a schema is a section (an object with named settings) rather than a setting. */
export const isSection = (schema: AnnotatedSchema): schema is AnnotatedSchema & { properties: Readonly<Record<string, AnnotatedSchema>> } =>
	schema.type === 'object' && schema.properties !== undefined;

/** All settings under a schema, in the order they are declared. */
export const leavesOf = (schema: AnnotatedSchema, path: readonly string[] = []): Leaf[] =>
	Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
		const childPath = [...path, name];
		if (isSection(child)) {
			return leavesOf(child, childPath);
		}
		const key = childPath.join('.');
		if (child.env === undefined) {
			throw new Error(`The setting ${key} has no environment variable in the schema.`);
		}
		return [{ path: childPath, key, env: child.env, secret: child.secret === true, schema: child }];
	});

export const configLeaves: readonly Leaf[] = leavesOf(ConfigSchema);

/** What a value must be, in words: "a whole number from 1 to 65535". */
export const expectation = (schema: AnnotatedSchema): string => {
	if (schema.expects !== undefined) {
		return schema.expects;
	}
	if (schema.enum !== undefined) {
		return `one of ${schema.enum.join(', ')}`;
	}
	if (schema.const !== undefined) {
		return String(schema.const);
	}
	if (schema.anyOf !== undefined) {
		return schema.anyOf.map(expectation).join(', or ');
	}
	switch (schema.type) {
		case 'boolean': return 'true or false';
		case 'integer': return `a whole number from ${schema.minimum ?? '−∞'} to ${schema.maximum ?? '∞'}`;
		case 'number': return `a number from ${schema.minimum ?? '−∞'} to ${schema.maximum ?? '∞'}`;
		case 'string': return schema.maxLength === undefined ? 'text' : `text of ${schema.minLength ?? 0} to ${schema.maxLength} characters`;
		case 'array': return schema.items?.type === 'object' ? 'a list of mappings' : 'a list';
		default: return 'a mapping';
	}
};
