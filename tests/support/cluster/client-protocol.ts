// What the test asks of a client process, and what it answers, over its child-process channel. All times are
// `monotonicMs`: one clock for all processes of the machine.
import type { Heard } from './hearing.ts';

export interface ListenerLoss {
	/** When the listener found out. */
	noticedAtMs: number;
	why: 'closed' | 'silent';
	sessionId: string;
	/** When the next session was connected; undefined while there is none. */
	backAtMs?: number;
}

export interface ListenerReport extends Heard {
	id: number;
	/** Of the session that plays; '' while there is none. */
	sessionId: string;
	/** Node and shard in it, `node.shard`; `.shard` at a node that is alone. */
	shard: string;
	connected: boolean;
	/** Sessions that ended and were not meant to, since the mark. */
	losses: ListenerLoss[];
	/** Sessions left for another because the server asked, since the mark. */
	moves: number;
	/** Answers other than 201 to its POSTs, since the mark. */
	refusals: { atMs: number; what: string }[];
	/** Sessions that it was sent to another server for, since the mark. */
	handedOn: number;
}

export interface SpeakerReport {
	number: number;
	onStage: boolean;
	/** Its media is connected. */
	sending: boolean;
	/** Welcomes since the mark. */
	sockets: { atMs: number; resumed: boolean; number: number }[];
	/** Why sockets and media were lost, since the mark. */
	losses: { atMs: number; what: string }[];
	/** Over for good, with the server's code. */
	ended?: string;
}

export interface HttpRequest {
	url: string;
	method: string;
	headers: Record<string, string>;
	body?: string;
	timeoutMs?: number;
	redirect?: 'follow' | 'manual';
}

export interface HttpAnswer {
	status: number;
	headers: [string, string][];
	body: string;
	/** After redirects. */
	url: string;
}

/** Commands: name → [parameters, result]. */
export interface ClientCommands {
	http: [HttpRequest, HttpAnswer];
	/** An offer of a listener that never goes on. */
	offer: [Record<string, never>, { sdp: string }];
	/** Resolves when all are connected, or have failed to be within the time. They come from these servers in turn. */
	listen: [{ room: string; baseUrls: readonly string[]; count: number; withinMs: number }, { connected: number; connectMs: number[] }];
	/** Ends all listeners. */
	leave: [Record<string, never>, Record<string, never>];
	/** Follows the room's events, for `move`. */
	follow: [{ room: string; baseUrl: string }, Record<string, never>];
	/** Resolves when on stage and sending. */
	speak: [{ room: string; token: string; baseUrl: string }, { number: number }];
	hush: [Record<string, never>, Record<string, never>];
	/** Which speaker listeners attend to: roster number, CSRC. */
	attend: [{ number: number }, Record<string, never>];
	mark: [Record<string, never>, { atMs: number }];
	report: [Record<string, never>, { atMs: number; listeners: ListenerReport[]; speaker?: SpeakerReport; lagMs: number }];
}

export type CommandName = keyof ClientCommands;
export type CommandParams<N extends CommandName> = ClientCommands[N][0];
export type CommandResult<N extends CommandName> = ClientCommands[N][1];

export interface CommandFrame {
	id: number;
	name: CommandName;
	params: unknown;
}
export type AnswerFrame = { id: number; result: unknown } | { id: number; error: string };
