/**
 * Session ids say which shard holds the session, so that no table of listeners is needed to find one:
 * `<shard index>-<32 hex digits>`. The random part is the capability that lets its holder end the session.
 */
export function makeSessionId(shardIndex: number, randomHex: string): string {
	return `${shardIndex}-${randomHex}`;
}

/** The shard index in a session id, or undefined when it is not one of ours. */
export function shardIndexOf(sessionId: string): number | undefined {
	const match = /^(\d{1,4})-[0-9a-f]{32}$/.exec(sessionId);
	return match ? Number(match[1]) : undefined;
}
