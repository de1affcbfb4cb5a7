import { EventEmitter } from 'node:events';
import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { Compile } from 'typebox/compile';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Peers } from '../cluster/peer-protocol.ts';
import { latestFirst, type NewReport, Report } from './report.ts';

export interface ReportBookEvents {
	report: [report: Report];
}

export interface ReportBookOptions {
	/** JSON lines; made when the first report comes. */
	file: string;
	view: Pick<ClusterView, 'nodeId' | 'nodes'>;
	peers: Peers;
	/** Milliseconds since the epoch. */
	now: () => number;
	newId: () => string;
	/** How many are kept, the latest. Default 1,000. */
	keep?: number;
	log: Logger;
}

export interface ReportQuery {
	limit: number;
	/** Only those before that moment (RFC 3339, UTC). */
	before?: string | undefined;
	roomId?: string | undefined;
}

const PEER_TIMEOUT_MS = 1_500;
const validator = Compile(Report);

/** What listeners have reported on this node: kept in a file, the latest of them, and told to whoever operates. */
export class ReportBook extends EventEmitter<ReportBookEvents> {
	readonly #options: ReportBookOptions;
	readonly #keep: number;
	/** Oldest first. */
	#reports: Report[];
	#linesInFile: number;
	#writing: Promise<void> = Promise.resolve();
	#total = 0;

	static async open(options: ReportBookOptions): Promise<ReportBook> {
		const text = await readFile(options.file, 'utf8').catch(() => '');
		const reports: Report[] = [];
		for (const line of text.split('\n')) {
			try {
				const report: unknown = JSON.parse(line);
				if (validator.Check(report)) reports.push(report);
			} catch {
				// A line that a kill cut short, or the end of the file.
			}
		}
		return new ReportBook(options, reports);
	}

	private constructor(options: ReportBookOptions, reports: Report[]) {
		super();
		this.#options = options;
		this.#keep = options.keep ?? 1_000;
		this.#linesInFile = reports.length;
		this.#reports = reports.slice(-this.#keep);
	}

	/** Since the start of this node. */
	get total(): number {
		return this.#total;
	}

	/** Resolves when it is on disk; a disk that fails is logged, and the report kept as long as the process lives. */
	async add(room: string, { kind, text = '' }: NewReport, by: Report['by']): Promise<Report> {
		const { now, newId, view } = this.#options;
		const words = text.trim();
		const report: Report = {
			id: newId(), room, kind, ...(words === '' ? {} : { text: words }), at: new Date(now()).toISOString(), node: view.nodeId, ...(by && { by }),
		};
		this.#reports.push(report);
		if (this.#reports.length > this.#keep) this.#reports.shift();
		this.#total++;
		this.emit('report', report);
		this.#writing = this.#writing.then(() => this.#write(report));
		await this.#writing;
		return report;
	}

	/** Of this node, latest first. */
	own({ limit, before, roomId }: ReportQuery): Report[] {
		return this.#reports.filter(({ at, room }) => (before === undefined || at < before) && (roomId === undefined || room === roomId)).toSorted(latestFirst).slice(0, limit);
	}

	/** Of all nodes that answer, latest first. */
	async all(query: ReportQuery): Promise<Report[]> {
		const { view, peers, log } = this.#options;
		const { limit, before, roomId } = query;
		const params = { limit, ...(before === undefined ? {} : { before }), ...(roomId === undefined ? {} : { roomId }) };
		const others = view.nodes().filter(({ nodeId }) => nodeId !== view.nodeId);
		const answers = await Promise.all(
			others.map(({ nodeId }) =>
				peers.request(nodeId, 'reports', params, { timeoutMs: PEER_TIMEOUT_MS }).then(
					({ reports }) => reports,
					(error: unknown): Report[] => {
						log.warn({ err: error, peer: nodeId }, 'the reports of a node cannot be read right now');
						return [];
					},
				),
			),
		);
		return [...this.own(query), ...answers.flat()].toSorted(latestFirst).slice(0, limit);
	}

	/** What this node answers other nodes. */
	readonly handlers = { reports: async (query: ReportQuery): Promise<{ reports: Report[] }> => ({ reports: this.own(query) }) };

	async #write(report: Report): Promise<void> {
		const { file, log } = this.#options;
		try {
			if (this.#linesInFile < 2 * this.#keep) {
				await appendFile(file, `${JSON.stringify(report)}\n`, { mode: 0o600 });
				this.#linesInFile++;
				return;
			}
			// The older half goes.
			const lines = this.#reports.map((kept) => `${JSON.stringify(kept)}\n`);
			await writeFile(`${file}.new`, lines.join(''), { mode: 0o600 });
			await rename(`${file}.new`, file);
			this.#linesInFile = lines.length;
		} catch (error) {
			log.error({ err: error }, 'a report could not be written to disk');
		}
	}
}
