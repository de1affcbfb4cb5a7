/** The room's id as it stands in the page's address, `/r/:room…`. */
export const roomFromPath = (): string => {
	const segment = location.pathname.split('/')[2] ?? '';
	try {
		return decodeURIComponent(segment);
	} catch {
		return segment;
	}
};
