import { LineCounter, parseDocument } from 'yaml';
import type { ConfigProblem } from './config-error.ts';
import { describeFound, nearestName } from './describe.ts';
import { type AnnotatedSchema, isSection } from './leaves.ts';
import { isMapping } from './mapping.ts';

/**
 * The YAML text as plain values. Problems give line and column and the parser's code, not its message: that quotes
 * the text, and the text may hold a secret.
 */
export const parseYaml = (text: string, path: string): { value: unknown; problems: ConfigProblem[] } => {
	const lineCounter = new LineCounter();
	try {
		const document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: 'silent', stringKeys: true });
		const problems = [...document.errors, ...document.warnings].map((problem) => {
			const { line, col } = lineCounter.linePos(problem.pos[0]);
			return { where: path, expected: 'valid YAML', found: `an error in line ${line}, column ${col} (${problem.code})` };
		});
		return problems.length > 0 ? { value: undefined, problems } : { value: document.toJS() as unknown, problems: [] };
	} catch {
		// Only nesting or anchors without end come here.
		return { value: undefined, problems: [{ where: path, expected: 'valid YAML', found: 'nesting or aliases too deep to resolve' }] };
	}
};

/** Keys of the file that no setting has, and sections that are no mappings. */
export const unknownKeys = (schema: AnnotatedSchema, value: unknown, file: string, path: readonly string[] = []): ConfigProblem[] => {
	if (value === null || value === undefined) {
		return [];
	}
	const key = path.join('.');
	if (!isMapping(value)) {
		return [{ where: key === '' ? file : `${key} (from ${file})`, expected: 'a mapping of settings', found: describeFound(value, true) }];
	}
	const properties = schema.properties ?? {};
	return Object.entries(value).flatMap(([name, child]) => {
		const childSchema = Object.hasOwn(properties, name) ? properties[name] : undefined;
		if (childSchema === undefined) {
			const near = nearestName(name, Object.keys(properties));
			return [{
				where: `${[...path, name].join('.')} (from ${file})`,
				expected: 'a known key',
				found: `an unknown one${near === undefined ? '' : `; did you mean ${[...path, near].join('.')}?`}`,
			}];
		}
		return isSection(childSchema) ? unknownKeys(childSchema, child, file, [...path, name]) : [];
	});
};
