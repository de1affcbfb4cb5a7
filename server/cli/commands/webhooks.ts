import type { Command } from 'commander';
import { segment } from './api-client.ts';
import { type CliContext, orMissing, table } from './cli-context.ts';

const PATH = '/v1/admin/webhooks';
const missing = orMissing('webhooks');

interface Webhook {
	id: string;
	url: string;
	events: string[];
	enabled: boolean;
	secret?: string;
}

interface Delivery {
	id: string;
	type: string;
	state: string;
	attempts: number;
	createdAt: string;
	log: { status?: number; error?: string }[];
}

/** rostrum webhooks …: who is told of what happens. */
export function addWebhooks(program: Command, context: CliContext): void {
	const webhooks = program.command('webhooks').description('who is told of what happens, and what became of it');
	const path = (id: string): string => `${PATH}/${segment(id)}`;

	webhooks
		.command('list')
		.description('all webhooks')
		.action(async () => {
			const answer = await context.api.get<{ webhooks: Webhook[] }>(PATH).catch(missing);
			context.show(answer, () =>
				answer.webhooks.length === 0
					? 'No webhooks.'
					: table(['ID', 'STATE', 'EVENTS', 'URL'], answer.webhooks.map(({ id, enabled, events, url }) => [id, enabled ? 'on' : 'off', events.length === 0 ? 'all' : events.join(','), url])),
			);
		});

	webhooks
		.command('create <url>')
		.description('tell this address; prints the secret that signatures are checked with, this once')
		.option('--events <types>', 'with commas between; all when absent', list)
		.option('--rooms <ids>', 'with commas between; all when absent', list)
		.action(async (url: string, { events, rooms }: { events?: string[]; rooms?: string[] }) => {
			const made = await context.api.send<Webhook>('POST', PATH, { url, ...(events === undefined ? {} : { events }), ...(rooms === undefined ? {} : { rooms }) }).catch(missing);
			context.show(made, () => `id      ${made.id}\nsecret  ${made.secret ?? '-'}`);
		});

	webhooks
		.command('delete <webhook>')
		.description('tell this one no more')
		.action(async (id: string) => {
			await context.api.send<undefined>('DELETE', path(id)).catch(missing);
			context.show({ deleted: id }, () => 'Deleted.');
		});

	webhooks
		.command('test <webhook>')
		.description('send a test')
		.action(async (id: string) => {
			const sent = await context.api.send<unknown>('POST', `${path(id)}/test`).catch(missing);
			context.show(sent, () => 'A test is on its way.');
		});

	webhooks
		.command('deliveries <webhook>')
		.description('what was sent, the newest first')
		.action(async (id: string) => {
			const answer = await context.api.get<{ deliveries: Delivery[] }>(`${path(id)}/deliveries`).catch(missing);
			context.show(answer, () =>
				answer.deliveries.length === 0
					? 'Nothing was sent.'
					: table(
							['ID', 'STATE', 'ATTEMPTS', 'MADE', 'TYPE', 'LAST'],
							answer.deliveries.map(({ id, state, attempts, createdAt, type, log }) => [id, state, String(attempts), createdAt, type, String(log[0]?.status ?? log[0]?.error ?? '-')]),
						),
			);
		});

	webhooks
		.command('retry <webhook> <delivery>')
		.description('try a delivery again')
		.action(async (id: string, delivery: string) => {
			const sent = await context.api.send<unknown>('POST', `${path(id)}/deliveries/${segment(delivery)}/retry`).catch(missing);
			context.show(sent, () => 'It is tried again.');
		});
}

const list = (text: string): string[] => text.split(',').map((part) => part.trim()).filter((part) => part !== '');
