import type { Registry } from '@prometheus-io/client';
import { addFigure, one } from './figure.ts';

/** What accompanies the sound; each absent where the node does not do it. */
export interface ServiceSources {
	/** Deliveries that are kept in the outbox, by state. */
	webhooks?: () => Readonly<Record<string, number>>;
	recordings?: () => { readonly running: number };
	audience?: () => { readonly reactionsTotal: number; readonly captionsTotal: number };
	reports?: () => { readonly total: number };
}

export function addServiceFigures(registers: Registry[], { webhooks, recordings, audience, reports }: ServiceSources): void {
	if (webhooks) {
		addFigure(registers, {
			name: 'rostrum_webhook_deliveries', help: 'Deliveries in this node’s outbox, by state; those that were delivered or given up (dead) are kept for a while', kind: 'gauge', labels: ['state'],
			read: () => Object.entries(webhooks()).map(([state, count]) => [{ state }, count]),
		});
	}
	if (recordings) addFigure(registers, { name: 'rostrum_recordings_running', help: 'Rooms that this node records', kind: 'gauge', read: () => one(recordings().running) });
	if (audience) {
		addFigure(registers, { name: 'rostrum_reactions_total', help: 'Reactions that reached this node', kind: 'counter', read: () => one(audience().reactionsTotal) });
		addFigure(registers, { name: 'rostrum_captions_total', help: 'Captions taken by this node', kind: 'counter', read: () => one(audience().captionsTotal) });
	}
	if (reports) addFigure(registers, { name: 'rostrum_reports_total', help: 'Problems that people reported to this node since it started', kind: 'counter', read: () => one(reports().total) });
}
