import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as OTLP/JSON has it, with its attributes as a record. */
export interface CollectedSpan {
	service: string;
	/** `service.instance.id`: the node. */
	node: string;
	name: string;
	traceId: string;
	spanId: string;
	parentSpanId: string;
	kind: number;
	/** 2: failed. */
	status: number;
	message: string | undefined;
	attributes: Record<string, string | number | boolean>;
}

type Value = { stringValue?: string; intValue?: number | string; doubleValue?: number; boolValue?: boolean };
type Attributes = { key: string; value: Value }[];
interface Batch {
	resourceSpans: {
		resource: { attributes: Attributes };
		scopeSpans: {
			spans: { name: string; traceId: string; spanId: string; parentSpanId?: string; kind: number; status?: { code?: number; message?: string }; attributes: Attributes }[];
		}[];
	}[];
}

/** An OpenTelemetry collector as far as a test needs one: takes OTLP over HTTP in JSON, and has it all. */
export class OtlpCollector {
	readonly spans: CollectedSpan[] = [];
	/** Everything that was sent, as it came. */
	text = '';
	headers: IncomingHttpHeaders = {};
	/** What it answers with. */
	status = 200;
	readonly #server: Server;
	#waiting: (() => void)[] = [];

	static async start(): Promise<OtlpCollector> {
		const server = createServer();
		const collector = new OtlpCollector(server);
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
		return collector;
	}

	private constructor(server: Server) {
		this.#server = server;
		server.on('request', (request, response) => {
			const chunks: Buffer[] = [];
			this.headers = request.headers;
			request.on('data', (chunk: Buffer) => chunks.push(chunk));
			request.on('end', () => {
				if (this.status === 200) this.#take(Buffer.concat(chunks).toString());
				response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
			});
		});
	}

	get endpoint(): string {
		// It listens on TCP, so the address has a port.
		return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1/traces`;
	}

	/** The first span that fits, sent already or to come. The test's own deadline is the limit. */
	async span(fits: (span: CollectedSpan) => boolean): Promise<CollectedSpan> {
		for (;;) {
			const found = this.spans.find(fits);
			if (found) return found;
			await new Promise<void>((resolve) => this.#waiting.push(resolve));
		}
	}

	async close(): Promise<void> {
		const closed = once(this.#server, 'close');
		this.#server.close();
		this.#server.closeAllConnections();
		await closed;
	}

	#take(text: string): void {
		this.text += text;
		for (const { resource, scopeSpans } of (JSON.parse(text) as Batch).resourceSpans) {
			const of = record(resource.attributes);
			for (const { name, traceId, spanId, parentSpanId = '', kind, status, attributes } of scopeSpans.flatMap(({ spans }) => spans)) {
				this.spans.push({
					service: String(of['service.name']), node: String(of['service.instance.id']), name, traceId, spanId, parentSpanId, kind,
					status: status?.code ?? 0, message: status?.message, attributes: record(attributes),
				});
			}
		}
		for (const look of this.#waiting.splice(0)) look();
	}
}

const record = (attributes: Attributes): CollectedSpan['attributes'] =>
	Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.boolValue ?? Number(value.intValue ?? value.doubleValue)]));
