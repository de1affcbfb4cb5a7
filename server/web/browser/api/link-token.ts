import { parseTrusted } from '../sdk/boundary.ts';

/**
 * The token of a personal link, from the address's fragment (which no server and no log sees). It moves to
 * this tab's storage, so that a reload works and the address bar can be shown or copied without giving it away.
 * @param scope what the token is for: a room's id, or `admin`
 */
export const takeLinkToken = (scope: string): string | undefined => {
	const token = new URLSearchParams(location.hash.slice(1)).get('token');
	if (token !== null && token !== '') {
		keepToken(scope, token);
		history.replaceState(history.state, '', location.pathname + location.search);
		return token;
	}
	return keptToken(scope);
};

/** What this tab has kept. */
export const keptToken = (scope: string): string | undefined => {
	try {
		return sessionStorage.getItem(`rostrum.token.${scope}`) ?? undefined;
	} catch {
		return undefined;
	}
};

export const keepToken = (scope: string, token: string): void => {
	try {
		sessionStorage.setItem(`rostrum.token.${scope}`, token);
	} catch {
		// Storage is forbidden: the token lasts as long as the page.
	}
};

export const dropToken = (scope: string): void => {
	try {
		sessionStorage.removeItem(`rostrum.token.${scope}`);
	} catch {
		// As above.
	}
};

export interface TokenFace {
	name: string;
	role: string;
}

/** What a token says of its owner, for greeting only: the server decides by what it has verified. */
export const faceOf = (token: string): TokenFace | undefined => {
	try {
		const base64 = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
		const bytes = Uint8Array.from(atob(base64), (character) => character.codePointAt(0) ?? 0);
		const claims = parseTrusted<{ name?: unknown; role?: unknown }>(new TextDecoder().decode(bytes));
		return typeof claims.role === 'string' ? { name: typeof claims.name === 'string' ? claims.name : '', role: claims.role } : undefined;
	} catch {
		// A token that is no JWT is fine: the server knows what to do with it.
		return undefined;
	}
};
