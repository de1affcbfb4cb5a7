import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Somebody else's web site, on an origin of its own, with pages whose HTML the test says. */
export class HostSite {
	/** Without a slash at its end. */
	readonly origin: string;
	/** Path → HTML inside the body. */
	readonly pages = new Map<string, string>();
	readonly #server: Server;

	static async open(): Promise<HostSite> {
		const server = createServer();
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		return new HostSite(server);
	}

	private constructor(server: Server) {
		this.#server = server;
		this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
		server.on('request', (request, response) => {
			const body = this.pages.get(request.url ?? '');
			response
				.writeHead(body === undefined ? 404 : 200, { 'content-type': 'text/html; charset=utf-8' })
				.end(`<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>A news site</title><h1>Tonight</h1>${body ?? ''}`);
		});
	}

	close(): void {
		this.#server.close();
		this.#server.closeAllConnections();
	}
}
