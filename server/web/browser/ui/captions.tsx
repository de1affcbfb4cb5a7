import { t } from '../locale/language.ts';
import { directionOf } from '../locale/text.ts';
import type { AudienceModel } from '../pages/audience-model.ts';

const nameOf = (code: string): string => {
	try {
		return new Intl.DisplayNames([code], { type: 'language' }).of(code) ?? code;
	} catch {
		return code;
	}
};

/** A language that a browser does not know leaves the direction to the first letters. */
const directionFor = (code: string | undefined): 'ltr' | 'rtl' | 'auto' => {
	try {
		return code === undefined ? 'auto' : directionOf(code);
	} catch {
		return 'auto';
	}
};

/** What is said, to read. Shown only in rooms where somebody writes it. */
export const Captions = ({ model }: { model: AudienceModel }) => {
	if (model.page.captions.value.length === 0) {
		return null;
	}
	const on = model.captionsOn.value;
	const languages = model.languages.value;
	return (
		<section class="captions" aria-labelledby="captions-heading">
			<div class="section-head">
				<h2 id="captions-heading">{t('captionsHead')}</h2>
				<div class="row wrap">
					{on && languages.length > 1 && (
						<label class="language">
							<span class="hidden">{t('captionsLanguage')}</span>
							<select
								value={model.captionLanguage.value ?? ''}
								onChange={(event) => {
									model.chosenLanguage.value = event.currentTarget.value;
								}}
							>
								{languages.map((code) => (
									<option key={code} value={code} lang={code}>
										{nameOf(code)}
									</option>
								))}
							</select>
						</label>
					)}
					<button type="button" class="button" aria-pressed={on} onClick={() => model.setCaptions(!on)}>
						{t(on ? 'captionsHide' : 'captionsShow')}
					</button>
				</div>
			</div>
			{on && (
				<ol class="caption-lines">
					{model.lines.value.map(({ id, text, final, speaker, language }) => (
						<li key={`${language ?? ''} ${speaker ?? ''} ${id}`} class={final ? '' : 'is-guess'} dir={directionFor(language)} lang={language}>
							{speaker !== undefined && (
								<span class="caption-speaker">
									<bdi>{speaker}</bdi>
									{': '}
								</span>
							)}
							{text}
						</li>
					))}
				</ol>
			)}
		</section>
	);
};
