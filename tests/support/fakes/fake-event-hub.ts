import { DomainError } from '../../../server/errors.ts';
import type { EventHub, Subscription } from '../../../server/events/event-hub.ts';
import type { StreamEnd } from '../../../server/events/room-audience.ts';

export interface FakeStream {
	roomId: string;
	lastEventId: string | undefined;
	write(chunk: string): boolean;
	end(reason: StreamEnd): void;
	drains: number;
}

/** The part of `EventHub` that HTTP routes use: streams that say what the test tells them to. */
export class FakeEventHub implements Pick<EventHub, 'attach' | 'streamCount'> {
	readonly streams = new Set<FakeStream>();
	maxStreams = 3;
	/** Called when a stream comes or goes. */
	onChange: () => void = () => {};

	get streamCount(): number {
		return this.streams.size;
	}

	attach(roomId: string, write: (chunk: string) => boolean, lastEventId?: string, ended?: (reason: StreamEnd) => void): Subscription {
		if (this.streams.size >= this.maxStreams) throw new DomainError('no_capacity', 'full', { retryAfterSeconds: 10 });
		const stream: FakeStream = { roomId, lastEventId, write, end: (reason) => ended?.(reason), drains: 0 };
		this.streams.add(stream);
		write('event: room\nid: 1\ndata: {}\n\n');
		this.onChange();
		return {
			close: () => {
				this.streams.delete(stream);
				this.onChange();
			},
			drained: () => {
				stream.drains++;
				this.onChange();
			},
		};
	}
}
