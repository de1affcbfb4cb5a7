import type { SimulationReport } from './report.ts';

const whole = (value: number) => Math.round(value).toLocaleString('en');

/** For whoever typed the command. */
export function summary(report: SimulationReport): string {
	const { fleet, waves, redis } = report;
	const lines = [
		`${whole(report.listeners)} listeners within ${report.withinSeconds} s (${report.entry}), on ${fleet.nodes} nodes with ${fleet.cores} cores and ${fleet.listenerShards} listener shards each; by the rule they hold ${whole(fleet.capacity)}`,
		`lost                     ${report.lost}`,
		`by HLS                   ${(100 * report.overflowShare).toFixed(2)} % for a while (p50 ${report.hlsSeconds.p50} s, longest ${report.hlsSeconds.max} s), ${(100 * report.overflowShareAtEnd).toFixed(2)} % at the end`,
		`from coming to hearing   p50 ${report.admittedAfterSeconds.p50} s, p99 ${report.admittedAfterSeconds.p99} s, longest ${report.longestWaitSeconds} s (by WebRTC ${report.longestWaitForWebrtcSeconds} s)`,
		`the last one hears       ${report.lastHeardSeconds} s after the first came, ${report.lastHeardAfterWindowSeconds} s after the window's end`,
		`fullest shard over mean  ${report.maxOverMean} after the surge, ${report.maxOverMeanAfterWaves} at worst after a wave, ${report.maxOverMeanEver} in the worst second${report.atCap ? ' (at its cap)' : ''}`,
		`Redis                    ${whole(report.redisCommandsPerSecond)} commands in the busiest second (mean ${whole(redis.executedMeanPerSecond)}), ${whole(redis.sentMeanPerSecond)} sent by nodes, the rest within scripts`,
		`messages at the home     ${whole(report.homeMessagesPerSecond.max)} in the busiest second, mean ${report.homeMessagesPerSecond.mean}; links from the origin to the furthest edge: ${report.treeDepth}`,
		`busiest second           ${whole(report.peak.arrivalsPerSecond)} came, ${whole(report.peak.joinsPerSecond)} joined; a worker ${report.peak.workerRatio} of a core, event loop ${report.peak.lagMs} ms late`,
		...waves.map(
			(wave) =>
				`${wave.name.padEnd(24)} at ${Math.round(wave.atSecond)} s: ${whole(wave.affected)} lost their session, hear again after p50 ${wave.hearAgainSeconds.p50} s, p99 ${wave.hearAgainSeconds.p99} s, last ${wave.lastHeardSeconds} s; ` +
				`${whole(wave.silentListeners)} others in silence, ${wave.silentEdgesSeconds} s at most; lost ${wave.lost}, refused ${whole(wave.refused)}, max/mean ${wave.maxOverMeanAfter}`,
		),
		`simulated in             ${report.wallSeconds} s, ${whole(report.rssBytes / 1e6)} MB, seed ${report.seed}`,
	];
	return lines.join('\n');
}
