// Where the boxes of a room's fan-out tree stand: pure, so that it can be tested without a page.

export interface TreeEdge {
	node: string;
	shard: number;
	/** Null: it has lost its upstream. */
	upstream: { node: string; shard: number | 'origin' } | null;
}

export interface TreeBranch<E extends TreeEdge> {
	/** Undefined: the origin, or edges that were left out. */
	edge: E | undefined;
	/** Edges that stand behind this one box. */
	hidden: number;
	children: TreeBranch<E>[];
}

export interface PlacedBox<E extends TreeEdge> {
	branch: TreeBranch<E>;
	/** Middle of its start edge, in pixels; x grows in reading direction. */
	x: number;
	y: number;
	parent: PlacedBox<E> | undefined;
}

export interface TreeDrawing<E extends TreeEdge> {
	width: number;
	height: number;
	boxes: readonly PlacedBox<E>[];
}

export const BOX = { width: 108, height: 44, gapX: 28, gapY: 12 } as const;
/** Edges below one upstream that get a box each; the rest is one box. A drawing of thirty shards says no more than their list. */
const MAX_CHILDREN = 10;

const keyOf = ({ node, shard }: { node: string; shard: number | 'origin' }): string => `${node} ${shard}`;

/** The edges below the origin, and those that hang on nothing. An edge whose upstream is not in the list hangs on nothing, too. */
export const branchesOf = <E extends TreeEdge>(edges: readonly E[]): { root: TreeBranch<E>; floating: TreeBranch<E>[] } => {
	const root: TreeBranch<E> = { edge: undefined, hidden: 0, children: [] };
	const branches = new Map(edges.map((edge) => [keyOf(edge), { edge, hidden: 0, children: [] } satisfies TreeBranch<E>] as const));
	const floating: TreeBranch<E>[] = [];
	for (const [key, branch] of branches) {
		const { upstream } = branch.edge;
		const above = upstream === null ? undefined : upstream.shard === 'origin' ? root : branches.get(keyOf(upstream));
		(above === undefined || keyOf(branch.edge) === (upstream && keyOf(upstream)) ? floating : above.children).push(branches.get(key) ?? branch);
	}
	return { root, floating };
};

/** As it is drawn: of many edges below one, the leaves that are too many become one box. */
const folded = <E extends TreeEdge>(branch: TreeBranch<E>): TreeBranch<E> => {
	const children = branch.children.toSorted((a, b) => b.children.length - a.children.length);
	if (children.length <= MAX_CHILDREN) {
		return { ...branch, children: children.map((child) => folded(child)) };
	}
	const shown = children.slice(0, MAX_CHILDREN - 1);
	const rest = children.slice(MAX_CHILDREN - 1);
	return { ...branch, children: [...shown.map((child) => folded(child)), { edge: undefined, hidden: rest.reduce((sum, child) => sum + countOf(child), 0), children: [] }] };
};

const countOf = <E extends TreeEdge>({ children }: TreeBranch<E>): number => 1 + children.reduce((sum, child) => sum + countOf(child), 0);

/** Depth goes in reading direction, edges of one upstream stand below each other; an upstream stands beside the middle of them. */
export const drawTree = <E extends TreeEdge>(root: TreeBranch<E>): TreeDrawing<E> => {
	const boxes: PlacedBox<E>[] = [];
	let rows = 0;
	let columns = 0;
	const place = (branch: TreeBranch<E>, depth: number, parent: PlacedBox<E> | undefined): PlacedBox<E> => {
		const box: PlacedBox<E> = { branch, x: depth * (BOX.width + BOX.gapX), y: 0, parent };
		boxes.push(box);
		columns = Math.max(columns, depth + 1);
		const below = branch.children.map((child) => place(child, depth + 1, box));
		const [first, last] = [below[0], below.at(-1)];
		box.y = first === undefined || last === undefined ? rows++ * (BOX.height + BOX.gapY) + BOX.height / 2 : (first.y + last.y) / 2;
		return box;
	};
	place(folded(root), 0, undefined);
	return { boxes, width: columns * BOX.width + (columns - 1) * BOX.gapX, height: rows * BOX.height + (rows - 1) * BOX.gapY };
};
