import { Compile } from 'typebox/compile';
import { DomainError } from '../errors.ts';
import { MAX_REQUEST_ID, STAGE_REQUESTS, type StageMethod, type StageParams, StageRequestFrame } from './protocol.ts';

/** A request as its schema says it is, one shape per method. */
export type StageRequest = { [M in StageMethod]: { id: number; method: M; params: StageParams<M> } }[StageMethod];

export type ReadFrame =
	| { kind: 'request'; request: StageRequest }
	/** Nothing to be done, but there is an id to answer. */
	| { kind: 'refused'; id: number; error: DomainError }
	/** Not even that. */
	| { kind: 'broken'; detail: string };

const frameCheck = Compile(StageRequestFrame);
const paramsChecks = new Map(Object.entries(STAGE_REQUESTS).map(([method, schema]) => [method, Compile(schema)] as const));

/** Reads one text frame from a client that is not trusted. Never throws. */
export function readFrame(text: string): ReadFrame {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		return { kind: 'broken', detail: 'A frame is one JSON object; this is not JSON.' };
	}
	const id = idOf(value);
	if (id === undefined) return { kind: 'broken', detail: `A frame has an integer id from 0 to ${MAX_REQUEST_ID}.` };
	if (!frameCheck.Check(value)) {
		return refused(id, 'A request has an id, a method and params, and nothing else.');
	}
	const check = paramsChecks.get(value.method);
	if (!check) return refused(id, 'There is no such method.');
	const params = value.params ?? {};
	if (!check.Check(params)) {
		const error = check.Errors(params)[0];
		return refused(id, `params${error?.instancePath ?? ''} ${error?.message ?? 'has the wrong shape'}`.slice(0, 200));
	}
	// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked for this very method just now; the map hides that from the compiler
	return { kind: 'request', request: { id, method: value.method, params } as StageRequest };
}

function refused(id: number, detail: string): ReadFrame {
	return { kind: 'refused', id, error: new DomainError('invalid_request', detail) };
}

function idOf(value: unknown): number | undefined {
	if (typeof value !== 'object' || value === null || !('id' in value)) return undefined;
	const { id } = value;
	return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= MAX_REQUEST_ID ? id : undefined;
}
