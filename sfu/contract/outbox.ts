import type { ShardMessage } from './shard-protocol.ts';

/** What travels over the channel at once: one message, or all of a turn in order. */
export type ShardMail = ShardMessage | ShardMessage[];

/**
 * Collects what is said in one turn of the event loop and sends it as one. In a storm of joins a write for each, and the
 * wake-up of the other process that it brings, is a third of what a join costs the node.
 */
export class Outbox {
	readonly #send: (mail: ShardMail) => void;
	readonly #unsendable: (message: ShardMessage, error: unknown) => void;
	#waiting: ShardMessage[] = [];
	readonly #flush = (): void => {
		const messages = this.#waiting;
		this.#waiting = [];
		try {
			this.#send(messages.length === 1 ? messages[0]! : messages);
		} catch (error) {
			this.#sendSingly(messages, error);
		}
	};

	/**
	 * @param send throws, with nothing sent, when what it is given cannot be cloned
	 * @param unsendable told of each message that `send` does not take; whoever waits for an answer to it waits in vain. Must not throw.
	 */
	constructor(send: (mail: ShardMail) => void, unsendable: (message: ShardMessage, error: unknown) => void) {
		this.#send = send;
		this.#unsendable = unsendable;
	}

	post(message: ShardMessage): void {
		if (this.#waiting.push(message) === 1) {
			setImmediate(this.#flush);
		}
	}

	/** One that cannot be sent must not take along those that were said in the same turn. */
	#sendSingly(messages: readonly ShardMessage[], error: unknown): void {
		if (messages.length === 1) {
			this.#unsendable(messages[0]!, error);
			return;
		}
		for (const message of messages) {
			try {
				this.#send(message);
			} catch (why) {
				this.#unsendable(message, why);
			}
		}
	}
}

export const messagesOf = (mail: ShardMail): readonly ShardMessage[] => (Array.isArray(mail) ? mail : [mail]);
