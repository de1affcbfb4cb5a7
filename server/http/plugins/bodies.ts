import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { DomainError } from '../../errors.ts';

/** Nothing the API takes is deeper than two levels. */
const MAX_JSON_DEPTH = 16;

/** Takes JSON alone in this scope. `__proto__` and `constructor.prototype` keys are refused, and so is what is not UTF-8. */
export function takeJson(app: FastifyInstance): void {
	const parse = app.getDefaultJsonParser('error', 'error');
	app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
		if (typeof body === 'string') throw new TypeError('parseAs buffer gives buffers');
		// Many clients send the header always; without a body there is nothing to parse.
		if (body.length === 0) {
			done(null, null);
			return;
		}
		const fault = !isUtf8(body) ? 'The body is not UTF-8' : depthOf(body) > MAX_JSON_DEPTH ? 'The body is nested too deeply' : undefined;
		if (fault !== undefined) {
			done(new DomainError('invalid_request', fault));
			return;
		}
		void parse(request, body.toString('utf8'), (error, value) => {
			if (error) done(new DomainError('invalid_request', 'The body is not valid JSON, or uses a key that is not allowed', { cause: error }));
			else done(null, value);
		});
	});
}

/**
 * Takes one textual media type alone in this scope; anything else, or a body without type, is 415 before it is read.
 * Parameters such as charset are ignored: SDP is UTF-8 (RFC 8866 §5).
 */
export function takeText(app: FastifyInstance, mediaType: string, maxBytes: number): void {
	app.addHook('onRequest', (request, _reply, done) => {
		const { method } = request;
		if ((method === 'POST' || method === 'PATCH') && essenceOf(request.headers['content-type']) !== mediaType) {
			done(new DomainError('unsupported_media_type', `This resource takes ${mediaType}`, { extra: { accepts: [mediaType] } }));
			return;
		}
		done();
	});
	app.addContentTypeParser(mediaType, { parseAs: 'buffer', bodyLimit: maxBytes }, (_request, body, done) => {
		if (typeof body === 'string') throw new TypeError('parseAs buffer gives buffers');
		if (body.length === 0) done(new DomainError('invalid_request', 'The body is empty'));
		else if (isUtf8(body)) done(null, body.toString('utf8'));
		else done(new DomainError('invalid_request', 'The body is not UTF-8'));
	});
}

/** `Application/SDP; charset=utf-8` → `application/sdp` */
function essenceOf(contentType: string | undefined): string | undefined {
	return contentType?.split(';', 1)[0]?.trim().toLowerCase();
}

/** How deep arrays and objects are nested, without parsing: brackets outside of strings. */
function depthOf(json: Uint8Array): number {
	let depth = 0;
	let deepest = 0;
	let inString = false;
	for (let index = 0; index < json.length; index++) {
		const byte = json[index];
		if (inString) {
			if (byte === 0x5c) index++;
			else if (byte === 0x22) inString = false;
		} else if (byte === 0x22) inString = true;
		else if (byte === 0x7b || byte === 0x5b) deepest = Math.max(deepest, ++depth);
		else if (byte === 0x7d || byte === 0x5d) depth--;
	}
	return deepest;
}
