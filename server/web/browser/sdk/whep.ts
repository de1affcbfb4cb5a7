import { type LinkedIceServer, parseAlternates, parseIceServers, parseReporting, type Reporting } from './ice-links.ts';
import { asProblem, problemOf } from './problem.ts';

/** What a WHEP endpoint answered (draft-ietf-wish-whep). */
export interface WhepAnswer {
	sdp: string;
	/** Where the session can be changed and ended; absolute. */
	sessionUrl: string | null;
	/** From `Link: rel="ice-server"`; none unless TURN is configured. */
	iceServers: LinkedIceServer[];
	/** From `Link: rel="alternate"`: base URLs of other servers that lead to the same room. */
	alternates: string[];
	/** From `Link: rel="quality"`. */
	reporting: Reporting | null;
}

/**
 * One POST: an offer for a session. A 307 to another node is followed by fetch itself.
 * @throws ProblemError
 */
export const postOffer = async (url: string, sdp: string, token: string | undefined, signal: AbortSignal): Promise<WhepAnswer> => {
	try {
		const response = await fetch(url, {
			method: 'POST',
			headers: { 'content-type': 'application/sdp', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
			body: sdp,
			cache: 'no-store',
			signal,
		});
		if (!response.ok) {
			throw await problemOf(response);
		}
		const location = response.headers.get('location');
		return {
			sdp: await response.text(),
			sessionUrl: location === null ? null : new URL(location, response.url).href,
			iceServers: parseIceServers(response.headers.get('link')),
			alternates: parseAlternates(response.headers.get('link')),
			reporting: parseReporting(response.headers.get('link'), response.url),
		};
	} catch (error) {
		throw asProblem(error);
	}
};

/** Ends a session. Works while the page goes away, too; nothing can be done about a failure, so none is told. */
export const deleteSession = async (sessionUrl: string, token: string | undefined): Promise<void> => {
	await fetch(sessionUrl, {
		method: 'DELETE',
		keepalive: true,
		signal: AbortSignal.timeout(2_000),
		...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
	}).catch(() => undefined);
};
