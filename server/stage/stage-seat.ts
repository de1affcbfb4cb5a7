import type { Participant } from '../rooms/room.ts';
import type { StageConnection } from './stage-connection.ts';

/** One place on stage, from the moment somebody is let in. What others see of it is in the roster. */
export interface Seat {
	readonly id: string;
	readonly number: number;
	readonly joinedAt: string;
	kind: Participant['kind'];
	connection: StageConnection | null;
	/** Set while the place is kept for somebody who was lost. */
	cancelGrace: (() => void) | null;
	mediaId: string | null;
	/** An encoder's session is being made: news of the one before it is not about this one. */
	publishing: boolean;
	/** The origin that this person's client knows of, as `StageOrigin` counts them. */
	toldGeneration: number;
	/** Moving it to a new origin failed: coming back must begin anew. */
	mediaFailed: boolean;
	/** The place is given up; whatever still runs for it must not bring it back. */
	gone: boolean;
}

export function newSeat({ id, number, kind, joinedAt }: Pick<Seat, 'id' | 'number' | 'kind' | 'joinedAt'>): Seat {
	return {
		id,
		number,
		kind,
		joinedAt,
		connection: null,
		cancelGrace: null,
		mediaId: null,
		publishing: kind === 'encoder',
		toldGeneration: -1,
		mediaFailed: false,
		gone: false,
	};
}
