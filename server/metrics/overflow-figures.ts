import type { Registry } from '@prometheus-io/client';
import type { OverflowFigures } from '../overflow/overflow.ts';
import { addFigure, one } from './figure.ts';

export interface OverflowSource {
	figures: () => OverflowFigures;
}

/** How people hear for whom there is no place by WebRTC. */
export function addOverflowFigures(registers: Registry[], source: OverflowSource): void {
	addFigure(registers, {
		name: 'rostrum_overflow_streams', help: 'Overflow streams (HLS) of this node: made here (home) or copied from the homes of their rooms (follower)', kind: 'gauge', labels: ['kind'],
		read: () => Object.entries(source.figures().streams).map(([kind, count]) => [{ kind }, count]),
	});
	addFigure(registers, { name: 'rostrum_overflow_bytes', help: 'Memory held by overflow streams', kind: 'gauge', read: () => one(source.figures().bytes) });
	addFigure(registers, {
		name: 'rostrum_overflow_listeners', help: 'Players of overflow streams that ask this node, estimated by how often playlists are asked for; those behind a CDN are not seen', kind: 'gauge', read: () => one(source.figures().players),
	});
	addFigure(registers, {
		name: 'rostrum_overflow_requests_total', help: 'Requests for overflow streams, by what was asked for', kind: 'counter', labels: ['object'],
		read: () => Object.entries(source.figures().requests).map(([object, count]) => [{ object }, count]),
	});
	addFigure(registers, {
		name: 'rostrum_overflow_parts_total', help: 'Half seconds of overflow streams: encoded here, or had from the homes of their rooms (followed), once each however many ask for it', kind: 'counter', labels: ['source'],
		read: () => Object.entries(source.figures().parts).map(([source, count]) => [{ source }, count]),
	});
	addFigure(registers, { name: 'rostrum_overflow_encoder_restarts_total', help: 'Encoders that took another one’s place in mid-stream', kind: 'counter', read: () => one(source.figures().restarts) });
}
