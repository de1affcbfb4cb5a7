import { type Static, Type } from 'typebox';
import { ShardCalibration } from '../capacity/shard-calibration.ts';

/** A node's name within its cluster; also the first part of its session ids. */
export const NodeId = Type.String({ pattern: '^[a-z0-9-]{1,32}$' });

const Count = Type.Integer({ minimum: 0 });

/** How a listener shard gives way; see PressureLadder. */
export const ShardPressure = Type.Object({
	/** 0: not at all; 1 to 3: its packing floor's step; 4: nothing is left to pack, and it is pressed still. */
	level: Type.Integer({ minimum: 0, maximum: 4 }),
	/** 20 is none. */
	packingFloorMs: Type.Union([Type.Literal(20), Type.Literal(40), Type.Literal(60), Type.Literal(120)]),
	/** Why it changed last, and when. */
	reason: Type.Optional(Type.Union([Type.Literal('processor'), Type.Literal('packets'), Type.Literal('lag'), Type.Literal('calm'), Type.Literal('trial')])),
	since: Type.Optional(Type.String({ maxLength: 40 })),
});
export type ShardPressure = Static<typeof ShardPressure>;

/** One shard as its node reports it: what placement on other nodes needs to know. */
export const ShardReport = Type.Object({
	index: Count,
	role: Type.Union([Type.Literal('stage'), Type.Literal('listener')]),
	alive: Type.Boolean(),
	draining: Type.Boolean(),
	/** Listeners it has, and joins under way to it. */
	listeners: Count,
	joining: Count,
	maxListeners: Count,
	/** The busier one of its two processes, of one core: 0 to 1. */
	cpuRatio: Type.Number({ minimum: 0 }),
	/** The longest in the last second. */
	eventLoopLagMs: Type.Number({ minimum: 0 }),
	packetsPerSecond: Type.Number({ minimum: 0 }),
	/** Of a listener shard whose packing was ever changed by pressure. */
	pressure: Type.Optional(ShardPressure),
});
export type ShardReport = Static<typeof ShardReport>;

/** Of a room whose home the reporting node is. Versions tell others whether what they have of it is the latest. */
export const HomeReport = Type.Object({ epoch: Count, roomVersion: Count, stageVersion: Count });
export type HomeReport = Static<typeof HomeReport>;

/** A node's heartbeat: everything that others know of it. Grows with shards and rooms, never with listeners. */
export const NodeReport = Type.Object({
	nodeId: NodeId,
	/** Differs for each start of the process: a node that was restarted has none of what it had. */
	incarnation: Type.String({ minLength: 8, maxLength: 64 }),
	/** Grows by one with each heartbeat of an incarnation. */
	beat: Count,
	startedAt: Type.String({ maxLength: 40 }),
	/** Where other nodes reach it, e.g. `http://10.0.0.1:3100`. */
	internalUrl: Type.String({ maxLength: 512 }),
	/** Where people reach it, as configured; absent when it is not. */
	publicUrl: Type.Optional(Type.String({ maxLength: 2048 })),
	region: Type.Optional(Type.String({ maxLength: 64 })),
	/** Takes no new listeners and no homes. */
	draining: Type.Boolean(),
	shards: Type.Array(ShardReport, { maxItems: 512 }),
	/** Counts and reactions are told so many times less often; absent: as usual. */
	eventCadence: Type.Optional(Type.Union([Type.Literal(2), Type.Literal(4)])),
	/** Listeners it can let in a second, as things stand, and those who wait for that: in line, or told to come back. */
	joinsPerSecond: Type.Optional(Type.Number({ minimum: 0 })),
	waiting: Type.Optional(Count),
	/** Room → listeners on this node. */
	rooms: Type.Record(Type.String(), Count),
	/** Room → what this node, its home, knows of it. */
	homes: Type.Record(Type.String(), HomeReport),
	/** Shard index → which part (0 to 1) of its listeners is asked to move elsewhere by now; see `Drain`. */
	moving: Type.Record(Type.String(), Type.Number({ minimum: 0, maximum: 1 })),
	/** Node → joins that it handed to this one and that arrived here, since this one's start: so that the other can tell which are still on their way. */
	takenFrom: Type.Optional(Type.Record(Type.String(), Count)),
	/** What the capacity rule needs to know of its machine: memory is that which is free, and what its listeners take now. */
	machine: Type.Optional(Type.Object({ cores: Type.Number({ minimum: 0 }), memoryBytes: Type.Number({ minimum: 0 }), calibration: ShardCalibration })),
	/** Listeners it turns away, lately. */
	refusedPerSecond: Type.Optional(Type.Number({ minimum: 0 })),
	/** Whether Redis answers this node at present. */
	redis: Type.Boolean(),
});
export type NodeReport = Static<typeof NodeReport>;
