import type { Replay } from '../api/recordings-api.ts';
import { t } from '../locale/language.ts';
import { clockTime } from '../locale/clock-time.ts';

interface ReplayTimelineProps {
	replay: Replay;
	positionMs: number;
	speaking: readonly number[];
	seek: (ms: number) => void;
}

/** The name of somebody who spoke; there may be none. */
export const speakerName = ({ number, name }: { number: number; name: string }): string => (name === '' ? t('replayNameless', { number: String(number) }) : name);

/**
 * Who spoke when: a line for each person. A picture for the eye, and a place to click: whoever does not see it has the chapters, which say
 * the same in words, and the slider.
 */
export const ReplayTimeline = ({ replay: { speakers, durationMs }, positionMs, speaking, seek }: ReplayTimelineProps) => {
	const width = Math.max(1, durationMs);
	const clicked = (event: MouseEvent & { currentTarget: Element }) => {
		const { left, right } = event.currentTarget.getBoundingClientRect();
		const part = (event.clientX - left) / Math.max(1, right - left);
		seek((getComputedStyle(event.currentTarget).direction === 'rtl' ? 1 - part : part) * durationMs);
	};
	return (
		<ul class="replay-lanes">
			{speakers.map((speaker) => (
				<li key={speaker.number} class={speaking.includes(speaker.number) ? 'is-speaking' : ''}>
					<span class="replay-lane-name">
						<bdi>{speakerName(speaker)}</bdi> <span class="quiet">{t('replaySpoke', { time: clockTime(speaker.spokeMs) })}</span>
					</span>
					{/* oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions -- see above */}
					<span class="replay-lane" aria-hidden="true" onClick={clicked}>
						{speaker.turns.map(([fromMs, toMs]) => (
							<i key={fromMs} style={{ insetInlineStart: `${(fromMs / width) * 100}%`, width: `${(Math.max(toMs - fromMs, 1) / width) * 100}%` }} />
						))}
						<b style={{ insetInlineStart: `${(positionMs / width) * 100}%` }} />
					</span>
				</li>
			))}
		</ul>
	);
};
