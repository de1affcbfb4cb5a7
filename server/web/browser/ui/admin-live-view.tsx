import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { t } from '../locale/language.ts';
import type { Live } from './admin-live.ts';
import { problemText } from './problem-text.ts';

/** Keeps something fresh as long as the component is on the page. */
export const useLive = <T,>(live: Live<T>): T | undefined => {
	useEffect(() => live.watch(), [live]);
	return live.value.value;
};

/** Shows something that is kept fresh: while it comes, when this server does not have it, and when it is out of date. */
export const LiveView = <T,>({ live, children }: { live: Live<T>; children: (value: T) => ComponentChildren }) => {
	const value = useLive(live);
	const failure = live.failure.value;
	if (live.state.value === 'missing') {
		return <p class="quiet">{t('adminMissing')}</p>;
	}
	return (
		<>
			{failure !== null && (
				<p class="notice" role="alert">
					{t(value === undefined ? 'adminUnreadable' : 'adminOutdated', { reason: problemText(failure) })}
				</p>
			)}
			{value !== undefined ? children(value) : failure === null && <p class="quiet">{t('loading')}</p>}
		</>
	);
};

interface PanelProps<T> {
	/** Unique on the page. */
	id: string;
	title: string;
	live: Live<T>;
	children: (value: T) => ComponentChildren;
	/** Above what is read, there whatever becomes of that. */
	before?: ComponentChildren;
}

/** A card with a heading about one thing. */
export const Panel = <T,>({ id, title, live, children, before }: PanelProps<T>) => (
	<section class="card admin-panel" aria-labelledby={`${id}-heading`}>
		<h2 id={`${id}-heading`}>{title}</h2>
		{before}
		<LiveView live={live}>{children}</LiveView>
	</section>
);
