import type { RoomDirectory } from '../../rooms/room-directory.ts';
import type { Room } from '../../rooms/room.ts';
import { CARD_HEIGHT, CARD_WIDTH } from './card-size.ts';
import { type ShareFacts, shareFacts, shareWords, untitled } from './share-facts.ts';

/** What a shared link to a page shows (Open Graph protocol; X reads it, too): property → content, not escaped yet. */
export interface LinkPreview {
	/** Another one: another preview. */
	key: string;
	/** Made only when the key is new. */
	tags: () => readonly (readonly [property: string, content: string])[];
}

export interface LinkPreviewsOptions {
	rooms: Pick<RoomDirectory, 'get'>;
	/** Where people reach this server, without a slash at its end. */
	publicUrl: () => string;
}

const MAX_DESCRIPTION = 200;

/**
 * Of the listening page of a room. Undefined for a private one, and for one that does not exist: nothing tells
 * the two apart.
 */
export function linkPreviews({ rooms, publicUrl }: LinkPreviewsOptions): (roomId: string) => LinkPreview | undefined {
	return (roomId) => {
		const room = rooms.get(roomId);
		if (room?.visibility !== 'public') {
			return undefined;
		}
		const base = publicUrl();
		return { key: `${base} ${room.createdAt} ${room.version}`, tags: () => tagsOf(room, base) };
	};
}

function tagsOf(room: Room, base: string): [string, string][] {
	const facts = shareFacts(room, []);
	const title = facts.title === '' ? untitled(facts) : facts.title;
	const description = descriptionOf(facts);
	// The version makes it another address for those who keep pictures for long; the card itself goes by what it shows.
	const image = `${base}/v1/rooms/${room.id}/card.png?v=${room.version}`;
	return [
		['og:title', title],
		['og:description', description],
		['og:type', 'website'],
		['og:url', `${base}/r/${room.id}`],
		['og:image', image],
		['og:image:type', 'image/png'],
		['og:image:width', String(CARD_WIDTH)],
		['og:image:height', String(CARD_HEIGHT)],
		['og:image:alt', [title, description].join('. ')],
		['twitter:card', 'summary_large_image'],
	];
}

/** When, or how things stand, and what the host says of it. */
function descriptionOf(facts: ShareFacts): string {
	const { state, when } = shareWords(facts);
	const first = facts.state === 'scheduled' ? (when ?? state) : state;
	const text = facts.description === undefined ? first : `${first}. ${facts.description}`;
	const characters = Array.from(text);
	return characters.length <= MAX_DESCRIPTION ? text : `${characters.slice(0, MAX_DESCRIPTION - 1).join('').trimEnd()}…`;
}
