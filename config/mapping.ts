/** A plain object with string keys, as JSON and YAML give it. */
export type Mapping = Record<string, unknown>;

export const isMapping = (value: unknown): value is Mapping => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value at a path; undefined when it, or something on the way, is absent or null. */
export const valueAt = (root: unknown, path: readonly string[]): unknown => {
	let value = root;
	for (const name of path) {
		if (!isMapping(value) || !Object.hasOwn(value, name)) {
			return undefined;
		}
		value = value[name];
	}
	return value ?? undefined;
};
