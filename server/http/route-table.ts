/** Which methods each path pattern takes; asked only for requests that found no route. */
export class RouteTable {
	readonly #patterns = new Map<string, { segments: string[]; methods: Set<string> }>();

	/** @param pattern a path as routes are declared: `/v1/rooms/:room`, `/assets/*` */
	add(method: string, pattern: string): void {
		// The catch-all that answers CORS preflights says nothing about which paths exist.
		if (pattern === '*' || pattern === '/*') return;
		let entry = this.#patterns.get(pattern);
		if (!entry) {
			entry = { segments: pattern.split('/'), methods: new Set() };
			this.#patterns.set(pattern, entry);
		}
		entry.methods.add(method);
	}

	/** Every route, as `GET /v1/rooms/:room`. */
	all(): string[] {
		return [...this.#patterns].flatMap(([pattern, { methods }]) => [...methods].map((method) => `${method} ${pattern}`));
	}

	/** Methods of the path, sorted, with OPTIONS, which every path answers; empty when no route has this path. */
	methodsOf(path: string): string[] {
		const segments = path.split('/');
		const methods = new Set<string>();
		for (const entry of this.#patterns.values()) {
			if (matches(entry.segments, segments)) for (const method of entry.methods) methods.add(method);
		}
		if (methods.size > 0) methods.add('OPTIONS');
		return [...methods].toSorted();
	}
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
	const open = pattern.at(-1) === '*';
	if (open ? path.length < pattern.length : path.length !== pattern.length) return false;
	return pattern.every((segment, index) => segment === '*' || (segment.startsWith(':') ? path[index] !== '' : segment === path[index]));
}
