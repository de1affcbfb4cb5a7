import type { IncomingMessage } from 'node:http';

/** Names the sending node, by a cluster token. On the internal port alone. */
export const NODE_HEADER = 'x-rostrum-node';
/** Whom the request is forwarded for. On the internal port alone. */
export const CLIENT_HEADER = 'x-rostrum-client';
/** Which problem the answer is: code and, where there is one, its finer reason. On the internal port alone. */
export const PROBLEM_HEADER = 'x-rostrum-problem';
/** The internal port's path before that of a whole public request. */
export const FORWARD_PREFIX = '/forward';

/** How a request came here that another node was asked first. */
export interface Forwarding {
	/** The node that passed it on. */
	from: string;
	/** Address of whoever asked that node, as it saw it. */
	client: string | undefined;
}

// On the request object itself and under a symbol: no header can say it, so nobody outside can.
const FORWARDING = Symbol('forwarding');
type Marked = IncomingMessage & { [FORWARDING]?: Forwarding };

/** A request is forwarded once at most: whoever it reaches that way answers it. */
export function markForwarded(request: Marked, forwarding: Forwarding): void {
	request[FORWARDING] = forwarding;
}

/** Undefined for a request that came from outside. */
export function forwardingOf(request: Marked): Forwarding | undefined {
	return request[FORWARDING];
}
