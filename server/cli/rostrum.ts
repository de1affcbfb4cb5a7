// rostrum COMMAND …: what /admin does, from a terminal. `--help` says all.
// Exit code 0: done; 1: not done (or a preflight that says: not ready); 2: wrong use.
import { runCli } from './commands/program.ts';

process.exitCode = await runCli(process.argv.slice(2), {
	env: process.env,
	out: (text) => process.stdout.write(text),
	err: (text) => process.stderr.write(text),
	terminal: process.stderr.isTTY,
	fetch,
	sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
});
