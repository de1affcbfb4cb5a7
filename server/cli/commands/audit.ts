import type { Command } from 'commander';
import { segment } from './api-client.ts';
import { type CliContext, orMissing, table, wholeNumber } from './cli-context.ts';

interface Entry {
	id: string;
	at: string;
	node: string;
	actor: { subject: string; role: string; name?: string };
	action: string;
	room?: string;
	target?: string;
	ip?: string;
	outcome: string;
	code?: string;
}

interface Report {
	at: string;
	room: string;
	kind: string;
	text?: string;
}

/** rostrum audit, reports: what was done, and what listeners say is wrong. */
export function addAudit(program: Command, context: CliContext): void {
	program
		.command('audit')
		.description('who did what, when, from where; the newest first')
		.option('--room <room>')
		.option('--action <action>', 'such as participant.ban, or participant for all that is done to people')
		.option('--limit <entries>', 'how many', wholeNumber('--limit'), 50)
		.option('--after <id>', 'go on behind this entry')
		.action(async ({ room, action, limit, after }: { room?: string; action?: string; limit: number; after?: string }) => {
			const query = Object.entries({ limit: String(limit), room, action, after }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${segment(value)}`]));
			const answer = await context.api.get<{ entries: Entry[] }>(`/v1/admin/audit?${query.join('&')}`).catch(orMissing('audit log'));
			const rows = answer.entries.map(({ at, actor, action, room, target, ip, outcome, code }) => [at, `${actor.name ?? actor.subject} (${actor.role})`, ip ?? '-', code ?? outcome, action, [room, target].filter((each) => each !== undefined).join(' ')]);
			context.show(answer, () => (rows.length === 0 ? 'Nothing like this was done.' : table(['AT', 'WHO', 'FROM', 'OUTCOME', 'ACTION', 'WHAT'], rows)));
		});

	program
		.command('reports')
		.description('what listeners say is wrong')
		.action(async () => {
			const answer = await context.api.get<{ reports: Report[] }>('/v1/admin/reports').catch(orMissing('reports'));
			context.show(answer, () => (answer.reports.length === 0 ? 'Nobody has reported anything.' : table(['AT', 'ROOM', 'KIND', 'TEXT'], answer.reports.map(({ at, room, kind, text }) => [at, room, kind, text ?? '']))));
		});
}
