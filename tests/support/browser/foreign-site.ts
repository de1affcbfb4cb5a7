import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { build } from 'esbuild';

/**
 * Somebody else's web site: one empty page with one script, on another origin than Rostrum's, so that all its calls
 * are subject to CORS.
 */
export class ForeignSite {
	readonly url: string;
	readonly #server: Server;

	/** @param script a browser module beside this file, bundled with what it imports */
	static async serve(script: string): Promise<ForeignSite> {
		const { outputFiles } = await build({
			entryPoints: [path.join(import.meta.dirname, script)],
			bundle: true,
			write: false,
			format: 'esm',
			target: 'chrome120',
			logLevel: 'silent',
		});
		const bundle = outputFiles[0]?.contents;
		const server = createServer((request, response) => {
			if (request.url === '/script.js') {
				response.setHeader('content-type', 'text/javascript').end(bundle);
			} else {
				response
					.setHeader('content-type', 'text/html; charset=utf-8')
					.end('<!doctype html><title>Another site</title><script type="module" src="/script.js"></script>');
			}
		});
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		return new ForeignSite(server);
	}

	private constructor(server: Server) {
		this.#server = server;
		this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
	}

	close(): void {
		this.#server.close();
		this.#server.closeAllConnections();
	}
}
