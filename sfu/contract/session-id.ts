/**
 * Session ids say which node and shard holds the session, so that no table of listeners is needed to find one:
 * `<node>.<shard index>-<32 hex digits>`, without the node where there is only one. The random part is the
 * capability that lets its holder end the session.
 */
export function makeSessionId(shardIndex: number, randomHex: string, nodeId?: string): string {
	return `${nodeId === undefined ? '' : `${nodeId}.`}${shardIndex}-${randomHex}`;
}

/** As a pattern for schemas. */
export const SESSION_ID_PATTERN = '^(?:([a-z0-9-]{1,32})\\.)?(\\d{1,4})-[0-9a-f]{32}$';
const SESSION_ID = new RegExp(SESSION_ID_PATTERN);

export interface SessionAddress {
	/** Undefined in ids of a node that is alone. */
	nodeId: string | undefined;
	shardIndex: number;
}

/** Where a session is, or undefined when the id is not one of ours. */
export function parseSessionId(sessionId: string): SessionAddress | undefined {
	const match = SESSION_ID.exec(sessionId);
	return match ? { nodeId: match[1], shardIndex: Number(match[2]) } : undefined;
}

/** The shard index in a session id, or undefined when it is not one of ours. */
export function shardIndexOf(sessionId: string): number | undefined {
	return parseSessionId(sessionId)?.shardIndex;
}

/** As much of a session's id as may stand in a log: its shard, and what tells it from others. Who knows all of it may end it. */
export function shownSession(sessionId: string): string | undefined {
	return SESSION_ID.test(sessionId) ? sessionId.slice(0, -24) : undefined;
}
