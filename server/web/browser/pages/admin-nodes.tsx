import { segment } from '../api/admin-api.ts';
import type { ClusterNode, Drain, Shard } from '../api/admin-types.ts';
import { formatInstant, formatNumber, formatPercent } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { Action } from '../ui/admin-ask.tsx';
import { LiveView } from '../ui/admin-live-view.tsx';
import { Meter } from '../ui/admin-meter.tsx';
import { now } from '../ui/now.ts';
import { drained, drainOf } from './admin-fleet.ts';
import { CapacityPanel } from './admin-capacity.tsx';
import { admin } from './admin-model.ts';

/** @param shard undefined: the whole node */
const command = (node: string, what: 'drain' | 'undrain', shard: number | undefined): Promise<boolean> =>
	admin.act(async (api) => {
		await api.send('POST', `/v1/admin/nodes/${segment(node)}/${what}`, shard === undefined ? {} : { shard });
		return t(what === 'drain' ? 'adminDrainStarted' : 'adminDrainEnded');
	}, admin.fleet());

const WAITING_TEXT: Readonly<Record<NonNullable<Drain['waiting']>, TextKey>> = {
	'no room elsewhere': 'adminWaitingPlaces',
	'a room has no home': 'adminWaitingHome',
	'listeners are slow to go': 'adminWaitingSlow',
};

const Progress = ({ drain, label }: { drain: Drain; label: string }) => (
	<div class="admin-drain" data-drain={drain.state}>
		<Meter progress label={label} value={drained(drain)} text={t(drain.state === 'drained' ? 'adminDrained' : 'adminDraining')} />
		<p class="quiet">
			{[
				tCount('adminListenersLeft', drain.listenersNow),
				...(drain.homesLeft > 0 ? [tCount('adminRoomsLeft', drain.homesLeft)] : []),
				...(drain.waiting === undefined ? [] : [t(WAITING_TEXT[drain.waiting])]),
				...(drain.state === 'draining' && drain.deadlineAt !== undefined ? [t('adminDeadline', { when: formatInstant(drain.deadlineAt, now.value) })] : []),
			].join(' · ')}
		</p>
		{/* Said once per state, not with every listener who goes. */}
		<span class="hidden" role="status">
			{`${label}: ${t(drain.state === 'drained' ? 'adminDrained' : 'adminDraining')}`}
		</span>
	</div>
);

const ShardCard = ({ node, shard }: { node: ClusterNode; shard: Shard }) => {
	const { index, role, alive, listeners, joining, maxListeners, pressure } = shard;
	const drain = drainOf(node, index);
	const name = t('adminShard', { shard: formatNumber(index) });
	return (
		<li class={alive ? 'admin-shard' : 'admin-shard is-dead'} data-shard={index}>
			<h4>
				{name} <span class="quiet">{t(role === 'stage' ? 'adminStageShard' : 'adminListenerShard')}</span>
			</h4>
			{!alive && <p class="notice">{t('adminShardDown')}</p>}
			<Meter label={t('adminLoad')} value={shard.load} />
			<p class="quiet">
				{[
					...(role === 'listener' ? [t('adminListenersOf', { listeners: formatNumber(listeners), max: formatNumber(maxListeners) })] : []),
					...(joining > 0 ? [tCount('adminJoining', joining)] : []),
					t('adminProcessor', { ratio: formatPercent(shard.cpuRatio) }),
					t('adminLag', { ms: formatNumber(shard.eventLoopLagMs, 1) }),
					tCount('adminPackets', Math.round(shard.packetsPerSecond)),
					...(pressure !== undefined && pressure.level > 0 ? [t('adminPressure', { ms: formatNumber(pressure.packingFloorMs) })] : []),
				].join(' · ')}
			</p>
			{drain !== undefined && <Progress drain={drain} label={t('adminDrainOf', { name })} />}
			{!node.draining &&
				(shard.draining ? (
					<Action act={() => command(node.id, 'undrain', index)} label={t('adminUndrainName', { name: `${node.id} ${name}` })}>
						{t('adminUndrain')}
					</Action>
				) : (
					<Action
						act={() => command(node.id, 'drain', index)}
						label={t('adminDrainName', { name: `${node.id} ${name}` })}
						question={{ text: t('adminDrainShardQuestion', { name: `${node.id} ${name}` }), confirm: t('adminDrainConfirm') }}
					>
						{t('adminDrain')}
					</Action>
				))}
		</li>
	);
};

const NodeCard = ({ node }: { node: ClusterNode }) => {
	const { id, self, region, startedAt, draining, redis, listeners, maxListeners, homes, shards } = node;
	const drain = drainOf(node, undefined);
	return (
		<section class="card admin-panel" aria-labelledby={`node-${id}`} data-node={id}>
			<div class="admin-head">
				<div class="admin-head-text">
					<h3 id={`node-${id}`}>
						<bdi>{id}</bdi>
					</h3>
					<p class="quiet">
						{[
							...(self ? [t('adminAnswering')] : []),
							...(region === undefined ? [] : [region]),
							t('adminUpSince', { when: formatInstant(startedAt, now.value) }),
							t('adminListenersOf', { listeners: formatNumber(listeners), max: formatNumber(maxListeners) }),
							// A node that is alone keeps no such list.
							...(Object.keys(homes).length > 0 ? [tCount('adminHomeCount', Object.keys(homes).length)] : []),
						].join(' · ')}
					</p>
					{!redis && <p class="notice">{t('adminNoRedis')}</p>}
				</div>
				{draining ? (
					<Action strong act={() => command(id, 'undrain', undefined)} label={t('adminUndrainName', { name: id })}>
						{t('adminUndrain')}
					</Action>
				) : (
					<Action act={() => command(id, 'drain', undefined)} label={t('adminDrainName', { name: id })} question={{ text: t('adminDrainQuestion', { name: id }), confirm: t('adminDrainConfirm') }}>
						{t('adminDrain')}
					</Action>
				)}
			</div>
			{drain !== undefined && <Progress drain={drain} label={t('adminDrainOf', { name: id })} />}
			<ul class="admin-shards">
				{shards.map((shard) => (
					<ShardCard key={shard.index} node={node} shard={shard} />
				))}
			</ul>
		</section>
	);
};

/** The fleet: nodes with their shards, emptying them, and evening the listeners out. */
export const NodesSection = () => {
	const rebalance = () =>
		admin.act(async (api) => {
			const { moves } = await api.send<{ moves: readonly { asked: number }[] }>('POST', '/v1/admin/rebalance');
			return tCount('adminRebalanced', moves.reduce((sum, { asked }) => sum + asked, 0));
		}, admin.fleet());
	return (
		<div class="columns admin-columns">
			<section class="stack" aria-labelledby="nodes-heading">
				<h2 id="nodes-heading">{t('adminNodes')}</h2>
				<LiveView live={admin.fleet()}>
					{(nodes) => (
						<>
							{nodes.map((node) => (
								<NodeCard key={node.id} node={node} />
							))}
							{nodes.length > 1 && (
								<div class="row wrap">
									<Action act={rebalance}>{t('adminRebalance')}</Action>
									<span class="quiet">{t('adminRebalanceHelp')}</span>
								</div>
							)}
						</>
					)}
				</LiveView>
			</section>
			<div class="stack">
				<CapacityPanel />
			</div>
		</div>
	);
};
