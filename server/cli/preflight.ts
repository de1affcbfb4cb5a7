// npm run preflight -- --url URL --room ROOM --token TOKEN [--expect N] [--within SECONDS] [--calibrate yes|no] [--json]
// Exit code 0: ready; 1: not, or not to be found out; 2: wrong use.
import { parseArgs } from 'node:util';
import type { PreflightReport } from '../preflight/preflight-report.ts';

const USAGE = `Looks at everything before an event, and says whether the fleet is ready for it.

  npm run preflight -- --url http://localhost:3000 --room ROOM --token TOKEN

  --url        where any node of the fleet is reached
  --room       the room of the event
  --token      an admin's token; ROSTRUM_ADMIN_TOKEN in the environment when absent
  --expect     listeners who will come; what the room says when absent
  --within     seconds from the first to the last of them (60)
  --calibrate  yes: measure every machine anew (about 7 s); no: not now; absent: where it was not done yet
  --json       print the whole answer as JSON`;

const SIGNS = { ok: 'ok     ', warning: 'WARNING', failed: 'FAILED ' } as const;
/** Of an answer that takes longest: nodes of one machine are calibrated one after the other. */
const TIMEOUT_MS = 180_000;

interface Asked {
	url: string;
	room: string;
	token: string;
	json: boolean;
	body: { expectedListeners?: number; withinSeconds?: number; calibrate?: boolean };
}

function readArguments(): Asked {
	const { values } = parseArgs({
		options: {
			url: { type: 'string' },
			room: { type: 'string' },
			token: { type: 'string' },
			expect: { type: 'string' },
			within: { type: 'string' },
			calibrate: { type: 'string' },
			json: { type: 'boolean', default: false },
			help: { type: 'boolean', default: false },
		},
	});
	const { url, room, token = process.env['ROSTRUM_ADMIN_TOKEN'], expect, within, calibrate, json, help } = values;
	if (help) {
		console.log(USAGE);
		process.exit(0);
	}
	if (url === undefined || !URL.canParse(url)) {
		throw new Error('--url says where a node is reached, such as http://localhost:3000');
	}
	if (room === undefined) {
		throw new Error('--room says which room it is about');
	}
	if (token === undefined) {
		throw new Error('--token (or ROSTRUM_ADMIN_TOKEN) must be an admin token');
	}
	if (calibrate !== undefined && calibrate !== 'yes' && calibrate !== 'no') {
		throw new Error('--calibrate is yes or no');
	}
	return {
		url, room, token, json,
		body: {
			...(expect === undefined ? {} : { expectedListeners: wholeNumber(expect, '--expect') }),
			...(within === undefined ? {} : { withinSeconds: wholeNumber(within, '--within') }),
			...(calibrate === undefined ? {} : { calibrate: calibrate === 'yes' }),
		},
	};
}

function wholeNumber(text: string, name: string): number {
	const value = Number(text);
	if (!Number.isInteger(value) || value < 0 || text.trim() === '') {
		throw new Error(`${name} is a whole number, not "${text}"`);
	}
	return value;
}

async function ask({ url, room, token, body }: Asked): Promise<PreflightReport> {
	const target = `${url.replace(/\/$/, '')}/v1/admin/rooms/${encodeURIComponent(room)}/preflight`;
	const response = await fetch(target, {
		method: 'POST',
		headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' },
		body: JSON.stringify(body),
		signal: AbortSignal.timeout(TIMEOUT_MS),
	});
	const answer = (await response.json()) as PreflightReport & { title?: string; detail?: string };
	if (!response.ok) {
		throw new Error(`${url} answered ${response.status}: ${answer.detail ?? answer.title ?? 'no reason given'}`);
	}
	return answer;
}

function print({ ready, summary, checks }: PreflightReport): void {
	let node = '';
	for (const check of checks) {
		if (check.node !== node) {
			node = check.node;
			console.log(`\n${node === '*' ? 'the fleet' : node}`);
		}
		console.log(`  ${SIGNS[check.status]}  ${check.check}: ${check.detail}`);
		if (check.advice !== '') {
			console.log(`           → ${check.advice}`);
		}
	}
	console.log(`\n${summary}\n${ready ? 'Ready.' : 'Not ready.'}`);
}

let asked: Asked;
try {
	asked = readArguments();
} catch (error) {
	console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
	process.exit(2);
}
try {
	const report = await ask(asked);
	if (asked.json) {
		console.log(JSON.stringify(report, undefined, '\t'));
	} else {
		print(report);
	}
	process.exitCode = report.ready ? 0 : 1;
} catch (error) {
	const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
	console.error(`The preflight could not be made: ${error instanceof Error ? error.message : String(error)}${cause}`);
	process.exitCode = 1;
}
