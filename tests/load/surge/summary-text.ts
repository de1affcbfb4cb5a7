import type { Distribution } from './distribution.ts';
import type { SurgeReport } from './report.ts';

const ms = (value: number | null): string => (value === null ? '–' : `${Math.round(value)} ms`);
const spread = ({ p50, p95, p99, max }: Distribution): string => `p50 ${ms(p50)}, p95 ${ms(p95)}, p99 ${ms(p99)}, longest ${ms(max)}`;
const percent = (ratio: number): string => `${(ratio * 100).toFixed(ratio > 0 && ratio < 0.001 ? 4 : 2)} %`;

/** What a run has found, for people; whether to believe it comes last, where it is read. */
export function summaryText(report: SurgeReport): string {
	const { incumbents, refusals, hls, generator } = report;
	const causes = (counts: Record<string, number>): string =>
		Object.entries(counts)
			.toSorted((a, b) => b[1] - a[1])
			.map(([cause, count]) => `${count} × ${cause}`)
			.join('; ');
	const lines = [
		`${report.listeners} wanted in: ${report.joined} joined, ${report.failed} failed, ${report.overflowed} heard HLS, ${report.waiting} were still waiting${report.interrupted ? ' (interrupted)' : ''}`,
	];
	const add = (name: string, text: string): void => void lines.push(`  ${name.padEnd(22)}${text}`);
	if (Object.keys(report.failures).length > 0) add('failures', causes(report.failures));
	add('join', spread(report.joinMs));
	add('first packet', spread(report.firstPacketMs));
	if (report.firstAudioMs.count > 0) add('first audio', spread(report.firstAudioMs));
	if (report.rejoinMs.count > 0) add('rejoin', `${report.rejoinMs.count} times: ${spread(report.rejoinMs)}`);
	if (report.rejoining > 0) add('on their way back', String(report.rejoining));
	if (report.lostSessions > 0) add('sessions lost', String(report.lostSessions));
	if (report.handedOn > 0) add('handed to others', String(report.handedOn));
	add('packets lost', percent(report.lossRatio));
	add('gaps over 200 ms', `${report.gapsOver200Ms} (longest ${ms(report.maxGapMs)})`);
	if (incumbents.listeners > 0) {
		const own = incumbents.maxGapMs - incumbents.maxForeignGapMs > 5 ? `, ${ms(incumbents.maxForeignGapMs)} without the generator's own stalls` : '';
		add('who were there before', `${incumbents.joined} of ${incumbents.listeners}; lost ${percent(incumbents.lossRatio)}, longest gap ${ms(incumbents.maxGapMs)}${own}`);
	}
	for (const speaker of report.speakers) {
		add(speaker.late ? 'speaker in mid-storm' : speaker.name, speaker.error ?? `on stage in ${ms(speaker.onStageMs)}, heard after ${ms(speaker.heardMs)}${speaker.lost > 0 ? `, lost ${speaker.lost} times` : ''}`);
	}
	if (refusals.count > 0) {
		const { retryAfterMs } = refusals;
		add('refusals', `${refusals.count}: ${causes(refusals.byCause)}`);
		add('', `answered in ${spread(refusals.answerMs)}; come back in ${ms(retryAfterMs.min)} to ${ms(retryAfterMs.max)}, ${refusals.withoutRetryAfter} without a word on when`);
	}
	if (hls.listeners > 0) {
		add('HLS', `${hls.listeners} listeners, first media ${spread(hls.firstMediaMs)}`);
		add('', `${hls.stalls} stalls (${(hls.stalledMs / 1_000).toFixed(1)} s in all), ${hls.errors} errors, ${hls.requests} requests, ${(hls.bytes / 1e6).toFixed(1)} MB`);
	}
	add('generator', `${generator.cpu} cores at most, lag ${generator.lagMs} ms, began late by ${generator.latenessP99Ms} ms (p99)${generator.machineBusy === null ? '' : `, machine ${Math.round(generator.machineBusy * 100)} % busy`}`);
	if (generator.saturated) {
		lines.push('THE GENERATOR WAS THE LIMIT, not the server; these figures say too little of the server:');
	}
	for (const why of generator.why) lines.push(`  - ${why}`);
	return lines.join('\n');
}
