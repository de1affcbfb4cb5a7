import { configLeaves } from './leaves.ts';
import { isMapping, valueAt } from './mapping.ts';
import type { Config } from './schema.ts';

/** A copy of the configuration that may be logged: every secret that is set reads `[redacted]`. */
export const redactConfig = (config: Config): Config => {
	const copy = structuredClone(config);
	for (const { path, secret } of configLeaves) {
		const section = valueAt(copy, path.slice(0, -1));
		const name = path.at(-1) ?? '';
		if (secret && isMapping(section) && section[name] !== undefined) {
			section[name] = '[redacted]';
		}
	}
	return copy;
};
