// The store's scripts, each in lua/<name>-<number of keys>.lua, where its arguments and replies are told.
import { asInteger, asList, asText, redisScript } from '../../cluster/redis/redis-script.ts';

const file = (name: string): URL => new URL(`lua/${name}.lua`, import.meta.url);
const change = (name: string) => redisScript(file(`${name}-6`), asInteger);

/** Scripts that change one room; their first arguments are those of lua/common.lua. */
export const CREATE_ROOM = change('create-room');
export const UPDATE_ROOM = change('update-room');
export const REMOVE_ROOM = change('remove-room');
export const SPEAKER_NUMBER = change('speaker-number');
export const BAN = change('ban');
export const UNBAN = change('unban');
export const SAVE_STAGE = change('save-stage');
export const RESTORE_ROOM = change('restore-room');

export const INDEX_ADD = redisScript(file('index-add-2'), asInteger);
export const INDEX_PRUNE = redisScript(file('index-prune-2'), asInteger);
export const GENERATION = redisScript(file('generation-1'), (reply) => asText(reply) ?? '');

const integer = (reply: unknown): number => Number(asText(reply) ?? 0);

/** How new Redis's copy of a room is; `createdAtMs` 0: it has none. */
export interface RoomHead {
	createdAtMs: number;
	version: number;
	/** Grows with each change to the bans. */
	bansVersion: number;
	stageEpoch: number;
	stageVersion: number;
	/** When the removed room of this id was made; 0: none was removed. */
	tombstoneMs: number;
	/** Of the numbers given to speakers. */
	highestNumber: number;
}

export const ROOM_HEAD = redisScript(file('room-head-6'), (reply): RoomHead => {
	const [createdAtMs, version, bansVersion, stageEpoch, stageVersion, tombstoneMs, highestNumber] = asList(reply).map(integer);
	return {
		createdAtMs: createdAtMs ?? 0,
		version: version ?? 0,
		bansVersion: bansVersion ?? 0,
		stageEpoch: stageEpoch ?? 0,
		stageVersion: stageVersion ?? 0,
		tombstoneMs: tombstoneMs ?? 0,
		highestNumber: highestNumber ?? 0,
	};
});

/** A room as Redis keeps it, still to be checked. */
export interface RawRoom {
	record: string | undefined;
	numbers: Record<string, number>;
	bans: string[];
	stageEpoch: number;
	roster: string | undefined;
	bansVersion: number;
	homeEpoch: number;
}

export const READ_ROOM = redisScript(file('read-room-6'), (reply): RawRoom => {
	const [record, numbers, bans, stageEpoch, roster, bansVersion, , homeEpoch] = asList(reply);
	const flat = asList(numbers).map((item) => asText(item) ?? '');
	const entries = flat.flatMap((subject, index): [string, number][] => (index % 2 === 0 ? [[subject, Number(flat[index + 1])]] : []));
	return {
		record: asText(record),
		numbers: Object.fromEntries(entries),
		bans: asList(bans).map((item) => asText(item) ?? ''),
		stageEpoch: integer(stageEpoch),
		roster: asText(roster),
		bansVersion: integer(bansVersion),
		homeEpoch: integer(homeEpoch),
	};
});
