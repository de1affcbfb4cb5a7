/** One command of a README's `sh` block, as a shell would run it. */
export interface ReadmeCommand {
	/** As it stands there, continuation lines joined. */
	line: string;
	/** Variables exported before it, and those set in front of it alone. */
	env: Record<string, string>;
	argv: string[];
	/** It ends in `&`. */
	background: boolean;
}

export interface ReadmeCommandOptions {
	/** What `$(command)` stands for. Called once for each place in the text. */
	output?: (command: string) => string;
	/** What `$NAME` stands for when no line before has exported it. */
	env?: Record<string, string>;
}

/**
 * The commands under one heading of a Markdown text, in order: all its `sh` blocks, up to the next heading of the same or
 * a higher level. Understands what READMEs need of a shell: comments, quotes, `\` at a line's end, `export`, variables
 * in front of a command, `$NAME`, `$(command)` and `&` at the end. Everything else (`|`, `;`, `&&`, `>`) is refused.
 *
 * @throws Error when there is no such heading, or a line that is not understood
 */
export function readmeCommands(markdown: string, heading: string, options: ReadmeCommandOptions = {}): ReadmeCommand[] {
	const exported: Record<string, string> = {};
	const commands: ReadmeCommand[] = [];
	for (const line of blocksUnder(markdown, heading).flatMap(joinedLines)) {
		const words = wordsOf(line, { output: options.output ?? refuse, env: { ...options.env, ...exported } });
		const background = words.at(-1)?.text === '&' && words.at(-1)?.quoted === false;
		if (background) words.pop();
		if (words[0]?.text === 'export') {
			for (const { text } of words.slice(1)) Object.assign(exported, assignment(text) ?? unknown(line));
			continue;
		}
		const env = { ...exported };
		while (words[0] !== undefined && assignment(words[0].text) !== undefined) Object.assign(env, assignment(words.shift()?.text ?? ''));
		if (words.length > 0) commands.push({ line, env, argv: words.map(({ text }) => text), background });
	}
	return commands;
}

/** Contents of the `sh` blocks of a section. */
function blocksUnder(markdown: string, heading: string): string[] {
	const blocks: string[] = [];
	let level = 0;
	let fence: { shell: boolean; lines: string[] } | undefined;
	let found = false;
	for (const line of markdown.split('\n')) {
		const fenceLine = /^```(\w*)/.exec(line);
		if (fenceLine) {
			if (fence?.shell && level > 0) blocks.push(fence.lines.join('\n'));
			fence = fence === undefined ? { shell: fenceLine[1] === 'sh', lines: [] } : undefined;
			continue;
		}
		if (fence) {
			fence.lines.push(line);
			continue;
		}
		const [, hashes = '', title] = /^(#+) (.*)$/.exec(line) ?? [];
		if (hashes === '') continue;
		if (level > 0 && hashes.length <= level) level = 0;
		if (title === heading) {
			level = hashes.length;
			found = true;
		}
	}
	if (!found) throw new Error(`there is no heading "${heading}"`);
	return blocks;
}

const joinedLines = (block: string): string[] => block.replaceAll(/\\\n\s*/g, '').split('\n').filter((line) => line.trim() !== '' && !line.trim().startsWith('#'));

const assignment = (word: string): Record<string, string> | undefined => {
	const [, name, value = ''] = /^([A-Za-z_]\w*)=(.*)$/s.exec(word) ?? [];
	return name === undefined ? undefined : { [name]: value };
};

interface Word {
	text: string;
	quoted: boolean;
}

function wordsOf(line: string, { output, env }: Required<ReadmeCommandOptions>): Word[] {
	const words: Word[] = [];
	let word: Word | undefined;
	const add = (text: string, quoted = false) => {
		word ??= { text: '', quoted: false };
		word.text += text;
		word.quoted ||= quoted;
	};
	const pattern = /(?<space>\s+)|'(?<single>[^']*)'|"(?<double>(?:\$\([^)]*\)|[^"])*)"|(?<expansion>\$\([^()]*\)|\$\{?\w+\}?)|(?<operator>&&|[|;<>()`&])|(?<plain>[^\s'"$|;<>()`&]+)/gy;
	let end = 0;
	for (const match of line.matchAll(pattern)) {
		const { space, single, double, operator, plain } = match.groups ?? {};
		if (plain?.startsWith('#') && word === undefined) {
			end = line.length;
			break;
		}
		end = match.index + match[0].length;
		if (space !== undefined) {
			if (word) words.push(word);
			word = undefined;
		} else if (operator !== undefined) {
			if (operator !== '&' || line.slice(end).replace(/\s*(#.*)?$/, '') !== '') unknown(line);
			add('&');
		} else if (single !== undefined) add(single, true);
		else if (double !== undefined) add(expanded(double, output, env, line), true);
		else add(plain ?? expanded(match[0], output, env, line));
	}
	if (end !== line.length) unknown(line);
	if (word) words.push(word);
	return words;
}

const EXPANSION = /\$\((?<command>[^()]*)\)|\$\{?(?<name>\w+)\}?/g;

function expanded(text: string, output: (command: string) => string, env: Record<string, string>, line: string): string {
	return text.replaceAll(EXPANSION, (_all, command: string | undefined, name: string) => command === undefined ? env[name] ?? unknown(`${line} ($${name} is not set)`) : output(command));
}

const refuse = (command: string): string => unknown(`$(${command})`);

function unknown(line: string): never {
	throw new Error(`not understood: ${line}`);
}
