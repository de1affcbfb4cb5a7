import { parseTrusted } from '../sdk/boundary.ts';

/** The id of a signed token (`jti`, RFC 7519 §4.1.7), by which it is revoked; undefined for what has none. */
export const tokenIdOf = (token: string): string | undefined => {
	try {
		const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
		const { jti } = parseTrusted<{ jti?: unknown }>(atob(payload));
		return typeof jti === 'string' ? jti : undefined;
	} catch {
		return undefined;
	}
};
