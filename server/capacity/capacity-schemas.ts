import { type Static, Type } from 'typebox';
import { ShardCalibration } from './shard-calibration.ts';

const Count = Type.Integer({ minimum: 0 });
const Rate = Type.Number({ minimum: 0 });
const strict = { additionalProperties: false } as const;

export const CapacityByPacking = Type.Object({ 20: Count, 40: Count, 60: Count, 120: Count }, { ...strict, description: 'Listeners held at each packing (ms of speech per packet)' });

/** 0 to 1: what an autoscaler goes by. */
const Headroom = Type.Object(
	{
		ratio: Type.Number({ minimum: 0, maximum: 1, description: 'Free part of what is held; less where processors work harder than the rule expects' }),
		listeners: Type.Integer({ minimum: 0, description: 'So many more' }),
	},
	strict,
);

const PackingMs = Type.Union([Type.Literal(20), Type.Literal(40), Type.Literal(60), Type.Literal(120)]);

const figures = {
	listeners: Type.Integer({ minimum: 0, description: 'Seated, and on the way in' }),
	headroom: Headroom,
	joinsPerSecond: Type.Number({ minimum: 0, description: 'Listeners it can let in a second, as things stand' }),
	waiting: Type.Integer({ minimum: 0, description: 'Listeners who wait to be let in' }),
	refusedPerSecond: Type.Number({ minimum: 0, description: 'Listeners turned away, lately' }),
};

export const NodeCapacityNow = Type.Object(
	{
		node: Type.String(),
		draining: Type.Boolean(),
		shards: Type.Integer({ minimum: 0, description: 'Listener shards that live and take people' }),
		...figures,
		capacity: Type.Object(
			{
				listeners: Type.Integer({ minimum: 0, description: 'Held at the packing of large rooms, by the capacity rule' }),
				limit: Type.Enum(['cap', 'shards', 'processor', 'memory'], { description: 'What runs out first' }),
				cap: Type.Integer({ minimum: 0, description: 'Allowed by configuration' }),
				byPacking: CapacityByPacking,
			},
			strict,
		),
		pressure: Type.Object({ level: Type.Integer({ minimum: 0, maximum: 4 }), packingFloorMs: PackingMs }, { ...strict, description: 'Of its shards the worst' }),
		calibration: Type.Object(
			{ ...ShardCalibration.properties, ageSeconds: Type.Optional(Rate) },
			{ ...strict, description: 'What the rule goes by' },
		),
	},
	strict,
);
export type NodeCapacityNow = Static<typeof NodeCapacityNow>;

export const FleetCapacityNow = Type.Object(
	{
		...figures,
		packingMs: Type.Union([Type.Literal(20), Type.Literal(40), Type.Literal(60), Type.Literal(120)], { description: 'The packing of large rooms, at which capacity is reckoned' }),
		capacity: Type.Object({ listeners: Count, cap: Count, byPacking: CapacityByPacking }, strict),
		nodes: Type.Array(NodeCapacityNow),
	},
	{ title: 'Capacity', ...strict },
);
export type FleetCapacityNow = Static<typeof FleetCapacityNow>;
