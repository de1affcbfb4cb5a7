import { messagesOf, Outbox, type ShardMail } from '../contract/outbox.ts';
import { SfuError } from '../contract/sfu-error.ts';
import type { ParamsOf, ResultOf, ShardEventName, ShardEvents, ShardRequestName } from '../contract/shard-protocol.ts';

export type ShardHandlers = { [N in ShardRequestName]: (params: ParamsOf<N>) => Promise<ResultOf<N>> | ResultOf<N> };

/** The part of `process` that this end of the channel needs. */
export interface ParentPort {
	send?: (mail: ShardMail) => unknown;
	on(event: 'message', listener: (message: unknown) => void): unknown;
	connected?: boolean;
}

/** The shard's end of the channel: answers requests from the table of handlers, sends events. */
export class RequestServer {
	readonly #outbox: Outbox;

	constructor(port: ParentPort, handlers: ShardHandlers, onUnexpected: (error: unknown, request: string) => void) {
		this.#outbox = new Outbox(
			(mail) => {
				if (port.connected !== false) {
					port.send?.(mail);
				}
			},
			(message, error) => {
				onUnexpected(error, 'name' in message ? message.name : message.kind);
				if (message.kind === 'result') {
					this.#outbox.post({ kind: 'error', id: message.id, code: 'shard_failed', message: 'the answer holds what cannot be sent to the node' });
				}
			},
		);
		port.on('message', (mail) => {
			for (const request of messagesOf(mail as ShardMail)) {
				if (request.kind === 'request') {
					void this.#answer(request.id, request.name, request.params, handlers, onUnexpected);
				}
			}
		});
	}

	event<N extends ShardEventName>(name: N, data: ShardEvents[N]): void {
		this.#outbox.post({ kind: 'event', name, data });
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
			this.#outbox.post({ kind: 'result', id, result: await handler(params) });
		} catch (error) {
			if (error instanceof SfuError) {
				this.#outbox.post({ kind: 'error', id, code: error.code, message: error.message, ...(error.reason === undefined ? {} : { reason: error.reason }) });
			} else {
				onUnexpected(error, name);
				this.#outbox.post({ kind: 'error', id, code: 'shard_failed', message: `${name} failed in the shard` });
			}
		}
	}
}
