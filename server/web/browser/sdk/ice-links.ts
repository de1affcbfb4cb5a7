/** Fits RTCIceServer. */
export interface LinkedIceServer {
	urls: string;
	username?: string;
	credential?: string;
}

export interface Reporting {
	url: string;
	/** 0 to 1. */
	rate: number;
	everyMs: number;
}

interface Link {
	url: string;
	parameters: ReadonlyMap<string, string>;
}

/** What a Link header (RFC 8288) names by one relation. */
const linksOf = (header: string | null, relation: string): Link[] => {
	const links: Link[] = [];
	for (const [, url = '', rest = ''] of (header ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^;,\s]+))*)/g)) {
		const parameters = new Map<string, string>();
		for (const [, name = '', quoted, bare] of rest.matchAll(/;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,\s]+))/g)) {
			parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '');
		}
		if (parameters.get('rel') === relation) {
			links.push({ url, parameters });
		}
	}
	return links;
};

/** Base URLs of other servers that lead to the same room (`rel="alternate"`). */
export const parseAlternates = (header: string | null): string[] => linksOf(header, 'alternate').map(({ url }) => url);

/** Where a part (`rate`) of all clients is asked to tell every so often how it sounds (`rel="quality"`). */
export const parseReporting = (header: string | null, base: string): Reporting | null => {
	const [link] = linksOf(header, 'quality');
	return link === undefined
		? null
		: { url: new URL(link.url, base).href, rate: Number(link.parameters.get('rate')), everyMs: Number(link.parameters.get('every') ?? 30) * 1_000 };
};

/** ICE servers out of a Link header (WHEP section on STUN/TURN configuration). */
export const parseIceServers = (header: string | null): LinkedIceServer[] =>
	linksOf(header, 'ice-server').map(({ url, parameters }) => {
		const username = parameters.get('username');
		const credential = parameters.get('credential');
		return {
			urls: url,
			...(username === undefined ? {} : { username }),
			...(credential === undefined ? {} : { credential }),
		};
	});
