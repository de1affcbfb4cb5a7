import type { Command } from 'commander';
import { segment } from './api-client.ts';
import { type CliContext, orMissing, table, wholeNumber, WrongUse } from './cli-context.ts';

const ROLES = ['host', 'cohost', 'speaker', 'listener'] as const;
const REVOCATIONS = '/v1/admin/tokens/revoke';

interface Issued {
	token: string;
	url: string;
	expiresAt: string;
}

export interface Revocation {
	id: string;
	tokenId?: string;
	subject?: string;
	room?: string;
	at?: string;
}

/** rostrum token …: personal links, made and taken back. */
export function addTokens(program: Command, context: CliContext): void {
	const token = program.command('token').description('make and revoke personal links');

	token
		.command('create <room>')
		.description('make a link for one person')
		.requiredOption('--name <name>', 'shown to everybody in the room')
		.option('--role <role>', ROLES.join(', '), 'speaker')
		.option('--subject <id>', 'who this is for good; made up when absent')
		.option('--expires <seconds>', 'how long it is good', wholeNumber('--expires'))
		.action(async (room: string, { name, role, subject, expires }: { name: string; role: string; subject?: string; expires?: number }) => {
			if (!ROLES.some((known) => known === role)) throw new WrongUse(`--role is one of ${ROLES.join(', ')}`);
			const made = await context.api.send<Issued>('POST', `/v1/rooms/${segment(room)}/tokens`, {
				role,
				name,
				...(subject === undefined ? {} : { subject }),
				...(expires === undefined ? {} : { expiresIn: expires }),
			});
			context.show(made, () => `${made.url}\ngood until ${made.expiresAt}`);
		});

	token
		.command('revoke')
		.description('refuse one token, or all that a person has')
		.option('--id <id>', 'the id of one token (jti)')
		.option('--link <link>', 'the personal link, or the token itself')
		.option('--subject <id>', 'all tokens of this person')
		.option('--room <room>', 'in this room only')
		.option('--reason <text>', 'for people who read the list')
		.action(async ({ id, link, subject, room, reason }: { id?: string; link?: string; subject?: string; room?: string; reason?: string }) => {
			if ([id, link, subject].filter((given) => given !== undefined).length !== 1) throw new WrongUse('say one of --id, --link and --subject');
			const tokenId = link === undefined ? id : tokenIdOf(link);
			const revoked = await context.api
				.send<Revocation | undefined>('POST', REVOCATIONS, { ...(tokenId === undefined ? { subject } : { tokenId }), ...(room === undefined ? {} : { room }), ...(reason === undefined ? {} : { reason }) })
				.catch(orMissing('revocation of tokens'));
			context.show(revoked ?? { revoked: tokenId ?? subject }, () => 'Revoked.');
		});

	token
		.command('revocations')
		.description('what is refused')
		.action(async () => {
			const answer = await context.api.get<{ revocations: Revocation[] }>(REVOCATIONS).catch(orMissing('revocation of tokens'));
			context.show(answer, () =>
				answer.revocations.length === 0
					? 'Nothing is revoked.'
					: table(['ID', 'TOKEN OR SUBJECT', 'ROOM'], answer.revocations.map((each) => [each.id, each.tokenId ?? each.subject ?? '', each.room ?? '-'])),
			);
		});

	token
		.command('unrevoke <revocation>')
		.description('take a revocation back')
		.action(async (id: string) => {
			await context.api.send<undefined>('DELETE', `${REVOCATIONS}/${segment(id)}`).catch(orMissing('revocation of tokens'));
			context.show({ undone: id }, () => 'The revocation is undone.');
		});
}

/** @throws WrongUse for what is no signed token */
function tokenIdOf(link: string): string {
	const token = /[#?&](?:token|access_token)=([^&]+)/.exec(link)?.[1] ?? link;
	try {
		const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti?: unknown };
		if (typeof jti === 'string') return jti;
	} catch {
		// Said below.
	}
	throw new WrongUse('--link is a personal link, or a signed token with an id');
}
