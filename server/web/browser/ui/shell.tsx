import type { ComponentChildren } from 'preact';
import { language, languageNames, switchLanguage, t } from '../locale/language.ts';
import { Mark } from './icons.tsx';

/** What every page has: a way past the header, the name, the language, and one main landmark. */
export const Shell = ({ children, page }: { children: ComponentChildren; page: string }) => (
	<>
		<a class="skip" href="#content">
			{t('skipToContent')}
		</a>
		<header class="bar">
			<a class="brand" href="/">
				<Mark />
				<span>{t('appName')}</span>
			</a>
			<LanguageSwitch />
		</header>
		<main id="content" class={`page page-${page}`} tabIndex={-1}>
			{children}
		</main>
	</>
);

const LanguageSwitch = () => (
	<label class="language">
		<span class="hidden">{t('language')}</span>
		<select value={language.value} onChange={(event) => void switchLanguage(event.currentTarget.value)}>
			{languageNames.map(({ code, name }) => (
				<option key={code} value={code} lang={code}>
					{name}
				</option>
			))}
		</select>
	</label>
);
