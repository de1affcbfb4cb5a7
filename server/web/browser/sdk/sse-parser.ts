/** One event of a stream (WHATWG HTML, server-sent events). */
export interface ServerEvent {
	type: string;
	data: string;
	id: string;
}

/** Takes text as it arrives and gives whole events. `lastEventId` outlives a parser; pass it on. */
export class SseParser {
	lastEventId: string;
	/** What the server wants a client to wait before it reconnects. */
	retryMs: number | undefined;
	#rest = '';
	#type = '';
	#data: string[] = [];

	constructor(lastEventId = '') {
		this.lastEventId = lastEventId;
	}

	push(text: string): ServerEvent[] {
		const events: ServerEvent[] = [];
		// A CR at the end may be half of a CRLF: keep it for the next chunk.
		const whole = this.#rest + text;
		const held = whole.endsWith('\r') ? 1 : 0;
		const lines = whole.slice(0, whole.length - held).split(/\r\n|\n|\r/);
		this.#rest = (lines.pop() ?? '') + (held === 1 ? '\r' : '');
		for (const line of lines) {
			if (line === '') {
				if (this.#data.length > 0) {
					events.push({ type: this.#type === '' ? 'message' : this.#type, data: this.#data.join('\n'), id: this.lastEventId });
				}
				this.#type = '';
				this.#data = [];
			} else {
				this.#field(line);
			}
		}
		return events;
	}

	#field(line: string): void {
		const colon = line.indexOf(':');
		const name = colon === -1 ? line : line.slice(0, colon);
		const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
		if (name === 'event') {
			this.#type = value;
		} else if (name === 'data') {
			this.#data.push(value);
		} else if (name === 'id' && !value.includes('\0')) {
			this.lastEventId = value;
		} else if (name === 'retry' && /^\d+$/.test(value)) {
			this.retryMs = Number(value);
		}
	}
}
