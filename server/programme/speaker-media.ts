import { EventEmitter } from 'node:events';
import type { DtlsParameters, IceParameters, RtpCapabilities, RtpParameters, TransportParameters } from '../../sfu/contract/media-types.ts';
import type { Room } from '../rooms/room.ts';
import { media } from './media-error.ts';
import type { MediaRooms } from './media-rooms.ts';
import type { RoomMedia, RoomMediaEvents } from './room-media.ts';
import type { StageOrigins } from './stage-origins.ts';

type SpeakerCalls = 'addSpeaker' | 'removeSpeaker' | 'createTransport' | 'connectTransport' | 'restartIce' | 'produce' | 'consume' | 'setMuted';

/** What people on stage ask of a room's media: each call is a request to the shard with the room's origin. */
export abstract class SpeakerMedia extends EventEmitter<RoomMediaEvents> implements Pick<RoomMedia, SpeakerCalls> {
	protected abstract readonly rooms: MediaRooms;
	protected abstract readonly origins: StageOrigins;

	async addSpeaker(room: Room, participantId: string, number: number): Promise<{ rtpCapabilities: RtpCapabilities }> {
		return media(async () => {
			const { shard, rtpCapabilities } = await this.rooms.open(room).programme.openOrigin();
			await shard.request('speaker.add', { roomId: room.id, participantId, number });
			return { rtpCapabilities };
		});
	}

	async removeSpeaker(roomId: string, participantId: string): Promise<void> {
		const shard = this.rooms.get(roomId)?.programme.originShard;
		if (shard) {
			await media(() => shard.request('speaker.remove', { roomId, participantId }));
		}
	}

	createTransport(roomId: string, participantId: string, direction: 'send' | 'recv'): Promise<TransportParameters> {
		return media(() => this.origins.shardOf(roomId).request('speaker.createTransport', { roomId, participantId, direction }));
	}

	async connectTransport(roomId: string, participantId: string, transportId: string, dtlsParameters: DtlsParameters): Promise<void> {
		await media(() => this.origins.shardOf(roomId).request('speaker.connectTransport', { roomId, participantId, transportId, dtlsParameters }));
	}

	async restartIce(roomId: string, participantId: string, transportId: string): Promise<IceParameters> {
		const { iceParameters } = await media(() => this.origins.shardOf(roomId).request('speaker.restartIce', { roomId, participantId, transportId }));
		return iceParameters;
	}

	produce(roomId: string, participantId: string, transportId: string, rtpParameters: RtpParameters): Promise<{ producerId: string }> {
		return media(() => this.origins.shardOf(roomId).request('speaker.produce', { roomId, participantId, transportId, rtpParameters }));
	}

	consume(
		roomId: string,
		participantId: string,
		ofParticipantId: string,
		rtpCapabilities: RtpCapabilities,
	): Promise<{ consumerId: string; producerId: string; rtpParameters: RtpParameters }> {
		return media(() => this.origins.shardOf(roomId).request('speaker.consume', { roomId, participantId, ofParticipantId, rtpCapabilities }));
	}

	async setMuted(roomId: string, participantId: string, muted: boolean): Promise<void> {
		await media(() => this.origins.shardOf(roomId).request('speaker.setMuted', { roomId, participantId, muted }));
	}
}
