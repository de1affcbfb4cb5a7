// Bundles what browsers load. Runs at start; when the sources have not changed it only reads a manifest.
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const browserDir = path.join(import.meta.dirname, 'browser');
const projectDir = path.resolve(import.meta.dirname, '../..');
export const DEFAULT_ASSET_DIR = path.join(projectDir, '.cache/web');

/** Where browsers find the files. */
export const ASSET_PREFIX = '/assets/';
export const PAGE_NAMES = ['landing', 'listen', 'embed', 'stage', 'replay', 'admin'] as const;
export type PageName = (typeof PAGE_NAMES)[number];

/** Packages that end up in the bundles, or make them. */
const BUNDLED_PACKAGES = ['esbuild', 'preact', '@preact/signals', '@preact/signals-core', 'mediasoup-client', 'hls.js'];
/** Files of the newest builds stay, so that a page loaded just before an upgrade still finds its parts. */
const KEPT_BUILDS = 5;

export interface PageAssets {
	/** URL of the page's module. */
	script: string;
	/** URLs of modules that it needs at once, for `modulepreload`. */
	imports: string[];
	style: string;
	/** Script, its imports and the style sheet, gzipped: what a first visit loads, in English. */
	gzipBytes: number;
}

export interface AssetManifest {
	/** Of the sources and options: the same hash, the same files. */
	hash: string;
	pages: Record<PageName, PageAssets>;
	icon: string;
	/** All file names of this build, without the compressed variants. */
	files: string[];
}

export interface BuildOptions {
	/** Default `.cache/web` in the project. Holds `assets/` and one manifest per build. */
	outDir?: string;
	/** Default true; false adds source maps and keeps names. */
	minify?: boolean;
}

const readManifest = async (file: string): Promise<AssetManifest | null> => {
	try {
		// Written by this module and moved into place whole.
		// oxlint-disable-next-line typescript/no-unsafe-type-assertion
		return JSON.parse(await readFile(file, 'utf8')) as AssetManifest;
	} catch {
		return null;
	}
};

const allThere = async (outDir: string, { files }: AssetManifest): Promise<boolean> => {
	const present = new Set(await readdir(path.join(outDir, 'assets')).catch(() => []));
	return files.every((name) => present.has(name) && present.has(`${name}.gz`) && present.has(`${name}.br`));
};

/**
 * Builds the pages into `<outDir>/assets`, with content hashes in all names and `.gz` and `.br` beside each file.
 * Safe to run in several processes at once: files are moved into place, the manifest last.
 */
export async function buildAssets({ outDir = DEFAULT_ASSET_DIR, minify = true }: BuildOptions = {}): Promise<AssetManifest> {
	const hash = await sourceHash(minify);
	const manifestFile = path.join(outDir, `manifest-${hash}.json`);
	const known = await readManifest(manifestFile);
	if (known !== null && (await allThere(outDir, known))) {
		return known;
	}
	await mkdir(path.join(outDir, 'assets'), { recursive: true });
	const scratch = await mkdtemp(path.join(outDir, 'build-'));
	try {
		const manifest = await bundle(scratch, hash, minify);
		await compressAll(scratch, manifest);
		for (const name of await readdir(scratch)) {
			await rename(path.join(scratch, name), path.join(outDir, 'assets', name));
		}
		await writeFile(path.join(scratch, 'manifest.json'), JSON.stringify(manifest, undefined, '\t'));
		await rename(path.join(scratch, 'manifest.json'), manifestFile);
		await prune(outDir);
		return manifest;
	} finally {
		await rm(scratch, { recursive: true, force: true });
	}
}

async function bundle(outdir: string, hash: string, minify: boolean): Promise<AssetManifest> {
	// Loaded only when there is something to build.
	const { build } = await import('esbuild');
	const languages = (await readdir(path.join(browserDir, 'i18n'))).map((name) => path.basename(name, '.ts')).toSorted();
	const common: BuildCommon = {
		absWorkingDir: projectDir,
		entryNames: '[name]-[hash]',
		chunkNames: 'part-[hash]',
		outdir,
		bundle: true,
		splitting: true,
		format: 'esm',
		target: ['es2022', 'chrome111', 'firefox115', 'safari16.4'],
		jsx: 'automatic',
		jsxImportSource: 'preact',
		define: { LANGUAGES: JSON.stringify(languages), 'process.env.NODE_ENV': '"production"' },
		minify,
		sourcemap: minify ? false : 'linked',
		legalComments: 'eof',
		charset: 'utf8',
		metafile: true,
		logLevel: 'silent',
	};
	// The listen page shares nothing with the others: a crowd that arrives at once should make as few requests as can be.
	const ahead = await build({ ...common, entryPoints: { 'on-stage': browserFile('sdk/stage.ts'), 'quality-reporter': browserFile('sdk/quality-reporter.ts'), 'listen-more-style': browserFile('style/listen-more.css') }, splitting: false });
	const made = (name: RegExp): string => Object.keys(ahead.metafile.outputs).map((file) => path.basename(file)).find((file) => name.test(file)) ?? '';
	const listen: BuildCommon = {
		...common,
		entryPoints: entryPoints(['listen'], 'listen'),
		define: { ...common.define, MORE_STYLE: JSON.stringify(ASSET_PREFIX + made(/^listen-more-style-.*\.css$/)) },
		plugins: [bundleOfItsOwn(/\/stage\.ts$/, made(/^on-stage-.*\.js$/)), bundleOfItsOwn(/\/quality-reporter\.ts$/, made(/^quality-reporter-.*\.js$/))],
	};
	const { metafile } = await build({ ...listen, write: false });
	const results = [
		ahead,
		await build({ ...listen, plugins: [...(listen.plugins ?? []), await onlyUsedTexts(metafile.inputs, languages)] }),
		await build({ ...listen, entryPoints: entryPoints(['embed'], 'embed') }),
		await build({ ...common, entryPoints: entryPoints(['landing', 'stage', 'replay', 'admin'], 'all') }),
	];
	const outputs = new Map(results.flatMap(({ metafile }) => Object.entries(metafile.outputs)).map(([file, output]) => [path.basename(file), output]));
	const icon = await addIcon(outdir);
	const assetsOf = (page: PageName) => pageAssets(outdir, page, outputs);
	return {
		hash,
		pages: { landing: await assetsOf('landing'), listen: await assetsOf('listen'), embed: await assetsOf('embed'), stage: await assetsOf('stage'), replay: await assetsOf('replay'), admin: await assetsOf('admin') },
		icon: ASSET_PREFIX + icon,
		files: [...outputs.keys(), icon].toSorted(),
	};
}

/**
 * A module that is loaded later and shares nothing: it brings copies of the little that the page has, too. Otherwise
 * what both need would be a file of its own, and one more request for everybody.
 */
function bundleOfItsOwn(module: RegExp, file: string): Plugin {
	return {
		name: 'bundle-of-its-own',
		setup(build) {
			build.onResolve({ filter: module }, ({ kind }) => (kind === 'dynamic-import' ? { path: `./${file}`, external: true } : undefined));
		},
	};
}

/**
 * Most texts are for hosts and administrators: a crowd that comes to listen need not load them. Keys are always written
 * out in the sources, never put together, so that whatever a bundle's own sources do not name is not used there.
 * The page begins with the texts of what it begins with; those of its later parts come with them (`more-texts.ts`).
 * @param inputs everything that goes into the bundle, from the project's folder
 */
async function onlyUsedTexts(inputs: Inputs, languages: readonly string[]): Promise<Plugin> {
	const texts = path.join(browserDir, 'i18n');
	const atOnce = reachedAtOnce(browserFile('pages/listen.tsx'), inputs);
	const keysIn = async (files: readonly string[]): Promise<Set<string>> => {
		const own = files.filter((file) => file.startsWith(browserDir) && !file.startsWith(texts) && /\.tsx?$/.test(file));
		const sources = (await Promise.all(own.map((file) => readFile(file, 'utf8')))).join('\n');
		return new Set([...sources.matchAll(/'(\w+)'/g)].map(([, key]) => key ?? ''));
	};
	const first = await keysIn([...atOnce]);
	const more = (await keysIn(Object.keys(inputs).map((input) => path.join(projectDir, input)).filter((file) => !atOnce.has(file))));
	const textsOf = async (file: string, wanted: ReadonlySet<string>): Promise<{ contents: string; loader: 'js' }> => {
		// A language file, which has this shape or does not compile.
		// oxlint-disable-next-line typescript/no-unsafe-type-assertion
		const { default: all } = (await import(pathToFileURL(file).href)) as { default: Record<string, unknown> };
		return { contents: `export default ${JSON.stringify(Object.fromEntries(Object.entries(all).filter(([key]) => wanted.has(key))))};`, loader: 'js' };
	};
	return {
		name: 'only-used-texts',
		setup(build) {
			build.onLoad({ filter: /\/i18n\/[\w-]+\.ts$/, namespace: 'file' }, ({ path: file }) => textsOf(file, first));
			build.onLoad({ filter: /\/locale\/more-texts\.ts$/ }, () => ({
				contents: `const of = {${languages.map((code) => `${JSON.stringify(code)}: () => import('more-texts:${code}')`).join()}};
					export const moreTexts = async (code) => (await of[code]()).default;`,
				loader: 'js',
			}));
			build.onResolve({ filter: /^more-texts:/ }, ({ path: name }) => ({ path: path.join(texts, `${name.slice('more-texts:'.length)}.ts`), namespace: 'more-texts' }));
			build.onLoad({ filter: /.*/, namespace: 'more-texts' }, ({ path: file }) => textsOf(file, new Set([...more].filter((key) => !first.has(key)))));
		},
	};
}

type Inputs = Readonly<Record<string, { imports: readonly { path: string; kind: string }[] }>>;

/** The files that an entry needs at once. */
function reachedAtOnce(entry: string, inputs: Inputs): ReadonlySet<string> {
	const files = new Set([entry]);
	for (const file of files) {
		for (const { path: imported, kind } of inputs[path.relative(projectDir, file)]?.imports ?? []) {
			if (kind === 'import-statement') {
				files.add(path.join(projectDir, imported));
			}
		}
	}
	return files;
}

const browserFile = (name: string): string => path.join(browserDir, name);

const entryPoints = (pages: readonly PageName[], style: string): Record<string, string> => ({
	...Object.fromEntries(pages.map((page) => [page, path.join(browserDir, 'pages', `${page}.tsx`)])),
	[style === 'all' ? style : `${style}-style`]: path.join(browserDir, 'style', `${style}.css`),
});

async function pageAssets(outdir: string, page: PageName, outputs: ReadonlyMap<string, Output>): Promise<PageAssets> {
	const find = (pattern: RegExp): string => {
		const found = [...outputs.keys()].find((file) => pattern.test(file));
		if (found === undefined) {
			throw new Error(`The bundler made no file for ${page}`);
		}
		return found;
	};
	const script = find(new RegExp(`^${page}-[A-Z0-9]+\\.js$`));
	const style = find(page === 'listen' ? /^listen-style-[A-Z0-9]+\.css$/ : page === 'embed' ? /^embed-style-[A-Z0-9]+\.css$/ : /^all-[A-Z0-9]+\.css$/);
	const imports = [...staticImports(script, outputs)];
	let gzipBytes = 0;
	for (const file of [script, style, ...imports]) {
		gzipBytes += (await gzipped(await readFile(path.join(outdir, file)))).length;
	}
	return { script: ASSET_PREFIX + script, imports: imports.map((file) => ASSET_PREFIX + file), style: ASSET_PREFIX + style, gzipBytes };
}

async function addIcon(outdir: string): Promise<string> {
	const source = path.join(browserDir, 'style/icon.svg');
	const digest = createHash('sha256').update(await readFile(source)).digest('hex').slice(0, 8);
	const name = `icon-${digest}.svg`;
	await cp(source, path.join(outdir, name));
	return name;
}

type Plugin = import('esbuild').Plugin;
type BuildCommon = import('esbuild').BuildOptions & { metafile: true };

interface Output {
	imports: readonly { path: string; kind: string; external?: boolean }[];
}

/** Everything a module pulls in without asking: not what it may load later with import(). */
function staticImports(file: string, outputs: ReadonlyMap<string, Output>, found = new Set<string>()): Set<string> {
	for (const imported of outputs.get(file)?.imports ?? []) {
		const name = path.basename(imported.path);
		if (imported.kind === 'import-statement' && imported.external !== true && !found.has(name)) {
			found.add(name);
			staticImports(name, outputs, found);
		}
	}
	return found;
}

const gzipped = (data: Buffer): Promise<Buffer> => promisify(gzip)(data, { level: 9 });
const brotlied = (data: Buffer): Promise<Buffer> =>
	promisify(brotliCompress)(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length } });

async function compressAll(directory: string, { files }: AssetManifest): Promise<void> {
	await Promise.all(
		files.map(async (name) => {
			const data = await readFile(path.join(directory, name));
			await writeFile(path.join(directory, `${name}.gz`), await gzipped(data));
			await writeFile(path.join(directory, `${name}.br`), await brotlied(data));
		}),
	);
}

/** Everything the result depends on. */
async function sourceHash(minify: boolean): Promise<string> {
	const hash = createHash('sha256').update(`minify ${minify}\n`);
	const names = (await readdir(browserDir, { recursive: true, withFileTypes: true }))
		.filter((entry) => entry.isFile())
		.map((entry) => path.relative(browserDir, path.join(entry.parentPath, entry.name)))
		.toSorted();
	const files = [
		import.meta.filename,
		...names.map((name) => path.join(browserDir, name)),
		...BUNDLED_PACKAGES.map((name) => path.join(projectDir, 'node_modules', name, 'package.json')),
	];
	for (const file of files) {
		const data = await readFile(file);
		hash.update(`${path.relative(projectDir, file)} ${data.length}\n`).update(data);
	}
	return hash.digest('hex').slice(0, 20);
}

async function prune(outDir: string): Promise<void> {
	const manifests: { file: string; manifest: AssetManifest; builtAtMs: number }[] = [];
	for (const name of await readdir(outDir)) {
		const file = path.join(outDir, name);
		const manifest = /^manifest-.*\.json$/.test(name) ? await readManifest(file) : null;
		if (manifest !== null) {
			manifests.push({ file, manifest, builtAtMs: (await stat(file)).mtimeMs });
		}
	}
	manifests.sort((a, b) => b.builtAtMs - a.builtAtMs);
	const kept = new Set(manifests.slice(0, KEPT_BUILDS).flatMap(({ manifest }) => manifest.files));
	for (const { file, manifest } of manifests.slice(KEPT_BUILDS)) {
		await rm(file, { force: true });
		for (const name of manifest.files.filter((name) => !kept.has(name))) {
			for (const variant of ['', '.gz', '.br']) {
				await rm(path.join(outDir, 'assets', name + variant), { force: true });
			}
		}
	}
}
