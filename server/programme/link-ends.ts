import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { EndOfLink, UpstreamRef } from '../cluster/peer-protocol.ts';
import type { MediaRooms } from './media-rooms.ts';

/** Links that end on this node, as their shards told of them last, with where they begin. @param roomId undefined: of all rooms */
export function endsOfLinks(rooms: MediaRooms, supervisor: Pick<Supervisor, 'slots' | 'shard'>, roomId?: string): EndOfLink[] {
	const upstreams = new Map<string, UpstreamRef>();
	for (const { programme } of rooms.all()) {
		for (const { linkId, upstream } of roomId === undefined || programme.roomId === roomId ? programme.edges.links() : []) {
			upstreams.set(linkId, upstream);
		}
	}
	return supervisor.slots.flatMap(({ index }) =>
		(supervisor.shard(index)?.stats?.links ?? [])
			.filter((link) => roomId === undefined || link.roomId === roomId)
			.map((link) => ({ ...link, shard: index, upstream: upstreams.get(link.linkId) })),
	);
}
