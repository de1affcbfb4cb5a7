// The process: configuration in, a node up, signals handled, links printed. Parts are put together in node.ts.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { ConfigError } from '../config/config-error.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { welcomeText } from './demo/welcome.ts';
import { DEMO_ROOM_ID, ensureDemoRoom } from './demo/demo-room.ts';
import { createLogger } from './logger.ts';
import { RostrumNode } from './node.ts';

/** sysexits.h: the configuration is wrong; starting again will not help. */
const EX_CONFIG = 78;

function readConfig(): Config {
	try {
		return loadConfig({ env: process.env, cores: availableParallelism(), readFile: (path) => readFileSync(path, 'utf8') });
	} catch (error) {
		if (error instanceof ConfigError) {
			console.error(error.message);
			process.exit(EX_CONFIG);
		}
		throw error;
	}
}

const config = readConfig();
let log = createLogger(config.log);

process.on('uncaughtException', (error) => {
	log.fatal({ err: error }, 'unexpected error; the node ends, for its state cannot be trusted');
	process.exit(1);
});

const startedAt = performance.now();
const node = await RostrumNode.start(config, log).catch((error: unknown) => {
	const reason = error instanceof Error ? error.message : String(error);
	log.debug({ err: error }, 'start failed');
	console.error(`Rostrum cannot start: ${explain(error, reason)}`);
	process.exit(1);
});

log = node.log;

process.on('exit', () => node.supervisor.killAll());

let signals = 0;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
	process.on(signal, () => {
		if (++signals > 1) {
			log.warn({ signal }, 'second signal: ending at once');
			process.exit(1);
		}
		const { deadlineMs } = config.shutdown;
		const { drainMs } = node;
		setTimeout(() => {
			log.error({ drainMs, deadlineMs }, 'not closed by the deadline; ending');
			process.exit(1);
		}, drainMs + deadlineMs).unref();
		if (drainMs > 0) {
			log.info({ signal, drainMs }, 'moving listeners and rooms to other nodes first; a second signal ends at once');
		}
		node.drain().catch((error: unknown) => log.error({ err: error }, 'draining failed')).then(() => node.close(`the server got ${signal}`, deadlineMs)).then(
			() => process.exit(0),
			(error: unknown) => {
				log.error({ err: error }, 'closing failed');
				process.exit(1);
			},
		);
	});
}

log.info({ url: node.url, startMs: Math.round(performance.now() - startedAt) }, 'Rostrum is up');
const demo = config.rooms.demo ? await demoRoom() : undefined;
console.log(await welcomeText({ url: node.url, issuer: node.issuer, demo, hasAdminToken: config.admin.token !== undefined }));

/** In a cluster the first node makes it; whoever does not become its home leaves it as it is. */
async function demoRoom() {
	try {
		const home = await node.homes.ensure(DEMO_ROOM_ID);
		return home.nodeId === node.nodeId ? await ensureDemoRoom(node.rooms) : node.rooms.get(DEMO_ROOM_ID);
	} catch (error) {
		log.warn({ err: error }, 'the demo room could not be made ready');
		return undefined;
	}
}

function explain(error: unknown, reason: string): string {
	const code = error instanceof Error && 'code' in error ? error.code : undefined;
	if (code === 'EADDRINUSE') {
		return `port ${config.http.port} on ${config.http.host} is taken. Stop the program that uses it, or set ROSTRUM_HTTP_PORT to another port.`;
	}
	if (code === 'EACCES') {
		return `${reason}. Check the rights to the data folder (${config.dataDir}) and the port.`;
	}
	return reason;
}
