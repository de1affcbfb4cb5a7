import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ClusterAdmin } from '../../cluster/cluster-admin.ts';
import { forwardingOf } from '../../cluster/peers/forwarded.ts';
import { DomainError } from '../../errors.ts';
import type { AppCluster } from '../deps.ts';
import { nodeResource, placementResource } from '../node-resource.ts';
import { homeAnswers } from '../plugins/at-home.ts';
import { requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { Drain, EndOfDrain, NewDrain, NoBody, NodeList, NodeParams, NodeResource, NoQuery, problems, Rebalance, RoomParams, RoomPlacement, TOKEN_PROBLEMS } from '../schemas.ts';

const NODE_PROBLEMS = [...TOKEN_PROBLEMS, 'node_not_found', 'peer_unreachable'] as const;
const BODY_PROBLEMS = ['payload_too_large', 'unsupported_media_type', 'shutting_down'] as const;

/** The nodes of the cluster, emptying them, and where rooms are. A node that is alone is a cluster of one. */
export function registerNodeRoutes(instance: FastifyInstance, { deps }: RouteContext, admin: ClusterAdmin): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const { cluster, rooms } = deps;
	const tags = ['operations'];

	/**
	 * The way to the node that is asked about; undefined when it is this one.
	 *
	 * @throws DomainError `node_not_found`
	 */
	const wayTo = (nodeId: string, request: FastifyRequest): AppCluster | undefined => {
		if (nodeId === admin.nodeId) return undefined;
		const known = admin.nodes().some((report) => report.nodeId === nodeId);
		if (!known || cluster === undefined || forwardingOf(request.raw) !== undefined) throw new DomainError('node_not_found', 'No living node has this name');
		return cluster;
	};
	/** Lets the named node answer when it is another one; says whether it did. */
	const answeredThere = async (request: FastifyRequest, reply: FastifyReply, nodeId: string): Promise<boolean> => {
		const way = wayTo(nodeId, request);
		await way?.forward(request, reply, nodeId);
		return way !== undefined;
	};

	app.get(
		'/v1/admin/nodes',
		{
			schema: {
				operationId: 'listNodes',
				summary: 'All living nodes with their shards, loads, rooms and homes',
				description: 'From memory, up to a second old. Links and drains are of the node that answers; ask for one node by name to get its own.',
				tags,
				querystring: NoQuery,
				response: { 200: { ...NodeList, description: 'The node that answers first' }, ...problems(...TOKEN_PROBLEMS, 'shutting_down') },
			},
		},
		async (request) => {
			requirePermission(request, 'admin:operate');
			return { nodes: admin.nodes().map((report) => nodeResource(report, admin)) };
		},
	);

	app.get(
		'/v1/admin/nodes/:node',
		{
			schema: {
				operationId: 'readNode',
				summary: 'One node, with its links and its drains',
				tags,
				params: NodeParams,
				querystring: NoQuery,
				response: { 200: { ...NodeResource, description: 'The node' }, ...problems(...NODE_PROBLEMS, 'shutting_down') },
			},
		},
		async (request, reply) => {
			requirePermission(request, 'admin:operate');
			if (await answeredThere(request, reply, request.params.node)) return reply;
			const own = admin.nodes().find(({ nodeId }) => nodeId === admin.nodeId);
			if (!own) throw new DomainError('node_not_found', 'No living node has this name');
			return nodeResource(own, admin);
		},
	);

	app.post(
		'/v1/admin/nodes/:node/drain',
		{
			schema: {
				operationId: 'drainNode',
				summary: 'Empty a node, or one of its shards',
				description:
					'It takes nobody new; listeners are asked in paced steps to move, which their pages do without a gap; rooms that live there move to other ' +
					'nodes. At the deadline, sessions that did not move are ended. Once more changes the deadline.',
				tags,
				params: NodeParams,
				querystring: NoQuery,
				body: NewDrain,
				response: { 202: { ...Drain, description: 'Under way' }, ...problems(...NODE_PROBLEMS, 'not_found', ...BODY_PROBLEMS) },
			},
		},
		async (request, reply) => {
			const principal = requirePermission(request, 'admin:operate');
			if (await answeredThere(request, reply, request.params.node)) return reply;
			const progress = admin.drain(request.body ?? {});
			request.log.info({ shard: request.body?.shard, by: principal.subject }, 'drain asked for');
			return reply.code(202).send(progress);
		},
	);

	app.post(
		'/v1/admin/nodes/:node/undrain',
		{
			schema: {
				operationId: 'undrainNode',
				summary: 'Call a drain off: who has not moved stays, and newcomers are taken again',
				tags,
				params: NodeParams,
				querystring: NoQuery,
				body: EndOfDrain,
				response: { 200: { ...Drain, description: 'As it is now' }, ...problems(...NODE_PROBLEMS, ...BODY_PROBLEMS) },
			},
		},
		async (request, reply) => {
			const principal = requirePermission(request, 'admin:operate');
			if (await answeredThere(request, reply, request.params.node)) return reply;
			const progress = admin.undrain(request.body ?? {});
			request.log.info({ shard: request.body?.shard, by: principal.subject }, 'drain called off');
			return reply.code(200).send(progress);
		},
	);

	app.post(
		'/v1/admin/rebalance',
		{
			schema: {
				operationId: 'rebalance',
				summary: 'Even the fleet out once: nodes above the mean ask a share of their listeners to move',
				description: 'Never happens by itself: newcomers go to the emptiest nodes anyway. Differences of fewer than ten listeners, or below 5 % of a node’s share, are left as they are.',
				tags,
				querystring: NoQuery,
				body: NoBody,
				response: { 202: { ...Rebalance, description: 'Who gives away how many' }, ...problems(...TOKEN_PROBLEMS, ...BODY_PROBLEMS) },
			},
		},
		async (request, reply) => {
			const principal = requirePermission(request, 'admin:operate');
			const result = await admin.rebalance();
			request.log.info({ moves: result.moves, by: principal.subject }, 'rebalance asked for');
			return reply.code(202).send(result);
		},
	);

	app.get(
		'/v1/admin/rooms/:room/placement',
		{
			schema: {
				operationId: 'readPlacement',
				summary: 'Where a room lives, and through which tree of links it reaches its listeners',
				description: 'Answered by the room’s home.',
				tags,
				params: RoomParams,
				querystring: NoQuery,
				response: {
					200: { ...RoomPlacement, description: 'As the home knows it' },
					...problems(...TOKEN_PROBLEMS, 'room_not_found', 'home_unavailable', 'not_home', 'shutting_down'),
				},
			},
		},
		async (request, reply) => {
			requirePermission(request, 'admin:operate');
			const { id } = rooms.require(request.params.room);
			const home = admin.homeOf(id);
			if (home !== undefined && home.nodeId !== admin.nodeId) {
				if (cluster === undefined || forwardingOf(request.raw) !== undefined) throw new DomainError('not_home', 'The room lives on another node now', { retryAfterSeconds: 1 });
				await homeAnswers(() => cluster.forward(request, reply, home.nodeId));
				return reply;
			}
			return placementResource(id, home, home && admin.placement(id), await admin.linksOf(id), admin.nodes());
		},
	);
}
