import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Settings } from 'typebox/system';
import { Value } from 'typebox/value';
import type { TSchema } from 'typebox';

/**
 * Checks requests with TypeBox itself: bodies exactly as they are, path and query after turning text into the type
 * the schema asks for. Nothing is dropped silently; members that no schema knows are refused.
 * Answers are not checked (the tests do that): they are made here, and joins are too many to check each.
 */
export function registerValidation(app: FastifyInstance): void {
	// TypeBox stops at eight errors, and one union of five choices makes ten: the choices shown would be a part of them.
	Settings.Set({ maxErrors: 64 });
	app.setValidatorCompiler<TSchema>((route) => {
		const check = TypeBoxValidatorCompiler(route);
		if (route.httpPart === 'body') return check;
		// Defaults exist in a few queries alone; the compiler itself leaves them out. Looking for them costs a join 80 µs.
		return hasDefault(route.schema) ? (value: unknown) => check(Value.Default(route.schema, value)) : check;
	});
	app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

const hasDefault = (schema: unknown): boolean =>
	typeof schema === 'object' && schema !== null && ('default' in schema || Object.values(schema).some(hasDefault));
