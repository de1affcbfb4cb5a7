import { formatNumber } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { AudienceModel } from '../pages/audience-model.ts';
import { problemText } from './problem-text.ts';

/** What listeners may answer with, and how often they have. The rising ones are for the eye alone. */
export const Reactions = ({ model }: { model: AudienceModel }) => {
	const entries = Object.entries(model.page.reactions.value?.counts ?? {});
	const problem = model.reactionProblem.value;
	if (entries.length === 0) {
		return null;
	}
	return (
		<div class="reactions" role="group" aria-label={t('reactionsHead')}>
			<div class="bubbles" aria-hidden="true">
				{model.bubbles.value.map(({ id, reaction, place, delay }) => (
					<span key={id} style={{ '--place': `${Math.round(place * 100)}%`, '--delay': `${Math.round(delay * 900)}ms` }}>
						{reaction}
					</span>
				))}
			</div>
			{entries.map(([reaction, count]) => (
				<button key={reaction} type="button" class="reaction" data-reaction={reaction} onClick={() => void model.react(reaction)}>
					<span class="hidden">{t('reactWith', { reaction })}</span>
					<span aria-hidden="true">{reaction}</span>
					{count > 0 && <span class="reaction-count">{formatNumber(count)}</span>}
				</button>
			))}
			<p class="reaction-news" role="status">
				{problem === null ? '' : problem.status === 429 ? t('reactionsTooMany') : t('actionFailed', { reason: problemText(problem) })}
			</p>
		</div>
	);
};
