import { SfuError } from '../contract/sfu-error.ts';
import type { ParamsOf, ResultOf, ShardEventName, ShardEvents, ShardMessage, ShardRequestName } from '../contract/shard-protocol.ts';

export type ShardHandlers = { [N in ShardRequestName]: (params: ParamsOf<N>) => Promise<ResultOf<N>> | ResultOf<N> };

/** The part of `process` that this end of the channel needs. */
export interface ParentPort {
	send?: (message: ShardMessage) => unknown;
	on(event: 'message', listener: (message: unknown) => void): unknown;
	connected?: boolean;
}

/** The shard's end of the channel: answers requests from the table of handlers, sends events. */
export class RequestServer {
	readonly #port: ParentPort;

	constructor(port: ParentPort, handlers: ShardHandlers, onUnexpected: (error: unknown, request: string) => void) {
		this.#port = port;
		port.on('message', (message) => {
			const request = message as ShardMessage;
			if (request.kind === 'request') {
				void this.#answer(request.id, request.name, request.params, handlers, onUnexpected);
			}
		});
	}

	event<N extends ShardEventName>(name: N, data: ShardEvents[N]): void {
		this.#send({ kind: 'event', name, data });
	}

	async #answer(
		id: number,
		name: ShardRequestName,
		params: unknown,
		handlers: ShardHandlers,
		onUnexpected: (error: unknown, request: string) => void,
	): Promise<void> {
		try {
			// The table guarantees that params fit the handler; TypeScript cannot follow the lookup.
			const handler = handlers[name] as (params: unknown) => unknown;
			this.#send({ kind: 'result', id, result: await handler(params) });
		} catch (error) {
			if (error instanceof SfuError) {
				this.#send({ kind: 'error', id, code: error.code, message: error.message, ...(error.reason === undefined ? {} : { reason: error.reason }) });
			} else {
				onUnexpected(error, name);
				this.#send({ kind: 'error', id, code: 'shard_failed', message: `${name} failed in the shard` });
			}
		}
	}

	#send(message: ShardMessage): void {
		if (this.#port.connected !== false) {
			this.#port.send?.(message);
		}
	}
}
