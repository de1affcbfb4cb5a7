import type { TokenIssuer } from '../../auth/token-issuer.ts';
import type { Room } from '../rooms/room.ts';

const LINK_LIFE_SECONDS = 24 * 3_600;

export interface Welcome {
	url: string;
	issuer: TokenIssuer;
	demo: Room | undefined;
	/** The operator has a token of their own to sign in with. */
	hasAdminToken: boolean;
}

/** What the terminal says once a node is up: where to go, and what to do there. */
export async function welcomeText({ url, issuer, demo, hasAdminToken }: Welcome): Promise<string> {
	const nowSeconds = Math.floor(Date.now() / 1_000);
	const admin = hasAdminToken
		? `${url}/admin   (sign in with ROSTRUM_ADMIN_TOKEN)`
		: `${url}/admin#token=${(await issuer.issue({ role: 'admin', subject: 'operator', name: 'Operator', expiresInSeconds: LINK_LIFE_SECONDS, nowSeconds })).token}`;
	if (!demo) {
		return `\nRostrum is up at ${url}\n\n  Admin   ${admin}\n`;
	}
	const host = await issuer.issue({
		role: 'host',
		roomId: demo.id,
		subject: 'demo-host',
		name: 'Host',
		expiresInSeconds: LINK_LIFE_SECONDS,
		nowSeconds,
	});
	return `
Rostrum is up at ${url}

  Listen  ${url}/r/${demo.id}
  Host    ${url}/r/${demo.id}/stage#token=${host.token}
  Admin   ${admin}

What to do next
  1. Open the Host link in a browser, allow the microphone, go on stage and press "Go live".
  2. Open the Listen link in another tab or browser and press "Listen": you hear the host.
  3. On the host's page, make a link for a speaker and send it to somebody; they join the same way.

The Host and Admin links are secrets; they work for 24 hours. Each start prints new ones. Press Ctrl-C to stop.
`;
}
