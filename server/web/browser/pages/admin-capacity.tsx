import type { FleetCapacity, NodeCapacity } from '../api/admin-types.ts';
import { formatDuration, formatNumber } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { Panel } from '../ui/admin-live-view.tsx';
import { Meter } from '../ui/admin-meter.tsx';
import { admin } from './admin-model.ts';

const LIMIT_TEXT: Readonly<Record<NodeCapacity['capacity']['limit'], TextKey>> = {
	cap: 'adminLimitCap',
	shards: 'adminLimitShards',
	processor: 'adminLimitProcessor',
	memory: 'adminLimitMemory',
};

const ofCapacity = (listeners: number, capacity: number): string => t('adminOf', { alive: formatNumber(listeners), total: formatNumber(capacity) });
const filled = (listeners: number, capacity: number): number => (capacity === 0 ? 1 : listeners / capacity);

const Fleet = ({ fleet }: { fleet: FleetCapacity }) => (
	<>
		<Meter label={t('adminPlacesTaken')} value={filled(fleet.listeners, fleet.capacity.listeners)} text={ofCapacity(fleet.listeners, fleet.capacity.listeners)} />
		<Meter label={t('adminHeadroom')} value={fleet.headroom.ratio} />
		<dl class="admin-facts">
			<dt>{t('adminJoinsPerSecond')}</dt>
			<dd>{formatNumber(fleet.joinsPerSecond)}</dd>
			<dt>{t('adminWaiting')}</dt>
			<dd>{formatNumber(fleet.waiting)}</dd>
			<dt>{t('adminRefusedPerSecond')}</dt>
			<dd>{formatNumber(fleet.refusedPerSecond, 1)}</dd>
		</dl>
		{fleet.nodes.length > 1 && (
			<ul class="admin-list">
				{fleet.nodes.map((node) => (
					<li key={node.node}>
						<Meter label={node.node} value={filled(node.listeners, node.capacity.listeners)} text={ofCapacity(node.listeners, node.capacity.listeners)} />
						<NodeNotes node={node} />
					</li>
				))}
			</ul>
		)}
		{fleet.nodes.length === 1 && fleet.nodes[0] !== undefined && <NodeNotes node={fleet.nodes[0]} />}
	</>
);

const NodeNotes = ({ node: { capacity, pressure, calibration, draining } }: { node: NodeCapacity }) => (
	<p class="quiet">
		{[
			t(LIMIT_TEXT[capacity.limit]),
			...(pressure.level > 0 ? [t('adminPressure', { ms: formatNumber(pressure.packingFloorMs) })] : []),
			...(draining ? [t('adminDraining')] : []),
			calibration.source === 'defaults' ? t('adminNotCalibrated') : t('adminCalibrated', { time: formatDuration((calibration.ageSeconds ?? 0) * 1_000) }),
		].join(' · ')}
	</p>
);

/** What the fleet holds, how much of it is taken, and what comes in. */
export const CapacityPanel = () => (
	<Panel id="capacity" title={t('adminCapacity')} live={admin.capacity()}>
		{(fleet) => (
			<>
				<p>{tCount('adminPlacesFree', fleet.headroom.listeners)}</p>
				<Fleet fleet={fleet} />
			</>
		)}
	</Panel>
);
