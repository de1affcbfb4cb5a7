import type { ParamsOf, ShardEventName, ShardEvents } from '../contract/shard-protocol.ts';
import type { Edge } from '../edge/edge.ts';
import { RoomTaps } from './room-taps.ts';
import { VoiceRecording } from './voice-recording.ts';

export interface RoomRecordingsOptions {
	emit: <N extends ShardEventName>(name: N, data: ShardEvents[N]) => void;
}

/** The recordings that begin at edges of this shard. */
export class RoomRecordings extends RoomTaps {
	readonly #emit: RoomRecordingsOptions['emit'];

	constructor({ emit }: RoomRecordingsOptions) {
		super();
		this.#emit = emit;
	}

	open(roomId: string, edge: Edge, { streamId, fromMs }: Omit<ParamsOf<'recording.open'>, 'roomId'>): void {
		this.end(roomId); // With its last words, before there is another one.
		const recording = new VoiceRecording({
			voices: edge.voices,
			startMs: performance.now() - (Date.now() - fromMs),
			onChunk: (chunk) => this.#emit('recording.chunk', { roomId, streamId, ...chunk }),
		});
		this.begin(roomId, { streamId, edge, tap: recording });
	}

	protected override tellClosed(roomId: string, streamId: string): void {
		this.#emit('recording.closed', { roomId, streamId });
	}
}
