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
	stages: Pick<StageService, 'run' | 'setMuted' | 'leave' | 'people'>;
	media: Pick<RoomMedia, 'createTransport' | 'connectTransport' | 'restartIce' | 'produce' | 'consume'>;
}

type Handlers = { [M in StageMethod]: (context: StageRequestContext, params: StageParams<M>) => Promise<StageResults[M]> };

/** Of requests that have nothing to say but that they are carried out. */
function done<P>(work: (context: StageRequestContext, params: P) => Promise<void>): (context: StageRequestContext, params: P) => Promise<Record<string, never>> {
	return async (context, params) => {
		await work(context, params);
		return {};
	};
}

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
		room: roomSummary(await stages.people.command(principal, place.roomId, command)),
	}),
	'participant.mute': done(({ place, principal, stages }, { participantId }) => stages.people.mute(principal, place.roomId, participantId)),
	'participant.muteAll': done(({ place, principal, stages }) => stages.people.muteAll(principal, place.roomId)),
	'participant.kick': done(({ place, principal, stages }, { participantId }) => stages.people.kick(principal, place.roomId, participantId)),
	'participant.ban': done(({ place, principal, stages }, { participantId }) => stages.people.ban(principal, place.roomId, participantId)),
	'participant.invite': done(({ place, principal, stages }, { participantId }) => stages.people.invite(principal, place.roomId, participantId)),
	'participant.promote': done(({ place, principal, stages }, { participantId, role }) => stages.people.promote(principal, place.roomId, participantId, role)),
	'participant.demote': done(({ place, principal, stages }, { participantId, role }) => stages.people.demote(principal, place.roomId, participantId, role)),
	'participant.unmute': done(({ place, principal, stages }, { participantId }) => stages.people.unmute(principal, place.roomId, participantId)),
	'hand.lower': done(({ place, principal, stages }, { participantId }) => stages.people.lowerHand(principal, place.roomId, participantId)),
	'hands.list': ({ place, principal, stages }, range) => stages.people.hands(principal, place.roomId, range),
	'stage.set': async ({ place, principal, stages }, change) => {
		const { order: _order, ...stage } = await stages.people.set(principal, place.roomId, change);
		return { stage };
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
