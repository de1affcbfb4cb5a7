import { SfuError } from '../contract/sfu-error.ts';
import type { SessionTable } from '../session/session-table.ts';
import type { TransportFactory } from '../session/web-rtc-server.ts';
import { WebRtcSession } from '../session/web-rtc-session.ts';
import { writeListenAnswer } from '../whep/listen-answer.ts';
import type { ListenOffer } from '../whep/listen-offer.ts';
import type { EdgeRouter } from './edge-router.ts';
import { type ListenerTransport, makeListenerTransport } from './listener-transport.ts';

export interface ListenerSessionOptions {
	id: string;
	offer: ListenOffer;
	router: EdgeRouter;
	/** Made ahead on this router, for these voices. */
	spare?: ListenerTransport | undefined;
	/** The voice for each accepted audio section, in order. */
	voiceIndices: readonly number[];
	transports: TransportFactory;
	sessions: SessionTable;
	onClosed: (reason: string) => void;
}

/**
 * One listener: a transport and a consumer for each voice, made at the join and never touched again,
 * whatever happens on stage.
 */
export class ListenerSession {
	readonly #session: WebRtcSession;
	/** SDP. */
	readonly answer: string;

	static async create(options: ListenerSessionOptions): Promise<ListenerSession> {
		const { id, offer, router, voiceIndices, transports, sessions, onClosed } = options;
		// Counted from here on, so that an idle router is not closed under a listener on the way in.
		router.addTaker(voiceIndices);
		let made: ListenerTransport | undefined = options.spare;
		try {
			if (made) {
				router.gatherRequests();
				await made.transport.connect({ dtlsParameters: offer.dtlsParameters });
			} else {
				made = await makeListenerTransport(router, transports, voiceIndices, offer.dtlsParameters);
			}
			const { transport, ssrcs } = made;
			const answer = writeListenAnswer({
				offer,
				iceParameters: transport.iceParameters,
				iceCandidates: transport.iceCandidates,
				dtlsParameters: transport.dtlsParameters,
				streams: ssrcs.map((ssrc, section) => ({ mid: sectionOf(offer, section).mid, ssrc, cname: `voice-${voiceIndices[section]}`, trackId: `voice-${voiceIndices[section]}` })),
			});
			if (transport.closed) {
				throw new SfuError('room_unknown', 'the room closed while the session was made');
			}
			const session = new WebRtcSession({
				id,
				transport,
				sessions,
				remote: offer,
				mid: offer.transportMid,
				onClosed: (reason) => {
					router.removeTaker(voiceIndices);
					onClosed(reason);
				},
			});
			return new ListenerSession(session, answer);
		} catch (error) {
			router.removeTaker(voiceIndices);
			made?.transport.close();
			throw error instanceof SfuError ? error : new SfuError('shard_failed', 'the session could not be made', { cause: error });
		}
	}

	private constructor(session: WebRtcSession, answer: string) {
		this.#session = session;
		this.answer = answer;
	}

	get etag(): string {
		return this.#session.etag;
	}

	close(reason: string): void {
		this.#session.close(reason);
	}
}

function sectionOf(offer: ListenOffer, index: number): { readonly mid: string } {
	const section = offer.audio[index];
	if (!section) {
		throw new RangeError('more voices than accepted sections');
	}
	return section;
}
