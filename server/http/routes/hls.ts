import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { DomainError } from '../../errors.ts';
import { MASTER_NAME, MEDIA_NAME, type MediaObject, mediaObjectOf, renderMasterPlaylist, withToken } from '../../overflow/playlists.ts';
import type { RoomStream } from '../../overflow/room-stream.ts';
import { PART_MS, SEGMENT_MS } from '../../overflow/segments.ts';
import type { Room } from '../../rooms/room.ts';
import type { AppDeps } from '../deps.ts';
import { quoteEtag } from '../etag.ts';
import { requireEntry } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { media, problems, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';
import { requireDoorsOpen } from './listen.ts';

const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl';
const MEDIA_TYPE = 'audio/mp4';

/** A stream that has just been asked for has something to play by then. */
const START_MS = 5_000;
/** RFC 8216bis §6.2.5.2: a player may wait this long for what is to come next. */
const BLOCK_MS = 3 * SEGMENT_MS;
const PART_BLOCK_MS = 3 * PART_MS;
/** Nobody who knows the playlist asks for more than this ahead. */
const MAX_AHEAD = 2;

const Token = Type.Optional(Type.String({ minLength: 1, maxLength: 8_192, description: 'The token, where Authorization cannot be set; the addresses in playlists carry it on' }));
const Directive = (description: string) => Type.Optional(Type.String({ maxLength: 20, description }));
// Not strict: players and CDNs add members of their own.
const HlsQuery = Type.Object({ access_token: Token });
const MediaQuery = Type.Object({
	access_token: Token,
	_HLS_msn: Directive('Wait until the playlist has this media sequence number'),
	_HLS_part: Directive('… and this part of it'),
});

const ROOM_PROBLEMS = [...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'room_not_open', 'room_ended', 'overflow_unavailable', 'shutting_down'] as const;
const CACHE_HEADERS = { 'cache-control': Type.String({ description: 'Shared caches may keep it, unless the room is private' }) };

/** A room as low-latency HLS (RFC 8216bis), for those whom no shard has a place for and those who have nothing but an audio player. */
export function registerHlsRoutes(instance: FastifyInstance, { deps, bans }: RouteContext, overflow: NonNullable<AppDeps['overflow']>): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const tags = ['media'];
	const base = '/v1/rooms/:room/hls';

	/** Who asks may hear the room. */
	const enter = async (request: FastifyRequest, roomId: string): Promise<Room> => {
		const room = deps.rooms.require(roomId);
		await requireEntry(request, room, 'room:listen', bans);
		return room;
	};
	/** A stream that has ended is played to its end. */
	const streamOf = (room: Room): RoomStream => {
		const kept = overflow.kept(room.id);
		if (kept?.endedAtMs !== undefined) return kept;
		requireDoorsOpen(room, deps.now());
		return overflow.stream(room);
	};

	app.get(
		`${base}/${MASTER_NAME}`,
		{
			config: { queryToken: true },
			schema: {
				operationId: 'hlsMaster',
				summary: 'Hear a room by HLS',
				description: 'The multivariant playlist: AAC-LC, one rendition. For audio players, and for listeners who were refused with `no_capacity`. A public room needs no token.',
				tags,
				params: RoomParams,
				querystring: HlsQuery,
				response: { 200: media(PLAYLIST_TYPE, 'The playlist', CACHE_HEADERS), ...problems(...ROOM_PROBLEMS) },
			},
		},
		async (request, reply) => {
			const room = await enter(request, request.params.room);
			streamOf(room); // Begun while the player reads on.
			overflow.count('master');
			return sendPlaylist(reply, room, renderMasterPlaylist(overflow.bitrateKbps), request.query.access_token);
		},
	);

	app.get(
		`${base}/${MEDIA_NAME}`,
		{
			config: { queryToken: true },
			schema: {
				operationId: 'hlsPlaylist',
				summary: 'The media playlist of a room, with blocking reload',
				tags,
				params: RoomParams,
				querystring: MediaQuery,
				response: { 200: media(PLAYLIST_TYPE, 'The playlist', CACHE_HEADERS), ...problems(...ROOM_PROBLEMS) },
			},
		},
		async (request, reply) => {
			const room = await enter(request, request.params.room);
			const stream = streamOf(room);
			const { window } = stream;
			const wanted = readDirectives(request.query);
			overflow.count('playlist');
			stream.rates.count(wanted !== undefined, performance.now());
			if (!window.isPlayable && !(await stream.when(() => window.isPlayable || window.isEnded || stream.refusal !== undefined, START_MS))) {
				throw notYet();
			}
			if (stream.refusal && !window.isPlayable) throw stream.refusal;
			if (wanted) await reach(stream, wanted);
			return sendPlaylist(reply, room, window.playlist, request.query.access_token);
		},
	);

	app.get(
		`${base}/:object`,
		{
			config: { queryToken: true },
			schema: {
				operationId: 'hlsObject',
				summary: 'What playlists name: initialisation segments, segments and parts',
				description: 'An address has the same content for ever. The part that a playlist announces is answered when it is there.',
				tags,
				params: Type.Object({ ...RoomParams.properties, object: Type.String({ minLength: 1, maxLength: 80 }) }),
				querystring: HlsQuery,
				headers: Type.Object({ 'if-none-match': Type.Optional(Type.String({ maxLength: 1_000 })) }),
				response: {
					200: media(MEDIA_TYPE, 'Fragmented MP4', { ...CACHE_HEADERS, etag: Type.String() }),
					304: Type.Unsafe<unknown>({ type: 'null', description: 'As it was' }),
					...problems(...ROOM_PROBLEMS, 'not_found'),
				},
			},
		},
		async (request, reply) => {
			const room = await enter(request, request.params.room);
			const name = request.params.object;
			const object = mediaObjectOf(name);
			const body = object && (await find(streamOf(room), object));
			if (!object || !body) throw new DomainError('not_found', 'There is no such part of this stream (any more)');
			overflow.count(object.kind);
			const etag = quoteEtag(name.slice(0, name.lastIndexOf('.')));
			void reply.header('cache-control', `${scopeOf(room)}, max-age=3600, immutable`).header('etag', etag);
			if (request.headers['if-none-match']?.includes(etag) === true) return reply.code(304).send();
			return reply.type(MEDIA_TYPE).send(body);
		},
	);
}

/** @throws DomainError `invalid_request` */
function readDirectives({ _HLS_msn: msn, _HLS_part: part }: { _HLS_msn?: string; _HLS_part?: string }): { msn: number; part?: number } | undefined {
	for (const value of [msn, part]) {
		if (value !== undefined && !/^\d{1,15}$/.test(value)) throw new DomainError('invalid_request', '_HLS_msn and _HLS_part are whole numbers');
	}
	if (msn === undefined) {
		if (part !== undefined) throw new DomainError('invalid_request', '_HLS_part needs _HLS_msn');
		return undefined;
	}
	return { msn: Number(msn), ...(part === undefined ? {} : { part: Number(part) }) };
}

/** Resolves when the playlist goes that far. @throws DomainError `invalid_request` for what lies too far ahead, `overflow_unavailable` when it does not come in time */
async function reach(stream: RoomStream, { msn, part }: { msn: number; part?: number }): Promise<void> {
	const { window } = stream;
	const last = window.segments.at(-1)?.msn ?? 0;
	if (!window.isEnded && msn > last + MAX_AHEAD) throw new DomainError('invalid_request', `_HLS_msn is too far ahead: the playlist ends with ${last}`);
	if (!(await stream.when(() => window.reaches(msn, part), BLOCK_MS))) throw notYet();
}

async function find(stream: RoomStream, object: MediaObject): Promise<Buffer | undefined> {
	const { window } = stream;
	switch (object.kind) {
		case 'init':
			return window.init(object.generation);
		case 'segment':
			return window.segment(object.msn, object.generation);
		default: {
			const { msn, part, generation } = object;
			const there = () => window.part(msn, part, generation);
			if (!there() && window.announces(msn, part, generation)) await stream.when(() => there() !== undefined || !window.announces(msn, part, generation), PART_BLOCK_MS);
			return there();
		}
	}
}

function sendPlaylist(reply: FastifyReply, room: Room, playlist: string, token: string | undefined): FastifyReply {
	// An address with a token has one holder, whatever the room.
	const scope = token === undefined ? scopeOf(room) : 'private';
	return reply.type(PLAYLIST_TYPE).header('cache-control', `${scope}, max-age=1`).send(token === undefined ? playlist : withToken(playlist, token));
}

const scopeOf = ({ visibility }: Room): string => (visibility === 'public' ? 'public' : 'private');

const notYet = (): DomainError => new DomainError('overflow_unavailable', 'The stream of this room is being made ready', { retryAfterSeconds: 1 });
