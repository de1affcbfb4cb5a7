/** Where in the console one is; it stands in the address's fragment, so that back, reload and links work. */
export const SECTIONS = ['rooms', 'nodes', 'access', 'webhooks', 'audit', 'reports'] as const;
export type Section = (typeof SECTIONS)[number];

export interface Place {
	section: Section;
	/** Of the section `rooms`: one of them. */
	roomId?: string;
}

/** @param hash as `location.hash`; whatever is not an address leads to the rooms */
export const placeOf = (hash: string): Place => {
	const [name, id] = hash.replace(/^#/, '').split('/');
	const section = SECTIONS.find((known) => known === name) ?? 'rooms';
	if (section !== 'rooms' || id === undefined || id === '') {
		return { section };
	}
	try {
		return { section, roomId: decodeURIComponent(id) };
	} catch {
		return { section };
	}
};

export const addressOf = ({ section, roomId }: Place): string => `#${section}${roomId === undefined ? '' : `/${encodeURIComponent(roomId)}`}`;
