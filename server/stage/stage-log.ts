/** What the stage writes to the log; pino's and Fastify's loggers fit. */
export interface StageLog {
	debug(fields: object, message: string): void;
	info(fields: object, message: string): void;
	warn(fields: object, message: string): void;
	error(fields: object, message: string): void;
}
