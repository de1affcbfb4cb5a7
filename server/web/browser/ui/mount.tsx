import { type ComponentChild, render } from 'preact';
import { startLanguage } from '../locale/language.ts';

/** Shows a page once its language is there. */
export const mount = async (page: () => ComponentChild): Promise<void> => {
	await startLanguage();
	const root = document.querySelector('#app');
	if (root === null) {
		throw new Error('The page has no #app');
	}
	const Page = () => <>{page()}</>;
	root.replaceChildren();
	render(<Page />, root);
	addEventListener('hashchange', beginWithLink);
};

/** A personal link for the page that this tab shows already changes the fragment alone: the page is another person's then. */
const beginWithLink = (): void => {
	if (new URLSearchParams(location.hash.slice(1)).has('token')) {
		location.reload();
	}
};
