import { turnCredentials } from '../../auth/turn-credentials.ts';
import type { Config } from '../../config/schema.ts';

/**
 * `Link` header values that tell a WHIP or WHEP client its STUN and TURN servers (RFC 9725 §4.6); undefined when
 * none are configured. Credentials are the listener's own, for TURN servers limit allocations by user name.
 *
 * @param turn the servers, and the secret shared with them
 * @param randomId makes a name that tells people apart; it is seen by the TURN server
 * @param nowMs milliseconds since the epoch
 */
export function iceLinks(turn: Config['turn'], randomId: () => string, nowMs: number): string[] | undefined {
	if (turn.urls.length === 0) return undefined;
	const { secret, urls, ttlSeconds } = turn;
	const credentials = secret === undefined ? undefined : turnCredentials({ urls, secret, ttlSeconds }, randomId(), nowMs / 1000);
	return urls.map((url) => {
		const link = `<${url}>; rel="ice-server"`;
		if (credentials === undefined || !/^turns?:/.test(url)) return link;
		return `${link}; username="${credentials.username}"; credential="${credentials.credential}"; credential-type="password"`;
	});
}
