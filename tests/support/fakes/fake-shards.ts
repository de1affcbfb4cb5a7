import { EventEmitter } from 'node:events';
import { SfuError } from '../../../sfu/contract/sfu-error.ts';
import type { ShardRole } from '../../../sfu/contract/media-types.ts';
import type { ParamsOf, ResultOf, ShardRequestName } from '../../../sfu/contract/shard-protocol.ts';
import type { Shard } from '../../../sfu/supervisor/shard.ts';
import type { Supervisor, SupervisorEvents } from '../../../sfu/supervisor/supervisor.ts';

/** What becomes of a request: when it is worked off, and whether its answer arrives. */
export interface Fate {
	afterMs: number;
	/** `lost` is carried out but timed out for whoever asked; `failed` is not carried out. */
	outcome: 'answered' | 'lost' | 'failed';
}

/** The receiving half of a link; it gets what is sent to its port from the port it was connected to. */
interface FakeUpstream {
	readonly port: number;
	remotePort: number | undefined;
}

/** The sending half. */
interface FakeDownstream {
	readonly port: number;
	readonly remotePort: number;
}

interface FakeEdge {
	/** In the order of making. */
	readonly upstreams: string[];
	current: string | undefined;
	/** The halves of `upstreams`. */
	readonly receiving: Map<string, FakeUpstream>;
	/** Ids of links that send from here. */
	readonly downstreams: Map<string, FakeDownstream>;
	listeners: number;
}

/** A shard without media: it keeps the books that a real one keeps, and takes its time as it is told. */
export class FakeShard {
	readonly assignment: { index: number; role: ShardRole };
	/** Room → links that send from here. */
	readonly origins = new Map<string, Map<string, FakeDownstream>>();
	readonly edges = new Map<string, FakeEdge>();
	readonly asked: ShardRequestName[] = [];
	isGone = false;
	readonly #fate: (name: ShardRequestName) => Fate;
	readonly #waiting = new Set<(error: SfuError) => void>();
	/** Halves of links that are being made, each with a mark of the attempt that counts. */
	readonly #making = new Map<string, symbol>();
	readonly #maxDownstreams: number;
	readonly #opening = new Map<string, symbol>();

	constructor(index: number, role: ShardRole, fate: (name: ShardRequestName) => Fate, maxDownstreams: number) {
		this.assignment = { index, role };
		this.#maxDownstreams = maxDownstreams;
		this.#fate = fate;
	}

	request<N extends ShardRequestName>(name: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
		this.asked.push(name);
		if (this.isGone) {
			return Promise.reject(new SfuError('shard_gone', 'gone'));
		}
		const { afterMs, outcome } = this.#fate(name);
		return new Promise((resolve, reject) => {
			this.#waiting.add(reject);
			const settle = (end: () => void) => {
				if (this.#waiting.delete(reject)) {
					end();
				}
			};
			let finish: (() => object) | undefined;
			try {
				finish = outcome === 'failed' ? undefined : this.#begin(name, params as RequestParams);
			} catch (error) {
				finish = () => {
					throw error;
				};
			}
			setTimeout(() => {
				if (this.isGone) {
					return;
				}
				if (!finish) {
					settle(() => reject(new SfuError('shard_failed', 'failed')));
					return;
				}
				try {
					const result = finish();
					// The table of requests ties name to result; a fake needs not follow it.
					settle(() => (outcome === 'lost' ? reject(new SfuError('shard_timeout', 'timed out')) : resolve(result as ResultOf<N>)));
				} catch (error) {
					settle(() => reject(error));
				}
			}, afterMs);
		});
	}

	die(): void {
		this.isGone = true;
		for (const reject of this.#waiting) {
			reject(new SfuError('shard_gone', 'died'));
		}
		this.#waiting.clear();
	}

	/** What happens when the request arrives; the function returned is what happens when the worker is through with it. */
	#begin(name: ShardRequestName, { roomId = '', linkId = '', remote }: RequestParams): () => object {
		const done = () => ({});
		switch (name) {
			case 'origin.open': {
				this.origins.delete(roomId);
				const attempt = Symbol(roomId);
				this.#opening.set(roomId, attempt);
				return () => {
					if (attempt !== this.#opening.get(roomId)) {
						throw unknown();
					}
					this.origins.set(roomId, new Map());
					return { rtpCapabilities: {} };
				};
			}
			case 'origin.close':
				this.#opening.delete(roomId);
				this.origins.delete(roomId);
				return done;
			case 'edge.open':
				if (!this.edges.has(roomId)) {
					this.edges.set(roomId, { upstreams: [], current: undefined, receiving: new Map(), downstreams: new Map(), listeners: 0 });
				}
				return done;
			case 'edge.close':
				this.edges.delete(roomId);
				return done;
			case 'upstream.create': {
				const edge = required(this.edges.get(roomId));
				closeUpstream(edge, linkId);
				const isLatest = this.#attempt(linkId);
				return () => {
					required(isLatest() && edge === this.edges.get(roomId) ? edge : undefined);
					const port = nextPort++;
					edge.upstreams.push(linkId);
					edge.receiving.set(linkId, { port, remotePort: undefined });
					return { ip: '127.0.0.1', port };
				};
			}
			case 'upstream.connect': {
				const half = required(this.edges.get(roomId)?.receiving.get(linkId));
				return () => {
					const edge = required(this.edges.get(roomId));
					required(edge.receiving.get(linkId) === half ? half : undefined);
					half.remotePort = remote?.port;
					for (const older of edge.upstreams.slice(0, edge.upstreams.indexOf(linkId))) {
						closeUpstream(edge, older);
					}
					edge.current = linkId;
					return {};
				};
			}
			case 'upstream.close': {
				const edge = this.edges.get(roomId);
				this.#making.delete(linkId);
				if (edge) {
					closeUpstream(edge, linkId);
				}
				return done;
			}
			case 'downstream.create': {
				const source = () => (this.assignment.role === 'stage' ? this.origins.get(roomId) : this.edges.get(roomId)?.downstreams);
				const links = required(source());
				links.delete(linkId);
				if (links.size + this.#making.size >= this.#maxDownstreams) {
					throw new SfuError('link_full', 'as many links begin here as may');
				}
				const isLatest = this.#attempt(linkId);
				return () => {
					required(isLatest() && links === source() ? links : undefined);
					const port = nextPort++;
					links.set(linkId, { port, remotePort: remote?.port ?? 0 });
					return { ip: '127.0.0.1', port, voices: [] };
				};
			}
			case 'downstream.close':
				this.#making.delete(linkId);
				this.origins.get(roomId)?.delete(linkId);
				this.edges.get(roomId)?.downstreams.delete(linkId);
				return done;
			case 'listener.join':
				return () => {
					const edge = required(this.edges.get(roomId));
					edge.listeners++;
					return { sdp: '', etag: '', listeners: this.listeners, roomListeners: edge.listeners };
				};
			default:
				return done;
		}
	}

	get listeners(): number {
		return [...this.edges.values()].reduce((sum, { listeners }) => sum + listeners, 0);
	}

	/** @returns whether neither a close nor another attempt came meanwhile; takes the mark away */
	#attempt(linkId: string): () => boolean {
		const attempt = Symbol(linkId);
		this.#making.set(linkId, attempt);
		return () => {
			const counts = this.#making.get(linkId) === attempt;
			if (counts) {
				this.#making.delete(linkId);
			}
			return counts;
		};
	}
}

/** Puts fake shards in and takes them away, with the real supervisor's events. */
export class FakeSupervisor extends EventEmitter<SupervisorEvents> {
	readonly fakes: (FakeShard | undefined)[];
	readonly #roles: readonly ShardRole[];
	readonly #fate: (name: ShardRequestName) => Fate;
	readonly #maxDownstreams: number;

	constructor(roles: readonly ShardRole[], fate: (name: ShardRequestName) => Fate, maxDownstreams = Infinity) {
		super();
		this.#roles = roles;
		this.#fate = fate;
		this.#maxDownstreams = maxDownstreams;
		this.fakes = roles.map((role, index) => new FakeShard(index, role, fate, maxDownstreams));
	}

	get slots() {
		return this.#roles.map((role, index) => ({ index, role, mediaPort: index, alive: this.fakes[index] !== undefined }));
	}

	shard(index: number): Shard | undefined {
		return asShard(this.fakes[index]);
	}

	shards(role?: ShardRole): Shard[] {
		return this.fakes.flatMap((fake) => {
			const shard = fake && (role === undefined || fake.assignment.role === role) ? asShard(fake) : undefined;
			return shard ? [shard] : [];
		});
	}

	kill(index: number): void {
		const fake = this.fakes[index];
		if (fake) {
			fake.die();
			this.fakes[index] = undefined;
			this.emit('shardDown', index, fake.assignment.role);
		}
	}

	revive(index: number): void {
		const role = this.#roles[index];
		if (role && !this.fakes[index]) {
			const fake = new FakeShard(index, role, this.#fate, this.#maxDownstreams);
			this.fakes[index] = fake;
			const shard = asShard(fake);
			if (shard) {
				this.emit('shardUp', shard, index, role);
			}
		}
	}

	/** As `ProgrammesOptions` takes it. */
	asSupervisor(): Supervisor {
		// Private fields make a class its own kind; programmes use nothing but what stands here.
		return this as unknown as Supervisor;
	}
}

// Private fields make a class its own kind; programmes use `request`, `isGone`, `assignment` and `stats` alone.
const asShard = (fake: FakeShard | undefined): Shard | undefined => fake as unknown as Shard | undefined;

type RequestParams = { roomId?: string; linkId?: string; remote?: { port: number } };

/** Of halves of links, each its own, so that one that was made again is another. */
let nextPort = 1;

function closeUpstream(edge: FakeEdge, linkId: string): void {
	const place = edge.upstreams.indexOf(linkId);
	if (place >= 0) {
		edge.upstreams.splice(place, 1);
		edge.receiving.delete(linkId);
		edge.current = edge.current === linkId ? undefined : edge.current;
	}
}

const unknown = () => new SfuError('room_unknown', 'no such room here');

function required<T>(value: T | undefined): T {
	if (value === undefined) {
		throw unknown();
	}
	return value;
}
