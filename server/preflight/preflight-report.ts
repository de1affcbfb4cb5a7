import { type Static, Type } from 'typebox';
import { CapacityByPacking, NodeCapacityNow } from '../capacity/capacity-schemas.ts';
import { Check } from './check.ts';

const Count = Type.Integer({ minimum: 0 });
const strict = { additionalProperties: false } as const;

export const NodeCheck = Type.Object({ node: Type.String({ description: 'The node that looked; * for the fleet as a whole' }), ...Check.properties }, strict);
export type NodeCheck = Static<typeof NodeCheck>;

/** What the fleet has for the audience, by the capacity rule. */
export const PreflightCapacity = Type.Object(
	{
		packingMs: Type.Union([Type.Literal(20), Type.Literal(40), Type.Literal(60), Type.Literal(120)], { description: 'At which this is reckoned' }),
		capacity: Type.Integer({ minimum: 0, description: 'Listeners the nodes that answered hold, those who are there now included' }),
		byPacking: CapacityByPacking,
		joinsPerSecond: Type.Number({ minimum: 0, description: 'As full as it is now' }),
		present: Type.Integer({ minimum: 0, description: 'Listeners who are there now' }),
		expectedListeners: Type.Optional(Count),
		withinSeconds: Type.Number({ minimum: 0 }),
		enough: Type.Optional(Type.Boolean({ description: 'Places for all who are expected, without a wait of more than 30 s; absent where nobody says how many' })),
		moreNodes: Type.Optional(Type.Integer({ minimum: 0, description: 'Nodes like these that are missing; absent where no number of them would do' })),
		overflowShare: Type.Number({ minimum: 0, maximum: 1, description: 'Part of those expected for whom there is no place: they hear the HLS stream' }),
		lastWaitSeconds: Type.Union([Type.Null(), Type.Number({ minimum: 0 })], { description: 'How long the last one waits who gets a place; null: for ever' }),
		nodes: Type.Array(Type.Pick(NodeCapacityNow, ['node', 'capacity', 'calibration'])),
	},
	strict,
);
export type PreflightCapacity = Static<typeof PreflightCapacity>;

export const PreflightReport = Type.Object(
	{
		ready: Type.Boolean({ description: 'No check failed' }),
		summary: Type.String({ description: 'The answer in plain sentences' }),
		checks: Type.Array(NodeCheck),
		capacity: PreflightCapacity,
	},
	{ title: 'Preflight', ...strict },
);
export type PreflightReport = Static<typeof PreflightReport>;
