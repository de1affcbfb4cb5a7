import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DOMAIN_ERRORS } from '../../server/errors.ts';
import { createTestApp, type TestApp } from '../support/fakes/test-app.ts';

interface Operation {
	operationId?: string;
	summary?: string;
	tags?: string[];
	parameters?: { name: string; in: string; required?: boolean; schema?: object }[];
	requestBody?: { content: Record<string, { schema: object }> };
	responses: Record<string, { description?: string; content?: Record<string, { schema: object }> }>;
}
interface Document {
	openapi: string;
	info: { title: string; version: string };
	tags: { name: string }[];
	paths: Record<string, Record<string, Operation>>;
	components: { schemas: Record<string, { $id?: string; properties?: Record<string, unknown> }> };
}

/** What is for people or is the document itself; the stage's WebSocket and the pages come from elsewhere. */
const NOT_DESCRIBED = /^(\*|\/openapi\.json|\/docs(\/.*)?)$/;

let test: TestApp;
let document: Document;
/** Method and OpenAPI path of every route that was really registered, asked of the router itself. */
let routes: string[];
let operations: [name: string, operation: Operation][];

beforeAll(async () => {
	test = await createTestApp();
	document = (await test.app.inject('/openapi.json')).json();
	routes = registered(test.app);
	operations = Object.entries(document.paths).flatMap(([path, methods]) =>
		Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method.toUpperCase()} ${path}`, operation]),
	);
});
afterAll(() => test.close());

/** Reads the router's own printout: lines of a tree, each a piece of a path and the methods it ends for. */
function registered(app: FastifyInstance): string[] {
	const found: string[] = [];
	const pieces: string[] = [];
	for (const line of app.printRoutes({ commonPrefix: false }).split('\n')) {
		const match = /^((?:│ {3}| {4})*)[├└]── (.*?)(?: \(([A-Z, ]+)\))?$/.exec(line);
		if (!match) continue;
		const [, indent = '', piece = '', methods] = match;
		pieces.length = indent.length / 4;
		pieces.push(piece);
		const path = pieces.join('');
		for (const method of methods?.split(', ') ?? []) {
			if (method !== 'HEAD' && !NOT_DESCRIBED.test(path)) found.push(`${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
		}
	}
	return found.toSorted();
}

const references = (value: unknown): string[] =>
	typeof value !== 'object' || value === null
		? []
		: Object.entries(value).flatMap(([key, member]) => (key === '$ref' && typeof member === 'string' ? [member] : references(member)));

describe('/openapi.json', () => {
	it('is OpenAPI 3.1', () => {
		expect(document.openapi).toMatch(/^3\.1\.\d$/);
		expect(document.info).toMatchObject({ title: 'Rostrum' });
	});

	it('describes exactly the routes there are', () => {
		expect(routes).toContain('POST /v1/rooms/{room}/listen');
		expect(operations.map(([name]) => name).toSorted()).toEqual(routes);
	});

	it('gives every operation a name of its own, a summary and a known tag', () => {
		const ids = operations.map(([, operation]) => operation.operationId);
		expect(new Set(ids).size).toBe(ids.length);
		for (const [name, { operationId, summary, tags }] of operations) {
			expect(operationId, name).toMatch(/^[a-z][A-Za-z]+$/);
			expect(summary?.length, name).toBeGreaterThan(3);
			for (const tag of tags ?? ['none']) expect(document.tags.map((known) => known.name), name).toContain(tag);
		}
	});

	it('declares every parameter of every path', () => {
		for (const [name, { parameters = [] }] of operations) {
			const inPath = [...name.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
			const declared = parameters.filter((parameter) => parameter.in === 'path');
			expect(declared.map((parameter) => parameter.name).toSorted(), name).toEqual(inPath.toSorted((a = '', b = '') => (a < b ? -1 : 1)));
			for (const parameter of declared) expect(parameter.required, name).toBe(true);
			for (const parameter of parameters) expect(parameter.schema, `${name} ${parameter.name}`).toBeDefined();
		}
	});

	it('gives every operation a success and problems', () => {
		for (const [name, { responses }] of operations) {
			const statuses = Object.keys(responses);
			expect(statuses.some((status) => status.startsWith('2')), name).toBe(true);
			for (const status of ['400', '500']) expect(statuses, name).toContain(status);
			for (const [status, { description, content }] of Object.entries(responses)) {
				expect(description, `${name} ${status}`).not.toBe('Default Response');
				// /readyz answers 503 with its components, not with a problem.
				if (Number(status) >= 400 && name !== 'GET /readyz') expect(Object.keys(content ?? {}), `${name} ${status}`).toEqual(['application/problem+json']);
			}
		}
	});

	it('describes the body of every operation that takes one', () => {
		for (const [name, { requestBody }] of operations) {
			if (!/^(POST|PATCH)/.test(name)) continue;
			expect(Object.keys(requestBody?.content ?? {}), name).toHaveLength(1);
		}
		expect(Object.keys(document.paths['/v1/rooms/{room}/listen']?.['post']?.requestBody?.content ?? {})).toEqual(['application/sdp']);
	});

	it('refers to nothing that is not there', () => {
		const used = new Set(references(document));
		expect(used.size).toBeGreaterThan(0);
		for (const reference of used) {
			const [, name = ''] = /^#\/components\/schemas\/(\w+)$/.exec(reference) ?? [];
			expect(Object.keys(document.components.schemas), reference).toContain(name);
		}
	});

	it('can be read at /docs, with every problem explained', async () => {
		const docs = await test.app.inject('/docs');
		expect(docs.headers['content-type']).toContain('text/html');
		expect((await test.app.inject('/docs/static/swagger-initializer.js')).body).toContain('/openapi.json');
		const page = (await test.app.inject('/docs/problems')).body;
		for (const code of Object.keys(DOMAIN_ERRORS)) expect(page).toContain(`id="${code}"`);
		const problem = (await test.app.inject('/v1/rooms/nowhere')).json<{ type: string }>();
		const [path = '', anchor = ''] = problem.type.split('#');
		expect((await test.app.inject(path)).body).toContain(`id="${anchor}"`);
	});
});
