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

interface FakeEdge {
	/** In the order of making. */
	readonly upstreams: string[];
	current: string | undefined;
}

/** A shard without media: it keeps the books that a real one keeps, and takes its time as it is told. */
export class FakeShard {
	readonly assignment: { index: number; role: ShardRole };
	/** Room → ids of links that send from here. */
	readonly origins = new Map<string, Set<string>>();
	readonly edges = new Map<string, FakeEdge>();
	readonly asked: ShardRequestName[] = [];
	isGone = false;
	readonly #fate: (name: ShardRequestName) => Fate;
	readonly #waiting = new Set<(error: SfuError) => void>();
	readonly #closedLinks = new Set<string>();
	readonly #opening = new Map<string, symbol>();

	constructor(index: number, role: ShardRole, fate: (name: ShardRequestName) => Fate) {
		this.assignment = { index, role };
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
			const finish = outcome === 'failed' ? undefined : this.#begin(name, params as Record<string, string>);
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
	#begin(name: ShardRequestName, { roomId = '', linkId = '' }: Record<string, string>): () => object {
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
					this.origins.set(roomId, new Set());
					return { rtpCapabilities: {} };
				};
			}
			case 'origin.close':
				this.#opening.delete(roomId);
				this.origins.delete(roomId);
				return done;
			case 'edge.open':
				if (!this.edges.has(roomId)) {
					this.edges.set(roomId, { upstreams: [], current: undefined });
				}
				return done;
			case 'edge.close':
				this.edges.delete(roomId);
				return done;
			case 'upstream.create':
				return () => {
					this.#requireOpen(linkId);
					required(this.edges.get(roomId)).upstreams.push(linkId);
					return { ip: '127.0.0.1', port: 1 };
				};
			case 'upstream.connect':
				return () => {
					const edge = required(this.edges.get(roomId));
					const place = edge.upstreams.indexOf(linkId);
					if (place < 0) {
						throw unknown();
					}
					edge.upstreams.splice(0, place);
					edge.current = linkId;
					return {};
				};
			case 'upstream.close': {
				this.#closedLinks.add(linkId);
				const edge = this.edges.get(roomId);
				if (edge?.upstreams.includes(linkId)) {
					edge.upstreams.splice(edge.upstreams.indexOf(linkId), 1);
					edge.current = edge.current === linkId ? undefined : edge.current;
				}
				return done;
			}
			case 'downstream.create': {
				const origin = this.origins.get(roomId);
				return () => {
					this.#requireOpen(linkId);
					required(origin === this.origins.get(roomId) ? origin : undefined).add(linkId);
					return { ip: '127.0.0.1', port: 2, voices: [] };
				};
			}
			case 'downstream.close':
				this.#closedLinks.add(linkId);
				this.origins.get(roomId)?.delete(linkId);
				return done;
			case 'listener.join':
				return () => {
					required(this.edges.get(roomId));
					return { sdp: '', etag: '', listeners: 1, roomListeners: 1 };
				};
			default:
				return done;
		}
	}

	#requireOpen(linkId: string): void {
		if (this.#closedLinks.has(linkId)) {
			throw unknown();
		}
	}
}

/** Puts fake shards in and takes them away, with the real supervisor's events. */
export class FakeSupervisor extends EventEmitter<SupervisorEvents> {
	readonly fakes: (FakeShard | undefined)[];
	readonly #roles: readonly ShardRole[];
	readonly #fate: (name: ShardRequestName) => Fate;

	constructor(roles: readonly ShardRole[], fate: (name: ShardRequestName) => Fate) {
		super();
		this.#roles = roles;
		this.#fate = fate;
		this.fakes = roles.map((role, index) => new FakeShard(index, role, fate));
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
			const fake = new FakeShard(index, role, this.#fate);
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

const unknown = () => new SfuError('room_unknown', 'no such room here');

function required<T>(value: T | undefined): T {
	if (value === undefined) {
		throw unknown();
	}
	return value;
}
