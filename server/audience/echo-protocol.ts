// What nodes tell each other about reactions and captions. Registered with all other requests in peer-protocol.ts.
import { type Static, Type } from 'typebox';
import { Caption } from './caption.ts';

const RoomId = Type.String({ minLength: 1, maxLength: 64 });
const Whole = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Counts = Type.Record(Type.String({ minLength: 1, maxLength: 32 }), Whole, { maxProperties: 64 });

/** What is new in these rooms, which live with you? The answer waits until something is. */
export const FollowEchoes = Type.Object({
	/** A run of the asking node. Its earlier question, if it still waits, is answered at once. */
	sender: Type.String({ minLength: 8, maxLength: 64 }),
	waitMs: Type.Integer({ minimum: 0, maximum: 10_000 }),
	rooms: Type.Array(
		Type.Object({
			roomId: RoomId,
			/** What the asking node has. */
			epoch: Whole,
			version: Whole,
			captionId: Whole,
			/** Given there since. */
			parcel: Type.Optional(Type.Object({ seq: Whole, counts: Counts })),
		}),
		{ maxItems: 10_000 },
	),
});
export type FollowEchoes = Static<typeof FollowEchoes>;

/** What do you have of these rooms? Asked by a home that has just become it. */
export const CopyEchoes = Type.Object({ rooms: Type.Array(RoomId, { maxItems: 10_000 }) });

/** A room's reactions and captions, as one node knows them. */
export const EchoCopy = Type.Object({
	roomId: RoomId,
	epoch: Whole,
	version: Whole,
	counts: Counts,
	/** Final lines. */
	captions: Type.Array(Caption),
	guesses: Type.Array(Caption),
});
export type EchoCopy = Static<typeof EchoCopy>;

export interface EchoResults {
	/** `lost`: these rooms do not live there. */
	followEchoes: { rooms: EchoCopy[]; lost: string[] };
	/** Rooms of which there is anything. */
	copyEchoes: { rooms: EchoCopy[] };
}
