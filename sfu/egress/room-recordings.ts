import type { ParamsOf, ShardEventName, ShardEvents } from '../contract/shard-protocol.ts';
import type { Edge } from '../edge/edge.ts';
import { VoiceRecording } from './voice-recording.ts';

export interface RoomRecordingsOptions {
	emit: <N extends ShardEventName>(name: N, data: ShardEvents[N]) => void;
}

interface RoomRecording {
	streamId: string;
	edge: Edge;
	recording: VoiceRecording;
}

/** The recordings that begin at edges of this shard, one a room. */
export class RoomRecordings {
	readonly #emit: RoomRecordingsOptions['emit'];
	readonly #rooms = new Map<string, RoomRecording>();

	constructor({ emit }: RoomRecordingsOptions) {
		this.#emit = emit;
	}

	open(roomId: string, edge: Edge, { streamId, fromMs }: Omit<ParamsOf<'recording.open'>, 'roomId'>): void {
		this.#end(roomId);
		const recording = new VoiceRecording({
			voices: edge.voices,
			startMs: performance.now() - (Date.now() - fromMs),
			onChunk: (chunk) => this.#emit('recording.chunk', { roomId, streamId, ...chunk }),
		});
		this.#rooms.set(roomId, { streamId, edge, recording });
		edge.addTap(recording);
	}

	/** Only if it is this stream that runs. What came until now has been told when this returns. */
	close(roomId: string, streamId: string): void {
		if (this.#rooms.get(roomId)?.streamId === streamId) {
			this.#end(roomId);
		}
	}

	edgeClosed(roomId: string): void {
		const streamId = this.#end(roomId);
		if (streamId !== undefined) {
			this.#emit('recording.closed', { roomId, streamId });
		}
	}

	tick(nowMs: number): void {
		for (const { recording } of this.#rooms.values()) {
			recording.tick(nowMs);
		}
	}

	closeAll(): void {
		for (const roomId of this.#rooms.keys()) {
			this.#end(roomId);
		}
	}

	#end(roomId: string): string | undefined {
		const room = this.#rooms.get(roomId);
		if (room) {
			this.#rooms.delete(roomId);
			room.edge.removeTap(room.recording);
			room.recording.close(performance.now());
		}
		return room?.streamId;
	}
}
