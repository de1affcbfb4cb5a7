import { trace, TraceFlags } from '@opentelemetry/api';
import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/schema.ts';
import { withoutSecrets } from './log-secrets.ts';

/** Lines of a request that is traced can be found by its trace. */
const traced = (): { trace?: string } => {
	const span = trace.getActiveSpan()?.spanContext();
	return span !== undefined && (span.traceFlags & TraceFlags.SAMPLED) !== 0 ? { trace: span.traceId } : {};
};

/** One writer for the node and its shards: lines for people on a terminal, JSON elsewhere. */
export function createLogger({ level, pretty: style }: Config['log']): Logger {
	const forPeople = style === true || (style === 'auto' && process.stdout.isTTY);
	const options = {
		level,
		mixin: traced,
		formatters: { log: (fields: Record<string, unknown>) => withoutSecrets(fields) },
		serializers: { err: (error: Error) => withoutSecrets({ ...pino.stdSerializers.err(error) }) },
	};
	return forPeople
		? pino(options, pretty({ colorize: process.stdout.isTTY, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' }))
		: pino(options);
}
