import type { Registry } from '@prometheus-io/client';
import type { AuditLog } from '../audit/audit-log.ts';
import type { RecordingFigures } from '../recording/recordings.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import { addFigure, one } from './figure.ts';
import { addRecordingFigures } from './recording-figures.ts';

/** What accompanies the sound; each absent where the node does not do it. */
export interface ServiceSources {
	webhooks?: Pick<Webhooks, 'counts' | 'totals' | 'oldestPendingMs'>;
	recordings?: () => RecordingFigures;
	audit?: Pick<AuditLog, 'totals'>;
	audience?: () => { readonly reactionsTotal: number; readonly captionsTotal: number };
	reports?: () => { readonly total: number };
}

export function addServiceFigures(registers: Registry[], { webhooks, recordings, audit, audience, reports }: ServiceSources): void {
	if (webhooks) addWebhookFigures(registers, webhooks);
	if (recordings) addRecordingFigures(registers, recordings);
	if (audit) {
		addFigure(registers, { name: 'rostrum_audit_entries_total', help: 'Entries that this node wrote into its audit log', kind: 'counter', read: () => one(audit.totals.written) });
		addFigure(registers, { name: 'rostrum_audit_lost_total', help: 'Privileged acts that were carried out and could not be written into the audit log', kind: 'counter', read: () => one(audit.totals.lost) });
		addFigure(registers, { name: 'rostrum_audit_suppressed_total', help: 'Refusals that came too fast to be written one by one; the next entry has their number', kind: 'counter', read: () => one(audit.totals.suppressed) });
	}
	if (audience) {
		addFigure(registers, { name: 'rostrum_reactions_total', help: 'Reactions that reached this node', kind: 'counter', read: () => one(audience().reactionsTotal) });
		addFigure(registers, { name: 'rostrum_captions_total', help: 'Captions taken by this node', kind: 'counter', read: () => one(audience().captionsTotal) });
	}
	if (reports) addFigure(registers, { name: 'rostrum_reports_total', help: 'Problems that people reported to this node since it started', kind: 'counter', read: () => one(reports().total) });
}

function addWebhookFigures(registers: Registry[], webhooks: NonNullable<ServiceSources['webhooks']>): void {
	addFigure(registers, {
		name: 'rostrum_webhook_deliveries', help: 'Deliveries in this node’s outbox, by state; those that were delivered or given up (dead) are kept for a while', kind: 'gauge', labels: ['state'],
		read: () => Object.entries(webhooks.counts).map(([state, count]) => [{ state }, count]),
	});
	addFigure(registers, {
		name: 'rostrum_webhook_attempts_total', help: 'Attempts to deliver something to a webhook, by outcome', kind: 'counter', labels: ['outcome'],
		read: () => (['delivered', 'failed'] as const).map((outcome) => [{ outcome }, webhooks.totals[outcome]]),
	});
	addFigure(registers, { name: 'rostrum_webhook_dead_total', help: 'Deliveries that were given up', kind: 'counter', read: () => one(webhooks.totals.dead) });
	addFigure(registers, { name: 'rostrum_webhook_lost_total', help: 'Events that could not be put into the outbox', kind: 'counter', read: () => one(webhooks.totals.lost) });
	addFigure(registers, { name: 'rostrum_webhook_oldest_seconds', help: 'For how long the oldest delivery has been waiting', kind: 'gauge', read: () => one(webhooks.oldestPendingMs / 1_000) });
}
