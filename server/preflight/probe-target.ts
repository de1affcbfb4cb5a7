import { type Static, Type } from 'typebox';
import { NodeId } from '../cluster/node-report.ts';

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const Host = Type.String({ minLength: 1, maxLength: 253 });

/** A shard's media port, made ready to answer whoever looks at it. */
export const MediaTarget = Type.Object({
	shard: Type.Integer({ minimum: 0, maximum: 9_999 }),
	usernameFragment: Type.String({ maxLength: 256 }),
	password: Type.String({ maxLength: 256 }),
	addresses: Type.Array(Type.Object({ protocol: Type.Enum(['udp', 'tcp']), host: Host, port: Port }), { maxItems: 64 }),
});
export type MediaTarget = Static<typeof MediaTarget>;

/** What other nodes must reach of a node. */
export const ProbeTarget = Type.Object({
	nodeId: NodeId,
	/** Browsers are told another address than the node has: from within, that one may not be reached although all is well. */
	announced: Type.Boolean(),
	media: Type.Array(MediaTarget, { maxItems: 512 }),
	/** A port of its links that sends back what begins with this key. */
	link: Type.Optional(Type.Object({ host: Host, port: Port, key: Type.String({ pattern: '^[0-9a-f]{32}$' }) })),
});
export type ProbeTarget = Static<typeof ProbeTarget>;
