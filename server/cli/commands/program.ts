import { Command, CommanderError } from 'commander';
import { CliFailure } from './api-client.ts';
import { addAudit } from './audit.ts';
import { addBans } from './bans.ts';
import { CliContext, type CliWorld, WrongUse } from './cli-context.ts';
import { addKeys } from './keys.ts';
import { addNodes } from './nodes.ts';
import { addPreflight } from './preflight.ts';
import { addRooms } from './rooms.ts';
import { addTokens } from './tokens.ts';
import { addWebhooks } from './webhooks.ts';

/**
 * One run of the command line.
 *
 * @param args without the program's own name
 * @returns the exit code: 0 done, 1 not done, 2 wrong use
 */
export async function runCli(args: readonly string[], world: CliWorld): Promise<0 | 1 | 2> {
	const program = new Command('rostrum')
		.description('Runs events: what the page /admin does, from a terminal.')
		.option('--url <url>', 'where any node is reached (ROSTRUM_URL; http://localhost:3000)')
		.option('--token <token>', 'an admin token (ROSTRUM_ADMIN_TOKEN)')
		.option('--json', 'answers as JSON')
		.showHelpAfterError('(--help says how)')
		.addHelpText('after', '\nExit codes: 0 done, 1 not done, 2 wrong use.');
	const context = new CliContext(world, program);
	for (const add of [addRooms, addTokens, addNodes, addPreflight, addBans, addKeys, addWebhooks, addAudit]) add(program, context);
	harden(program, world);
	try {
		await program.parseAsync([...args], { from: 'user' });
		return context.failed ? 1 : 0;
	} catch (error) {
		if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
		if (error instanceof WrongUse) {
			world.err(`rostrum: ${error.message}\n`);
			return 2;
		}
		if (error instanceof CliFailure) {
			world.err(`rostrum: ${error.message}\n`);
			return 1;
		}
		throw error;
	}
}

/** No command ends the process or writes past the world it was given. */
function harden(command: Command, world: CliWorld): void {
	command.exitOverride().configureOutput({ writeOut: world.out, writeErr: world.err });
	for (const child of command.commands) harden(child, world);
}
