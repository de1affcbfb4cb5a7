import { DomainError } from '../errors.ts';

/** RFC 9110 §8.8.3: quoted in headers, bare inside. */
export function quoteEtag(etag: string): string {
	return `"${etag}"`;
}

/**
 * The version of a session that a PATCH is meant for, or undefined when it is for whichever there is: no header, or
 * `*` (which RFC 9725 §4.3.3 has clients send for an ICE restart). Tolerated: `ETag` in place of `If-Match`, bare
 * values, and the weak mark that compressing proxies add.
 *
 * @throws DomainError `invalid_request` for a list, which no client of these protocols sends
 */
export function expectedEtag(headers: { 'if-match'?: string | undefined; etag?: string | string[] | undefined }): string | undefined {
	const value = (headers['if-match'] ?? [headers.etag].flat()[0])?.trim();
	if (value === undefined || value === '' || value === '*') return undefined;
	const match = /^(?:W\/)?(?:"([^"]*)"|([^",\s]+))$/.exec(value);
	const etag = match?.[1] ?? match?.[2];
	if (etag === undefined) throw new DomainError('invalid_request', 'If-Match takes one entity tag or *');
	return etag;
}
