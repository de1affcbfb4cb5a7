/** Fits RTCIceServer. */
export interface LinkedIceServer {
	urls: string;
	username?: string;
	credential?: string;
}

/** ICE servers out of a Link header (RFC 8288; WHEP section on STUN/TURN configuration). */
export const parseIceServers = (header: string | null): LinkedIceServer[] => {
	const servers: LinkedIceServer[] = [];
	for (const [, url = '', rest = ''] of (header ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^;,\s]+))*)/g)) {
		const parameters = new Map<string, string>();
		for (const [, name = '', quoted, bare] of rest.matchAll(/;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,\s]+))/g)) {
			parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '');
		}
		if (parameters.get('rel') !== 'ice-server') {
			continue;
		}
		const username = parameters.get('username');
		const credential = parameters.get('credential');
		servers.push({
			urls: url,
			...(username === undefined ? {} : { username }),
			...(credential === undefined ? {} : { credential }),
		});
	}
	return servers;
};
