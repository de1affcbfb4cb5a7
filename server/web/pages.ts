// The HTML of the pages. They say nothing of any person, and of a room no more than what a shared link to a public one
// shows: everything comes from the API afterwards, so that one small document serves everybody and may be cached by anybody.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ASSET_PREFIX, type AssetManifest, buildAssets, type BuildOptions, DEFAULT_ASSET_DIR, type PageName } from './build.ts';
import type { LinkPreview } from './share/link-preview.ts';

export interface PagesOptions extends BuildOptions {
	/** Shown in tabs and link previews until the page knows better. Default `Rostrum`. */
	title?: string;
	/** Further base URLs that pages may connect to: the public URLs of other nodes, which come and go while this one runs. */
	connectOrigins?: () => readonly string[];
	/** Origins whose pages may show the small player in a frame; default none. */
	embedOrigins?: '*' | readonly string[];
	/** What a shared link to a room's listening page shows; undefined for rooms of which nothing may be said. */
	linkPreview?: (roomId: string) => LinkPreview | undefined;
}

interface Page {
	html: Buffer;
	hash: string;
	headers: Record<string, string>;
}

interface Policy {
	text: string;
	hash: string;
}

/** Long enough for a crowd to be served by caches, short enough that an upgrade is seen soon. */
const PAGE_MAX_AGE_SECONDS = 60;
const EMBED_SCRIPT = path.join(import.meta.dirname, 'embed.js');
const EMBED_MAX_AGE_SECONDS = 3_600;
/** Documents of rooms that are kept in memory, of 3 KB each. */
const MAX_KEPT_PAGES = 500;
/** What a link shows that says nothing of a room. */
const GENERAL_TAGS = /(<meta property="og:title" content="[^"]*">\n<meta property="og:type" content="website">\n)/;

const ROUTES: readonly { url: string; page: PageName; indexed: boolean; microphone: boolean; framed?: true }[] = [
	{ url: '/', page: 'landing', indexed: true, microphone: false },
	{ url: '/r/:room', page: 'listen', indexed: true, microphone: true },
	{ url: '/embed/:room', page: 'embed', indexed: false, microphone: false, framed: true },
	{ url: '/r/:room/replay', page: 'replay', indexed: true, microphone: false },
	{ url: '/r/:room/stage', page: 'stage', indexed: false, microphone: true },
	{ url: '/admin', page: 'admin', indexed: false, microphone: false },
];

/** Serves the pages and their assets. Builds the assets first unless they are there already. */
export async function registerPages(app: FastifyInstance, options: PagesOptions = {}): Promise<void> {
	const manifest = await buildAssets(options);
	await app.register(fastifyStatic, {
		root: `${options.outDir ?? DEFAULT_ASSET_DIR}/assets`,
		prefix: ASSET_PREFIX,
		decorateReply: false,
		index: false,
		// Names carry the content's hash: what is there never changes.
		immutable: true,
		maxAge: '365d',
		preCompressed: true,
		schemaHide: true,
	});
	const connectOrigins = options.connectOrigins ?? (() => []);
	const ordinaryPolicy = makePolicy("'none'");
	const framedPolicy = makePolicy(frameAncestors(options.embedOrigins ?? []));
	for (const { url, page, indexed, microphone, framed = false } of ROUTES) {
		const policyFor = framed ? framedPolicy : ordinaryPolicy;
		const document = makePage(manifest, page, options, { indexed, microphone, framed });
		const documentFor = page === 'listen' ? withPreviews(document, options.linkPreview) : () => document;
		app.get<{ Params: { room?: string } }>(url, { schema: { hide: true } }, (request, reply) => sendPage(request, reply, documentFor(request.params.room), policyFor(connectOrigins())));
	}
	await registerEmbedScript(app);
	const { listen, stage } = manifest.pages;
	app.log.debug({ listenGzipBytes: listen.gzipBytes, stageGzipBytes: stage.gzipBytes }, 'pages are built');
}

function sendPage(request: FastifyRequest, reply: FastifyReply, { html, hash, headers }: Page, policy: Policy): FastifyReply {
	// Browsers do not all take a new policy from a 304: another policy is another document.
	const etag = `"${hash}-${policy.hash}"`;
	void reply.headers(headers).header('etag', etag).header('content-security-policy', policy.text);
	if (request.headers['if-none-match']?.split(/\s*,\s*/).includes(etag)) {
		return reply.code(304).send();
	}
	return reply.type('text/html; charset=utf-8').send(html);
}

function makePage(
	manifest: AssetManifest,
	page: PageName,
	{ title = 'Rostrum' }: PagesOptions,
	{ indexed, microphone, framed }: { indexed: boolean; microphone: boolean; framed: boolean },
): Page {
	const html = Buffer.from(renderPage(manifest, page, title, indexed));
	return {
		html,
		hash: shortHash(html),
		headers: {
			'cache-control': `public, max-age=${PAGE_MAX_AGE_SECONDS}`,
			'permissions-policy': `microphone=(${microphone ? 'self' : ''}), camera=(), geolocation=(), display-capture=()`,
			'cross-origin-opener-policy': 'same-origin',
			'referrer-policy': 'no-referrer',
			'x-content-type-options': 'nosniff',
			// It knows no list; the policy's `frame-ancestors` says it all where a page may be framed.
			...(framed ? {} : { 'x-frame-options': 'DENY' }),
		},
	};
}

/** The page of each room with what a shared link to it shows: the same document for everybody, made anew when the room has changed. */
function withPreviews(page: Page, linkPreview: PagesOptions['linkPreview']): (roomId: string | undefined) => Page {
	const kept = new Map<string, Page & { key: string }>();
	return (roomId) => {
		const preview = roomId === undefined ? undefined : linkPreview?.(roomId);
		if (roomId === undefined || preview === undefined) {
			return page;
		}
		let made = kept.get(roomId);
		if (made?.key !== preview.key) {
			const html = withTags(page.html, preview.tags());
			made = { ...page, key: preview.key, html, hash: shortHash(html) };
			kept.delete(roomId);
			kept.set(roomId, made);
			if (kept.size > MAX_KEPT_PAGES) {
				for (const oldest of kept.keys()) {
					kept.delete(oldest);
					break;
				}
			}
		}
		return made;
	};
}

/** In place of the general ones. */
function withTags(html: Buffer, tags: ReturnType<LinkPreview['tags']>): Buffer {
	const [before = '', , after = ''] = html.toString().split(GENERAL_TAGS);
	return Buffer.from(before + tags.map(([property, content]) => `<meta ${property.startsWith('twitter:') ? 'name' : 'property'}="${property}" content="${escapeHtml(content)}">\n`).join('') + after);
}

/** Gives the Content-Security-Policy for those whom pages may connect to; made anew only when they change. */
function makePolicy(ancestors: string): (baseUrls: readonly string[]) => Policy {
	let made: (Policy & { key: string }) | undefined;
	return (baseUrls) => {
		const key = baseUrls.join(' ');
		if (made?.key !== key) {
			const text = policyText(baseUrls, ancestors);
			made = { key, text, hash: shortHash(text).slice(0, 8) };
		}
		return made;
	};
}

/** For the small player: our own pages and those on the list. */
function frameAncestors(origins: '*' | readonly string[]): string {
	if (origins === '*') return '*';
	return origins.length === 0 ? "'none'" : ["'self'", ...origins].join(' ');
}

/** What other people's pages load to get the small player. It is no secret, and says nothing of any room. */
async function registerEmbedScript(app: FastifyInstance): Promise<void> {
	const script = await readFile(EMBED_SCRIPT);
	const etag = `"${shortHash(script)}"`;
	app.get('/embed.js', { schema: { hide: true } }, (request, reply) => {
		void reply.headers({ etag, 'cache-control': `public, max-age=${EMBED_MAX_AGE_SECONDS}`, 'cross-origin-resource-policy': 'cross-origin' });
		if (request.headers['if-none-match']?.split(/\s*,\s*/).includes(etag)) return reply.code(304).send();
		return reply.type('text/javascript; charset=utf-8').send(script);
	});
}

function shortHash(data: Buffer | string): string {
	return createHash('sha256').update(data).digest('base64url').slice(0, 22);
}

function policyText(baseUrls: readonly string[], ancestors: string): string {
	const origins = new Set(baseUrls.filter((url) => URL.canParse(url)).map((url) => new URL(url).origin));
	const policy = {
		'default-src': "'none'",
		'script-src': "'self'",
		'style-src': "'self'",
		'img-src': "'self'",
		// Where a browser plays HLS by itself, it is not `connect-src` that counts.
		'media-src': ["'self'", 'blob:', ...origins].join(' '),
		'connect-src': ["'self'", ...[...origins].flatMap((origin) => [origin, origin.replace(/^http/, 'ws')])].join(' '),
		'base-uri': "'none'",
		'form-action': "'self'",
		'frame-ancestors': ancestors,
		'require-trusted-types-for': "'script'",
	};
	return Object.entries(policy)
		.map(([directive, value]) => `${directive} ${value}`)
		.join('; ');
}

function renderPage({ pages, icon }: AssetManifest, page: PageName, title: string, indexed: boolean): string {
	const { script, imports, style } = pages[page];
	const name = escapeHtml(title);
	return `<!doctype html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}</title>
<meta name="color-scheme" content="light dark">
<meta name="theme-color" media="(prefers-color-scheme: light)" content="#f6f3ec">
<meta name="theme-color" media="(prefers-color-scheme: dark)" content="#141210">
<meta property="og:site_name" content="${name}">
<meta property="og:title" content="${name}">
<meta property="og:type" content="website">
${indexed ? '' : '<meta name="robots" content="noindex">\n'}<link rel="icon" type="image/svg+xml" href="${icon}">
<link rel="stylesheet" href="${style}">
${imports.map((url) => `<link rel="modulepreload" href="${url}">\n`).join('')}<script type="module" src="${script}"></script>
</head>
<body>
<div id="app"><noscript>
<p lang="en">This page plays live audio and needs JavaScript.</p>
<p lang="ar" dir="rtl">تشغّل هذه الصفحة صوتًا مباشرًا وتحتاج إلى JavaScript.</p>
</noscript></div>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
	return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
