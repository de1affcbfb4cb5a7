import type { Command } from 'commander';
import { CliFailure, segment } from './api-client.ts';
import { type CliContext, table } from './cli-context.ts';

const PATH = '/v1/admin/keys';

interface Key {
	kid: string;
	createdAt?: string;
	signing?: boolean;
}

/** rostrum keys …: what tokens are signed with. */
export function addKeys(program: Command, context: CliContext): void {
	const keys = program.command('keys').description('list, rotate and retire signing keys');

	keys
		.command('list')
		.description('keys whose tokens are taken')
		.action(async () => {
			const list = await readKeys(context);
			context.show({ keys: list }, () => table(['KEY', 'MADE', 'SIGNS'], list.map(({ kid, createdAt, signing }) => [kid, createdAt ?? '-', signing === true ? 'yes' : signing === false ? 'no' : '-'])));
		});

	keys
		.command('rotate')
		.description('sign with a new key from now on; links that are out stay good')
		.action(async () => {
			const made = await context.api.send<{ kid: string }>('POST', PATH);
			context.show(made, () => `${made.kid} signs from now on.`);
		});

	keys
		.command('retire <key>')
		.description('refuse every token that this key signed, from now on')
		.action(async (kid: string) => {
			await context.api.send<undefined>('DELETE', `${PATH}/${segment(kid)}`);
			context.show({ retired: kid }, () => 'Retired.');
		});
}

/** A server that does not list its keys to admins shows their public halves to everybody. */
async function readKeys({ api }: CliContext): Promise<Key[]> {
	try {
		return (await api.get<{ keys: Key[] }>(PATH)).keys;
	} catch (error) {
		if (!(error instanceof CliFailure) || (error.code !== 'method_not_allowed' && error.code !== 'not_found')) throw error;
		const { keys } = await api.get<{ keys: { kid?: string }[] }>('/.well-known/jwks.json');
		return keys.flatMap(({ kid }) => (kid === undefined ? [] : [{ kid }]));
	}
}
