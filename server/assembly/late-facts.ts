import type { OwnFacts } from '../cluster/membership.ts';
import type { OwnReport } from '../cluster/registry/node-registry.ts';

/** A membership is made before the parts that it speaks of; until they are there, it has nothing to say. */
export class LateFacts implements OwnFacts {
	#facts: OwnFacts | undefined;
	readonly #empty: OwnReport;

	constructor(internalUrl: string, startedAt: Date) {
		this.#empty = { startedAt: startedAt.toISOString(), internalUrl, draining: true, shards: [], rooms: {}, homes: {}, moving: {} };
	}

	complete(facts: OwnFacts): void {
		this.#facts = facts;
	}

	/** What every report begins with. */
	get base(): OwnReport {
		return this.#empty;
	}
	readonly report = (): OwnReport => this.#facts?.report() ?? this.#empty;
	readonly rooms = (): Iterable<string> => this.#facts?.rooms() ?? [];
	readonly needsHome = (roomId: string): boolean => this.#facts?.needsHome(roomId) ?? false;
	readonly behind: OwnFacts['behind'] = (roomId, stored) => this.#facts?.behind(roomId, stored);
}
