import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/schema.ts';

/** Never to be written, wherever they turn up in an object that is logged. */
const SECRET_PATHS = ['token', 'access_token', 'authorization', 'offer', 'sdp', 'credential', 'secret', '*.token', '*.authorization', '*.sdp', '*.secret'];

/** One writer for the node and its shards: lines for people on a terminal, JSON elsewhere. */
export function createLogger({ level, pretty: style }: Config['log']): Logger {
	const forPeople = style === true || (style === 'auto' && process.stdout.isTTY);
	const options = { level, redact: { paths: SECRET_PATHS, censor: '[secret]' } };
	return forPeople
		? pino(options, pretty({ colorize: process.stdout.isTTY, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' }))
		: pino(options);
}
