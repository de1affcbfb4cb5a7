import { parseArgs } from 'node:util';
import type { SurgeOptions } from './messages.ts';
import { ARRIVALS } from './schedule.ts';

export const USAGE = `Sends real listeners to a room, all at once, and says what became of them.

  npm run load -- --url http://127.0.0.1:3000 --room demo --listeners 1000 --within 3 --hold 20 --token TOKEN

where and who
  --url URL            the server                                     (http://127.0.0.1:3000)
  --room ROOM          the room; its doors must be open               (demo)
  --token TOKEN        host's or admin's: invites speakers, and listeners to a private room
the storm
  --listeners N        who come by WebRTC                             (100)
  --within S           all within so many seconds                     (3)
  --arrivals HOW       even, jitter (at random) or ramp (ever more)   (even)
  --waves N            in N portions …                                (1)
  --wave-every S       … so many seconds apart                        (10)
  --hold S             stay so long after the last one came           (20)
  --churn R            part of the listeners who leave and come back, a second (0)
  --patience S         give up after so long without a place          (30)
  --no-overflow        wait in silence rather than listen by HLS
who else
  --incumbents N       who are there before, and must not notice      (0)
  --hls N              who listen by HLS alone                        (0)
  --speakers N         who talk from before the start                 (0)
  --speaker-at S       one more, who gets on stage so late in the storm and says hello
  --speech HOW         natural, or constant: with no pauses, so that first audio is never a talker's (natural)
this program
  --generators N       processes for the storm                        (one for 600 listeners, at most one a core)
  --bind ADDRESS       own address for media                          (by the server's)
  --seed N             of everything random                           (1)
  --max-failed N       end with 0 when no more than these failed      (0)
  --json FILE          figures; --html FILE: a page with plots
  --compare A.json B.json   two earlier runs side by side (with --html FILE: as a page), nothing else`;

export type LoadCommand =
	| { kind: 'help' }
	| { kind: 'compare'; files: [string, string]; html: string | undefined }
	| { kind: 'run'; options: SurgeOptions; json: string | undefined; html: string | undefined; maxFailed: number };

/** @throws Error in plain words for whoever typed them */
export function readArguments(args: readonly string[]): LoadCommand {
	const { values, positionals } = parseArgs({
		args: [...args],
		allowPositionals: true,
		options: {
			url: { type: 'string', default: 'http://127.0.0.1:3000' },
			room: { type: 'string', default: 'demo' },
			token: { type: 'string' },
			listeners: { type: 'string', default: '100' },
			within: { type: 'string', default: '3' },
			arrivals: { type: 'string', default: 'even' },
			waves: { type: 'string', default: '1' },
			'wave-every': { type: 'string', default: '10' },
			hold: { type: 'string', default: '20' },
			churn: { type: 'string', default: '0' },
			patience: { type: 'string', default: '30' },
			'no-overflow': { type: 'boolean', default: false },
			incumbents: { type: 'string', default: '0' },
			hls: { type: 'string', default: '0' },
			speakers: { type: 'string', default: '0' },
			'speaker-at': { type: 'string' },
			speech: { type: 'string', default: 'natural' },
			generators: { type: 'string' },
			bind: { type: 'string' },
			seed: { type: 'string', default: '1' },
			'max-failed': { type: 'string', default: '0' },
			json: { type: 'string' },
			html: { type: 'string' },
			compare: { type: 'boolean', default: false },
			help: { type: 'boolean', short: 'h', default: false },
		},
	});
	if (values.help) {
		return { kind: 'help' };
	}
	if (values.compare) {
		const [before, after, ...more] = positionals;
		if (before === undefined || after === undefined || more.length > 0) throw new Error('--compare takes two files');
		return { kind: 'compare', files: [before, after], html: values.html };
	}
	if (positionals.length > 0) throw new Error(`"${positionals[0]}" is no option`);
	if (!URL.canParse(values.url) || !/^https?:/.test(values.url)) throw new Error(`--url must be an http:// or https:// address, not "${values.url}"`);
	if (!isOneOf(ARRIVALS, values.arrivals)) throw new Error(`--arrivals must be one of ${ARRIVALS.join(', ')}`);
	if (!isOneOf(['natural', 'constant'] as const, values.speech)) throw new Error('--speech must be natural or constant');
	const whole = (name: keyof typeof values, min: number): number => {
		const value = Number(values[name]);
		if (!Number.isInteger(value) || value < min) throw new Error(`--${name} must be a whole number of at least ${min}, not "${String(values[name])}"`);
		return value;
	};
	const seconds = (name: keyof typeof values): number => {
		const value = Number(values[name]);
		if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} must be a number of seconds, not "${String(values[name])}"`);
		return value * 1_000;
	};
	const churn = Number(values.churn);
	if (!(churn >= 0 && churn < 1)) throw new Error('--churn must be a part of 1, such as 0.05');
	const speakers = whole('speakers', 0);
	const speakerAtMs = values['speaker-at'] === undefined ? undefined : seconds('speaker-at');
	if (values.token === undefined && (speakers > 0 || speakerAtMs !== undefined)) throw new Error('speakers need --token, the room’s host’s or an admin’s');
	const options: SurgeOptions = {
		url: values.url,
		room: values.room,
		listeners: whole('listeners', 0),
		withinMs: seconds('within'),
		holdMs: seconds('hold'),
		arrivals: values.arrivals,
		waves: whole('waves', 1),
		waveEveryMs: seconds('wave-every'),
		churn,
		incumbents: whole('incumbents', 0),
		hls: whole('hls', 0),
		speakers,
		speakerAtMs,
		constantSpeech: values.speech === 'constant',
		token: values.token,
		patienceMs: seconds('patience'),
		overflow: !values['no-overflow'],
		generators: values.generators === undefined ? undefined : whole('generators', 1),
		bindAddress: values.bind,
		seed: whole('seed', 0),
	};
	return { kind: 'run', options, json: values.json, html: values.html, maxFailed: whole('max-failed', 0) };
}

const isOneOf = <T extends string>(all: readonly T[], value: string): value is T => (all as readonly string[]).includes(value);

