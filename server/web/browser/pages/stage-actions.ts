import type { RosterEntry } from '../../../stage/protocol.ts';

export type StageAction = 'mute' | 'askUnmute' | 'makeCohost' | 'handOver' | 'makeSpeaker' | 'demote' | 'moveUp' | 'moveDown' | 'kick' | 'ban';

/** Who looks, and where the other one stands among those on stage. */
interface Viewpoint {
	role: RosterEntry['role'];
	self: boolean;
	/** From 0. */
	index: number;
	count: number;
}

/** What somebody with this role may do about a person on stage, in the order in which a menu shows it. The server decides. */
export const actionsOn = ({ role: theirs, muted }: Pick<RosterEntry, 'role' | 'muted'>, { role, self, index, count }: Viewpoint): StageAction[] => {
	if (role === 'speaker') {
		return [];
	}
	const order: StageAction[] = [...(index > 0 ? (['moveUp'] as const) : []), ...(index < count - 1 ? (['moveDown'] as const) : [])];
	// A co-host has no power over a host.
	if (self || (theirs === 'host' && role !== 'host')) {
		return order;
	}
	const hosts = role === 'host';
	return [
		muted ? 'askUnmute' : 'mute',
		...(hosts && theirs === 'speaker' ? (['makeCohost'] as const) : []),
		...(hosts && theirs !== 'host' ? (['handOver'] as const) : []),
		...(hosts && theirs === 'cohost' ? (['makeSpeaker'] as const) : []),
		...(theirs === 'speaker' || hosts ? (['demote'] as const) : []),
		...order,
		'kick',
		'ban',
	];
};
