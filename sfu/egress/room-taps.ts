import type { Edge } from '../edge/edge.ts';
import type { EdgeTap } from '../edge/edge-tap.ts';

/** What makes a stream of a room's programme. */
export interface StreamTap extends EdgeTap {
	tick(nowMs: number): void;
	close(nowMs: number): void;
}

interface OpenTap {
	streamId: string;
	edge: Edge;
	tap: StreamTap;
}

/** The streams of one sort that begin at edges of this shard, one a room. A room's next one ends the one before. */
export abstract class RoomTaps {
	readonly #rooms = new Map<string, OpenTap>();

	/** The edge has gone, and its stream with it. */
	protected abstract tellClosed(roomId: string, streamId: string): void;

	protected begin(roomId: string, open: OpenTap): void {
		this.end(roomId);
		this.#rooms.set(roomId, open);
		open.edge.addTap(open.tap);
	}

	/** Only if it is this stream that runs. What came until now has been told when this returns. */
	close(roomId: string, streamId: string): void {
		if (this.#rooms.get(roomId)?.streamId === streamId) {
			this.end(roomId);
		}
	}

	edgeClosed(roomId: string): void {
		const streamId = this.end(roomId);
		if (streamId !== undefined) {
			this.tellClosed(roomId, streamId);
		}
	}

	tick(nowMs: number): void {
		for (const { tap } of this.#rooms.values()) {
			tap.tick(nowMs);
		}
	}

	closeAll(): void {
		for (const roomId of this.#rooms.keys()) {
			this.end(roomId);
		}
	}

	/** @returns the stream that ended, if one ran */
	protected end(roomId: string): string | undefined {
		const open = this.#rooms.get(roomId);
		if (open) {
			this.#rooms.delete(roomId);
			open.edge.removeTap(open.tap);
			open.tap.close(performance.now());
		}
		return open?.streamId;
	}
}
