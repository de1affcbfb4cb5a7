import type { Command } from 'commander';
import type { FleetCapacityNow } from '../../capacity/capacity-schemas.ts';
import type { Static } from 'typebox';
import type { Drain, NodeResource } from '../../http/schemas.ts';
import { CliFailure, segment } from './api-client.ts';
import { type CliContext, table, wholeNumber } from './cli-context.ts';
import { DrainWatch } from './drain-watch.ts';

type Node = Static<typeof NodeResource>;
type DrainState = Static<typeof Drain>;

const percent = (ratio: number): string => `${Math.round(ratio * 100)} %`;

/** rostrum nodes, capacity, drain, undrain, rebalance: the fleet. */
export function addNodes(program: Command, context: CliContext): void {
	program
		.command('nodes')
		.description('all living nodes and their shards')
		.action(async () => {
			const answer = await context.api.get<{ nodes: Node[] }>('/v1/admin/nodes');
			const rows = answer.nodes.flatMap((node) =>
				node.shards.map((shard) => [
					node.id,
					String(shard.index),
					shard.role,
					!shard.alive ? 'down' : shard.draining || node.draining ? 'draining' : 'up',
					shard.role === 'listener' ? `${shard.listeners}/${shard.maxListeners}` : '-',
					percent(shard.load),
					percent(shard.cpuRatio),
				]),
			);
			context.show(answer, () => table(['NODE', 'SHARD', 'ROLE', 'STATE', 'LISTENERS', 'LOAD', 'PROCESSOR'], rows));
		});

	program
		.command('capacity')
		.description('what the fleet holds, and how much of it is free')
		.action(async () => {
			const fleet = await context.api.get<FleetCapacityNow>('/v1/admin/capacity');
			const row = (name: string, { listeners, headroom, joinsPerSecond, waiting }: Omit<FleetCapacityNow, 'nodes' | 'packingMs' | 'capacity'>, capacity: number) => [
				name, String(listeners), String(capacity), percent(headroom.ratio), String(Math.round(joinsPerSecond)), String(waiting),
			];
			context.show(fleet, () =>
				table(['', 'LISTENERS', 'CAPACITY', 'FREE', 'JOINS/S', 'WAITING'], [...fleet.nodes.map((node) => row(node.node, node, node.capacity.listeners)), row('the fleet', fleet, fleet.capacity.listeners)]),
			);
		});

	program
		.command('drain <node>')
		.description('empty a node or a shard, unheard by those who listen; waits until it is empty')
		.option('--shard <index>', 'one shard only', wholeNumber('--shard'))
		.option('--deadline <seconds>', 'after this, sessions that did not move are ended', wholeNumber('--deadline'))
		.option('--no-wait', 'only begin')
		.action(async (node: string, { shard, deadline, wait }: { shard?: number; deadline?: number; wait: boolean }) => {
			const { api, world } = context;
			const begun = await api.send<DrainState>('POST', `/v1/admin/nodes/${segment(node)}/drain`, {
				...(shard === undefined ? {} : { shard }),
				...(deadline === undefined ? {} : { deadlineMs: deadline * 1_000 }),
			});
			const name = shard === undefined ? node : `${node} shard ${shard}`;
			if (!wait) {
				context.show(begun, () => `${name} is draining.`);
				return;
			}
			const watch = new DrainWatch({ world, name, quiet: context.json });
			const last = await watch.until(begun, async () => {
				const { drains } = await api.get<Node>(`/v1/admin/nodes/${segment(node)}`);
				return drains?.find((drain) => drain.shard === shard);
			});
			if (last === 'called off') throw new CliFailure(`the drain of ${name} was called off`);
			context.show(last === 'gone' ? { ...begun, state: 'drained' } : last, () => (last === 'gone' ? `${name} has gone.` : `${name} is drained.`));
		});

	program
		.command('undrain <node>')
		.description('call a drain off')
		.option('--shard <index>', 'one shard only', wholeNumber('--shard'))
		.action(async (node: string, { shard }: { shard?: number }) => {
			const state = await context.api.send<DrainState>('POST', `/v1/admin/nodes/${segment(node)}/undrain`, shard === undefined ? {} : { shard });
			context.show(state, () => `${shard === undefined ? node : `${node} shard ${shard}`} takes newcomers again.`);
		});

	program
		.command('rebalance')
		.description('even the fleet out once')
		.action(async () => {
			const result = await context.api.send<{ moves: { node: string; asked: number }[] }>('POST', '/v1/admin/rebalance');
			context.show(result, () => (result.moves.length === 0 ? 'It is even already.' : result.moves.map(({ node, asked }) => `${node}: ${asked} listeners are asked to move`).join('\n')));
		});
}
