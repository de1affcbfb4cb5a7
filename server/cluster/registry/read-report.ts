import { Compile } from 'typebox/compile';
import { NodeReport } from '../node-report.ts';

const CHECK = Compile(NodeReport);

/** A report from outside, or what is wrong with it in a few words. */
export function readReport(value: unknown): NodeReport | string {
	if (CHECK.Check(value)) return value;
	const [first] = CHECK.Errors(value);
	return first === undefined ? 'not a report' : `${first.instancePath || '/'} ${first.message}`;
}

/** Names the node a bad report is from, as far as it says so, for the log. */
export function senderOf(value: unknown): string {
	const nodeId = typeof value === 'object' && value !== null && 'nodeId' in value ? value.nodeId : undefined;
	return typeof nodeId === 'string' ? nodeId.slice(0, 32) : 'unknown';
}
