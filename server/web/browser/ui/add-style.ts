/** Resolves once a further style sheet is there, or cannot be had: a page without it is still a page. */
export const addStyle = (href: string): Promise<void> =>
	new Promise((resolve) => {
		const link = document.createElement('link');
		link.rel = 'stylesheet';
		link.href = href;
		link.addEventListener('load', () => resolve());
		link.addEventListener('error', () => resolve());
		document.head.append(link);
	});
