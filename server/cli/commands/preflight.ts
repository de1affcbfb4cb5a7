import type { Command } from 'commander';
import type { PreflightReport } from '../../preflight/preflight-report.ts';
import { segment } from './api-client.ts';
import { type CliContext, wholeNumber } from './cli-context.ts';

const SIGNS = { ok: 'ok     ', warning: 'WARNING', failed: 'FAILED ' } as const;
/** Of an answer that takes longest: nodes of one machine are calibrated one after the other. */
const TIMEOUT_MS = 180_000;

/** rostrum preflight: whether all is ready for a room's event; exit code 1 when it is not. */
export function addPreflight(program: Command, context: CliContext): void {
	program
		.command('preflight <room>')
		.description('look at everything before an event')
		.option('--expect <listeners>', 'who will come; what the room says when absent', wholeNumber('--expect'))
		.option('--within <seconds>', 'from the first to the last of them', wholeNumber('--within'))
		.option('--calibrate', 'measure every machine anew (about 7 s)')
		.option('--no-calibrate', 'measure nothing now')
		.action(async (room: string, { expect, within, calibrate }: { expect?: number; within?: number; calibrate?: boolean }) => {
			const report = await context.api.send<PreflightReport>(
				'POST',
				`/v1/admin/rooms/${segment(room)}/preflight`,
				{
					...(expect === undefined ? {} : { expectedListeners: expect }),
					...(within === undefined ? {} : { withinSeconds: within }),
					...(calibrate === undefined ? {} : { calibrate }),
				},
				TIMEOUT_MS,
			);
			context.failed = !report.ready;
			context.show(report, () => describe(report));
		});
}

function describe({ ready, summary, checks }: PreflightReport): string {
	const nodes = [...new Set(checks.map(({ node }) => node))];
	return [
		...nodes.flatMap((node) => [
			node === '*' ? 'the fleet' : node,
			...checks.filter((check) => check.node === node).flatMap(({ status, check, detail, advice }) => [`  ${SIGNS[status]}  ${check}: ${detail}`, ...(advice === '' ? [] : [`           → ${advice}`])]),
			'',
		]),
		summary,
		ready ? 'Ready.' : 'Not ready.',
	].join('\n');
}
