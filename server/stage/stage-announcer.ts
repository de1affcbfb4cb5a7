import type { RtpCapabilities, Talker } from '../../sfu/contract/media-types.ts';
import type { Room } from '../rooms/room.ts';
import { roomSummary } from '../rooms/room-summary.ts';
import { rulesOf, type StageRoster } from '../rooms/stage-roster.ts';
import { inOrder } from '../rooms/stage-rules.ts';
import type { RosterEntry, StageEvent, StageEventName, StageSettings } from './protocol.ts';
import { rosterEntry } from './roster-entry.ts';
import { encodeEvent, type StageConnection } from './stage-connection.ts';

const LISTENERS_EVERY_MS = 2_000;

export interface Welcome {
	me: Pick<RosterEntry, 'id' | 'number' | 'name' | 'role'>;
	resumed: boolean;
	/** The origin has changed since this person's client was told of one: the transports it kept are dead. */
	mediaChanged: boolean;
	rtpCapabilities: RtpCapabilities | null;
	reconnectGraceMs: number;
	alternates: readonly string[];
	room: Room;
	roster: StageRoster;
	settings: StageSettings;
	listenerCount: number;
}

/** Says to everybody on one stage what concerns them all, each frame encoded once. */
export class StageAnnouncer {
	readonly #audience: () => Iterable<StageConnection>;
	#talkers: StageEvent<'talkers'> | null = null;
	#listeners = { count: 0, saidAtMs: Number.NEGATIVE_INFINITY };

	constructor(audience: () => Iterable<StageConnection>) {
		this.#audience = audience;
	}

	/** The first frames of a connection, which must not be in the audience yet. */
	welcome(connection: StageConnection, { me, resumed, mediaChanged, rtpCapabilities, reconnectGraceMs, alternates, room, roster, settings, listenerCount }: Welcome): void {
		// Whoever comes between two counts has seen one that the others have not: the next is said in any case.
		if (listenerCount !== this.#listeners.count) this.#listeners.count = -1;
		connection.deliver(
			encodeEvent('welcome', {
				participantId: me.id,
				number: me.number,
				name: me.name,
				role: me.role,
				resumed,
				mediaReady: rtpCapabilities !== null,
				rtpCapabilities: rtpCapabilities && onTheWire(rtpCapabilities),
				iceServers: connection.iceServers,
				reconnectGraceMs,
				pulseEveryMs: connection.pulseEveryMs,
				alternates: [...alternates],
				room: roomSummary(room),
				roster: shown(roster),
				...settings,
				listenerCount,
			}),
		);
		if (this.#talkers) connection.deliver(encodeEvent('talkers', this.#talkers));
		if (rtpCapabilities && resumed && mediaChanged) {
			connection.deliver(encodeEvent('media', { ready: true, rtpCapabilities: onTheWire(rtpCapabilities) }));
		}
	}

	room(room: Room): void {
		this.#say('room', { room: roomSummary(room) });
	}

	stage(roster: StageRoster, settings: StageSettings): void {
		this.#say('stage', { roster: shown(roster), ...settings });
	}

	talkers(talkers: Talker[], dominant: number | null): void {
		this.#talkers = { talkers, dominant };
		this.#say('talkers', this.#talkers);
	}

	/** Only when it has changed, and at most every two seconds: call it again with each new count. */
	listeners(count: number, nowMs: number): void {
		if (count === this.#listeners.count || nowMs - this.#listeners.saidAtMs < LISTENERS_EVERY_MS) return;
		this.#listeners = { count, saidAtMs: nowMs };
		this.#say('listeners', { count });
	}

	mediaReady(rtpCapabilities: RtpCapabilities): void {
		this.#say('media', { ready: true, rtpCapabilities: onTheWire(rtpCapabilities) });
	}

	mediaLost(): void {
		this.#talkers = null;
		this.#say('media', { ready: false, rtpCapabilities: null });
	}

	#say<E extends StageEventName>(event: E, data: StageEvent<E>): void {
		const frame = encodeEvent(event, data);
		for (const connection of this.#audience()) connection.deliver(frame);
	}
}

function shown(roster: StageRoster): RosterEntry[] {
	return inOrder(roster.participants, rulesOf(roster)).map(rosterEntry);
}

/** The router's own structure; its types say `unknown` where the protocol names the plain values that stand there. */
function onTheWire(rtpCapabilities: RtpCapabilities): NonNullable<StageEvent<'media'>['rtpCapabilities']> {
	// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same structure, see above
	return rtpCapabilities as NonNullable<StageEvent<'media'>['rtpCapabilities']>;
}
