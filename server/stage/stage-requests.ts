import type { RtpCapabilities, RtpParameters } from '../../sfu/contract/media-types.ts';
import type { RoomMedia } from '../programme/room-media.ts';
import { roomSummary } from '../rooms/room-summary.ts';
import type { StageRequest } from './frame-reader.ts';
import type { StageMethod, StageParams, StageResults } from './protocol.ts';
import type { StagePrincipal } from './stage-policy.ts';
import type { StagePlace, StageService } from './stage-service.ts';

/** What requests are carried out with. */
export interface StageRequestContext {
	principal: StagePrincipal;
	place: StagePlace;
	stages: Pick<StageService, 'run' | 'setMuted' | 'leave' | 'command' | 'muteOther' | 'muteAll' | 'kick'>;
	media: Pick<RoomMedia, 'createTransport' | 'connectTransport' | 'restartIce' | 'produce' | 'consume'>;
}

type Handlers = { [M in StageMethod]: (context: StageRequestContext, params: StageParams<M>) => Promise<StageResults[M]> };

// The casts below narrow what the schema bounds (e.g. any URI) to mediasoup's own unions (the URIs it knows);
// the sfu checks them in full before a worker sees them.
const HANDLERS: Handlers = {
	'transport.create': ({ place, stages, media }, { direction }) =>
		stages.run(place, () => media.createTransport(place.roomId, place.participantId, direction)),
	'transport.connect': async ({ place, stages, media }, { transportId, dtlsParameters }) => {
		await stages.run(place, () => media.connectTransport(place.roomId, place.participantId, transportId, dtlsParameters));
		return {};
	},
	'transport.restartIce': ({ place, stages, media }, { transportId }) =>
		stages.run(place, async () => ({ iceParameters: await media.restartIce(place.roomId, place.participantId, transportId) })),
	produce: ({ place, stages, media }, { transportId, rtpParameters }) =>
		// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
		stages.run(place, () => media.produce(place.roomId, place.participantId, transportId, rtpParameters as RtpParameters)),
	consume: ({ place, stages, media }, { participantId, rtpCapabilities }) =>
		// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
		stages.run(place, () => media.consume(place.roomId, place.participantId, participantId, rtpCapabilities as RtpCapabilities)),
	mute: async ({ place, stages }) => {
		await stages.setMuted(place, true);
		return {};
	},
	unmute: async ({ place, stages }) => {
		await stages.setMuted(place, false);
		return {};
	},
	leave: async ({ place, stages }) => {
		await stages.leave(place);
		return {};
	},
	'room.command': async ({ place, principal, stages }, { command }) => ({
		room: roomSummary(await stages.command(principal, place.roomId, command)),
	}),
	'participant.mute': async ({ place, principal, stages }, { participantId }) => {
		await stages.muteOther(principal, place.roomId, participantId);
		return {};
	},
	'participant.muteAll': async ({ place, principal, stages }) => {
		await stages.muteAll(principal, place.roomId);
		return {};
	},
	'participant.kick': async ({ place, principal, stages }, { participantId }) => {
		await stages.kick(principal, place.roomId, participantId);
		return {};
	},
};

/** Carries out a request that has passed its schema. Rejects with what the result frame's error is made of. */
export function carryOut(context: StageRequestContext, request: StageRequest): Promise<StageResults[StageMethod]> {
	return call(context, request.method, request.params);
}

function call<M extends StageMethod>(context: StageRequestContext, method: M, params: StageParams<StageMethod>): Promise<StageResults[M]> {
	// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `StageRequest` ties params to method; taking the two apart loses the tie
	return HANDLERS[method](context, params as StageParams<M>);
}
