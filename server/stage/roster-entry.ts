import type { Participant } from '../rooms/room.ts';
import type { RosterEntry } from './protocol.ts';

/** What people on stage see of each other: without the subject, which is between the person and whoever made the token. */
export function rosterEntry({ id, number, name, role, kind, muted, connection, mediaId }: Participant): RosterEntry {
	return { id, number, name, role, kind, muted, connection, mediaId };
}
