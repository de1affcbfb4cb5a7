import { useRef } from 'preact/hooks';
import type { Edge, LinkFigures, Placement } from '../api/admin-types.ts';
import { formatNumber, formatPercent } from '../locale/format.ts';
import { language, t, tCount } from '../locale/language.ts';
import { directionOf } from '../locale/text.ts';
import { BOX, branchesOf, drawTree, type PlacedBox, type TreeBranch } from './admin-tree-layout.ts';

/** Nothing for so long on a link: even a silent room sends something every 400 ms. */
const SILENT_MS = 3_000;
const LOSSY = 0.05;

/** A room's links: a drawing for the eye, and the same as a tree that keys and screen readers walk through. */
export const FanOutTree = ({ placement }: { placement: Placement }) => {
	const { root, floating } = branchesOf(placement.edges);
	const figures = new Map(placement.links.map((link) => [`${link.node} ${link.shard}`, link]));
	const figuresOf = ({ node, shard }: Edge): LinkFigures | undefined => figures.get(`${node} ${shard}`);
	const origin = placement.home === null ? t('adminNoHome') : t('adminOrigin', { node: placement.home.node, shard: shardText(placement.originShard) });
	return (
		<>
			<Drawing root={root} origin={placement.home?.node ?? ''} figuresOf={figuresOf} />
			<TreeList label={t('adminTree')}>
				<Branch branch={root} text={origin} level={1} figuresOf={figuresOf} />
				{floating.map((branch) => (
					<Branch key={`${branch.edge?.node} ${branch.edge?.shard}`} branch={branch} level={1} figuresOf={figuresOf} />
				))}
			</TreeList>
		</>
	);
};

const shardText = (shard: number | null): string => (shard === null ? '–' : formatNumber(shard));
const troubled = (link: LinkFigures | undefined): boolean => link !== undefined && (link.silentMs > SILENT_MS || link.lossRatio > LOSSY);

type FiguresOf = (edge: Edge) => LinkFigures | undefined;

const Drawing = ({ root, origin, figuresOf }: { root: TreeBranch<Edge>; origin: string; figuresOf: FiguresOf }) => {
	const { boxes, width, height } = drawTree(root);
	// SVG does not turn around with the text: the drawing is mirrored by its coordinates.
	const mirrored = directionOf(language.value) === 'rtl';
	const startOf = ({ x }: PlacedBox<Edge>): number => (mirrored ? width - x - BOX.width : x);
	const joint = (box: PlacedBox<Edge>, end: 'in' | 'out'): number => startOf(box) + ((end === 'out') === mirrored ? 0 : BOX.width);
	return (
		<div class="admin-tree-drawing">
			<svg viewBox={`-1 -1 ${width + 2} ${height + 2}`} width={width + 2} height={height + 2} aria-hidden="true" focusable="false">
				{boxes.map((box) => {
					const { branch, parent, y } = box;
					if (parent === undefined) {
						return null;
					}
					const [from, to] = [joint(parent, 'out'), joint(box, 'in')];
					const middle = (from + to) / 2;
					const bad = branch.edge !== undefined && troubled(figuresOf(branch.edge));
					return <path key={`${from} ${y}`} class={bad ? 'tree-link is-troubled' : 'tree-link'} d={`M${from} ${parent.y}C${middle} ${parent.y} ${middle} ${y} ${to} ${y}`} />;
				})}
				{boxes.map((box) => {
					const { edge, hidden } = box.branch;
					const middle = startOf(box) + BOX.width / 2;
					const [first, second] =
						edge !== undefined ? [edge.node, t('adminShard', { shard: formatNumber(edge.shard) })] : hidden > 0 ? [tCount('adminMoreShards', hidden), ''] : [origin, t('adminOriginShort')];
					return (
						<g key={`${box.x} ${box.y}`}>
							<rect class={edge === undefined && hidden === 0 ? 'tree-box is-origin' : 'tree-box'} x={startOf(box)} y={box.y - BOX.height / 2} width={BOX.width} height={BOX.height} rx="9" />
							<text x={middle} y={box.y - (second === '' ? -4 : 4)} text-anchor="middle">
								{first.length > 15 ? `${first.slice(0, 14)}…` : first}
							</text>
							<text class="tree-second" x={middle} y={box.y + 13} text-anchor="middle">
								{second}
							</text>
						</g>
					);
				})}
			</svg>
		</div>
	);
};

const Branch = ({ branch, text, level, figuresOf }: { branch: TreeBranch<Edge>; text?: string; level: number; figuresOf: FiguresOf }) => {
	const { edge, children } = branch;
	const link = edge && figuresOf(edge);
	const name = text ?? (edge === undefined ? '' : t('adminEdge', { node: edge.node, shard: formatNumber(edge.shard) }));
	const notes = [
		...(edge?.upstream === null ? [t('adminFloating')] : []),
		...(children.length > 0 && edge !== undefined ? [t('adminRelay')] : []),
		...(link === undefined
			? []
			: [
					t('adminLinkFigures', { loss: formatPercent(link.lossRatio, 1), jitter: formatNumber(link.jitterMs), lag: formatNumber(link.lagMs) }),
					...(link.silentMs > SILENT_MS ? [t('adminLinkSilent', { seconds: formatNumber(link.silentMs / 1_000) })] : []),
				]),
	];
	return (
		<li role="none">
			{/* Beside its branches and not around them: what it is called is what stands in it. */}
			<div role="treeitem" tabIndex={level === 1 && text !== undefined ? 0 : -1} aria-level={level} aria-expanded={children.length > 0 ? true : undefined}>
				<span class={troubled(link) ? 'tree-name is-troubled' : 'tree-name'}>{name}</span> <span class="quiet">{notes.join(' · ')}</span>
			</div>
			{children.length > 0 && (
				<ul role="group">
					{children.map((child) => (
						<Branch key={`${child.edge?.node} ${child.edge?.shard}`} branch={child} level={level + 1} figuresOf={figuresOf} />
					))}
				</ul>
			)}
		</li>
	);
};

/** Walked through with the arrow keys, Home and End (the tree pattern of the ARIA practices; all is unfolded); Tab enters at the origin, which never goes away. */
const TreeList = ({ label, children }: { label: string; children: preact.ComponentChildren }) => {
	const list = useRef<HTMLUListElement>(null);
	const walk = (event: KeyboardEvent) => {
		const items = [...(list.current?.querySelectorAll<HTMLElement>('[role=treeitem]') ?? [])];
		const at = items.findIndex((item) => item === document.activeElement);
		const back = directionOf(language.value) === 'rtl' ? 'ArrowRight' : 'ArrowLeft';
		const target =
			event.key === 'Home' ? items[0]
			: event.key === 'End' ? items.at(-1)
			: event.key === 'ArrowDown' ? items[at + 1]
			: event.key === 'ArrowUp' ? items[at - 1]
			: event.key === back ? items[at]?.closest('[role=group]')?.parentElement?.querySelector<HTMLElement>('[role=treeitem]')
			: event.key === 'ArrowLeft' || event.key === 'ArrowRight' ? items[at]?.nextElementSibling?.querySelector<HTMLElement>('[role=treeitem]')
			: undefined;
		if (at !== -1 && target) {
			event.preventDefault();
			target.focus();
		}
	};
	return (
		<ul ref={list} class="admin-tree" role="tree" aria-label={label} onKeyDown={walk}>
			{children}
		</ul>
	);
};
