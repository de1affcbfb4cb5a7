import type { FastifyError, FastifySchemaValidationError } from 'fastify';
import { AuthError } from '../../auth/auth-error.ts';
import { DOMAIN_ERRORS, DomainError, type DomainErrorCode } from '../errors.ts';

/** Refusals that only HTTP has, beside the domain's. */
export const HTTP_ONLY_PROBLEMS = {
	issuer_unavailable: { status: 503, retryable: true, title: 'The issuer of this token cannot be asked for its keys right now' },
} as const;

export type ProblemCode = DomainErrorCode | keyof typeof HTTP_ONLY_PROBLEMS;

/** RFC 9457. Further members stand beside these, by code. */
export interface Problem {
	/** A relative URI, stable per code, that leads to its explanation. */
	type: string;
	title: string;
	status: number;
	detail: string;
	/** Path of the request, without query (a query may hold a token). */
	instance: string;
	code: ProblemCode;
	/** Whether the same request may succeed later. */
	retryable: boolean;
	[member: string]: unknown;
}

export interface ProblemAnswer {
	problem: Problem;
	headers: Record<string, string>;
	/** True when the error is this server's own fault and belongs in the log. */
	unexpected: boolean;
}

/** What each of the framework's own refusals means here; its messages are not shown. */
const FRAMEWORK_ERRORS: Record<string, { code: DomainErrorCode; detail: string }> = {
	FST_ERR_BAD_URL: { code: 'invalid_request', detail: 'The path is not valid percent-encoding' },
	FST_ERR_MAX_PARAM_LENGTH: { code: 'not_found', detail: 'A part of the path is longer than any id' },
	FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', detail: 'This resource does not take that content type' },
	FST_ERR_CTP_BODY_TOO_LARGE: { code: 'payload_too_large', detail: 'The body is larger than this resource takes' },
	FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'invalid_request', detail: 'The body is not as long as Content-Length says' },
	FST_ERR_CTP_INVALID_JSON_BODY: { code: 'invalid_request', detail: 'The body is not valid JSON' },
};

/** Enough to see what is wrong. */
const MAX_MEMBER_ERRORS = 8;

/** One failed member of a request. */
interface MemberError {
	/** `body`, `query`, `params` or `headers`. */
	in: string;
	/** JSON pointer below that part; empty for the part as a whole. */
	member: string;
	message: string;
}

/** Where the explanation of a code stands. */
export function problemType(code: ProblemCode): string {
	return `/docs/problems#${code}`;
}

/**
 * Turns whatever was thrown into what the caller may see. Nothing of an unexpected error's own text gets out.
 *
 * @param path path of the request without query
 */
export function problemOf(error: unknown, path: string): ProblemAnswer {
	if (error instanceof DomainError) return answer(error, path);
	if (error instanceof AuthError) {
		if (error.code === 'issuer_unavailable') return issuerUnavailable(error.message, path);
		if (error.code === 'token_revoked') return answer(new DomainError('token_revoked', error.message), path);
		// One code for every kind of bad token; the finer one is for the developer who holds it.
		return answer(new DomainError('token_invalid', error.message, { extra: { reason: error.code } }), path);
	}
	if (isFrameworkError(error)) {
		if (error.validation) return answer(validationProblem(error), path);
		const known = FRAMEWORK_ERRORS[error.code];
		if (known) return answer(new DomainError(known.code, known.detail), path);
		if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
			return answer(new DomainError(codeOfStatus(error.statusCode), 'The request could not be read'), path);
		}
	}
	return {
		...answer(new DomainError('internal_error', 'The server could not finish this request; quote its X-Request-Id when you report it'), path),
		unexpected: true,
	};
}

function answer(error: DomainError, path: string): ProblemAnswer {
	const headers: Record<string, string> = {};
	if (error.retryAfterSeconds !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterSeconds)));
	if (error.status === 401) headers['www-authenticate'] = challenge(error.code);
	return {
		problem: {
			...error.extra,
			type: problemType(error.code),
			title: error.title,
			status: error.status,
			detail: error.message,
			instance: path,
			code: error.code,
			retryable: error.retryable,
		},
		headers,
		unexpected: error.code === 'internal_error',
	};
}

function issuerUnavailable(detail: string, path: string): ProblemAnswer {
	const code = 'issuer_unavailable';
	const { title, status, retryable } = HTTP_ONLY_PROBLEMS[code];
	return {
		problem: { type: problemType(code), title, status, detail, instance: path, code, retryable },
		headers: { 'retry-after': '5' },
		unexpected: false,
	};
}

/** RFC 6750 §3: no error code when no token was presented. */
function challenge(code: DomainErrorCode): string {
	return code === 'token_required' ? 'Bearer realm="rostrum"' : 'Bearer realm="rostrum", error="invalid_token"';
}

function validationProblem(error: FastifyError): DomainError {
	const part = error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'body');
	const errors = memberErrors(part, error.validation ?? []);
	const first = errors[0];
	const detail = first ? `${first.in}${first.member}: ${first.message}` : 'The request does not fit its schema';
	return new DomainError('invalid_request', detail, { extra: { errors } });
}

/** One line per member. A union reports every branch that did not fit; only its choices are worth a line. */
function memberErrors(part: string, failures: readonly FastifySchemaValidationError[]): MemberError[] {
	const byMember = new Map<string, FastifySchemaValidationError[]>();
	for (const failure of failures) {
		// "schema is false" only repeats that a member is too many.
		if (failure.keyword === 'boolean') continue;
		for (const member of membersOf(failure)) byMember.set(member, [...(byMember.get(member) ?? []), failure]);
	}
	return [...byMember].slice(0, MAX_MEMBER_ERRORS).map(([member, found]) => ({ in: part, member: member.slice(0, 200), message: messageOf(found) }));
}

function messageOf(failures: readonly FastifySchemaValidationError[]): string {
	const choices = failures.flatMap(({ params }) => ('allowedValue' in params ? [params['allowedValue']] : []));
	if (choices.length > 1) return `must be one of ${choices.map((choice) => JSON.stringify(choice)).join(', ')}`;
	return (failures[0]?.message ?? 'is not valid').slice(0, 200);
}

/** Members that are missing or too many are named by the error's parameters, others by its path. */
function membersOf({ instancePath, params }: FastifySchemaValidationError): string[] {
	for (const key of ['additionalProperties', 'requiredProperties']) {
		const names = params[key];
		if (Array.isArray(names) && names.length > 0) return names.map((name) => `${instancePath}/${String(name)}`);
	}
	return [instancePath];
}

function codeOfStatus(status: number): DomainErrorCode {
	for (const code of ['not_found', 'method_not_allowed', 'payload_too_large', 'unsupported_media_type', 'too_many_requests'] as const) {
		if (DOMAIN_ERRORS[code].status === status) return code;
	}
	return 'invalid_request';
}

function isFrameworkError(error: unknown): error is FastifyError {
	return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
