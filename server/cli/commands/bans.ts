import type { Command } from 'commander';
import { segment } from './api-client.ts';
import { type CliContext, orMissing, table } from './cli-context.ts';

interface Ban {
	subject: string;
	name?: string;
	bannedAt?: string;
}

/** rostrum bans …: who may not come into a room any more. */
export function addBans(program: Command, context: CliContext): void {
	const bans = program.command('bans').description('list and lift the bans of a room');
	const path = (room: string): string => `/v1/rooms/${segment(room)}/bans`;

	bans
		.command('list <room>')
		.description('who is banned')
		.action(async (room: string) => {
			const answer = await context.api.get<{ bans: Ban[] }>(path(room)).catch(orMissing('list of bans'));
			context.show(answer, () => (answer.bans.length === 0 ? 'Nobody is banned.' : table(['SUBJECT', 'SINCE', 'NAME'], answer.bans.map(({ subject, bannedAt, name }) => [subject, bannedAt ?? '-', name ?? '-']))));
		});

	bans
		.command('add <room> <subject>')
		.description('keep somebody out, who need not be there')
		.option('--name <name>', 'for people who read the list')
		.action(async (room: string, subject: string, { name }: { name?: string }) => {
			const ban = await context.api.send<Ban | undefined>('POST', path(room), { subject, ...(name === undefined ? {} : { name }) }).catch(orMissing('list of bans'));
			context.show(ban ?? { subject }, () => 'Banned.');
		});

	bans
		.command('lift <room> <subject>')
		.description('let somebody in again')
		.action(async (room: string, subject: string) => {
			await context.api.send<undefined>('DELETE', `${path(room)}/${segment(subject)}`).catch(orMissing('list of bans'));
			context.show({ lifted: subject }, () => 'The ban is lifted.');
		});
}
