import { DOMAIN_ERRORS } from '../errors.ts';
import { HTTP_ONLY_PROBLEMS } from './problem.ts';

/** What every problem's `type` leads to: one table of all codes. The texts are the program's own, so nothing is escaped. */
export function problemsPage(): string {
	const rows = Object.entries({ ...DOMAIN_ERRORS, ...HTTP_ONLY_PROBLEMS })
		.map(([code, { status, title, retryable }]) => `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td><td>${retryable ? 'yes' : 'no'}</td></tr>`)
		.join('\n');
	return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Problems · Rostrum API</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: start; padding: .4rem .6rem; border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent) }
:target { background: color-mix(in srgb, currentColor 12%, transparent) }
</style>
<h1>Problems</h1>
<p>Every refusal is an RFC 9457 document whose <code>code</code> is one of these. “Again” says whether the same request
may succeed later; <code>Retry-After</code> says when. With <code>token_invalid</code> and <code>invalid_offer</code> the member
<code>reason</code> says more; with <code>invalid_request</code> the member <code>errors</code> lists what failed.</p>
<table>
<thead><tr><th>Code</th><th>Status</th><th>Meaning</th><th>Again</th></tr></thead>
<tbody>
${rows}
</tbody>
</table>
</html>
`;
}
