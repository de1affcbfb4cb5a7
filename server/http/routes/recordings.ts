import { Readable } from 'node:stream';
import fastifyStatic from '@fastify/static';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { forwardingOf } from '../../cluster/peers/forwarded.ts';
import { DomainError } from '../../errors.ts';
import { RecordingProblem } from '../../recording/recording-problem.ts';
import { AAC_FILE, CAPTIONS_FILE, Chapter, CHAPTERS_FILE, CHAPTERS_VTT_FILE, OPUS_FILE, RecordingId, type RecordingRecord, REPLAY_FILES, SpeakerTimeline } from '../../recording/recording-record.ts';
import type { FoundRecording } from '../../recording/recording-shelf.ts';
import { isRecording, type Room } from '../../rooms/room.ts';
import type { AppDeps } from '../deps.ts';
import { homeAnswers } from '../plugins/at-home.ts';
import { requireEntry, requirePermission } from '../plugins/auth.ts';
import type { RouteContext } from '../route-context.ts';
import { empty, HOME_PROBLEMS, media, NoBody, NoQuery, problems, QueryToken, RoomParams, TOKEN_PROBLEMS } from '../schemas.ts';

const strict = { additionalProperties: false } as const;
const Address = Type.String({ description: 'Path; of a private room it needs `access_token` where Authorization cannot be set' });

const RecordingSummary = Type.Object(
	{
		id: RecordingId,
		state: Type.Enum(['recording', 'processing', 'ready', 'failed'], { description: '`processing`: it is over, and being mixed' }),
		title: Type.String({ description: 'Of the room, when it was recorded' }),
		startedAt: Type.String({ format: 'date-time' }),
		endedAt: Type.Optional(Type.String({ format: 'date-time' })),
		expiresAt: Type.Optional(Type.String({ format: 'date-time', description: 'It is deleted then' })),
		durationMs: Type.Integer({ minimum: 0 }),
		incomplete: Type.Boolean({ description: 'A node that holds a part of it does not answer; that part is added when it does' }),
		failure: Type.Optional(Type.String()),
		problem: Type.Optional(Type.Object(RecordingProblem.properties, { ...strict, description: 'What hinders it at present; it goes on by itself when that is over. While `state` is `recording`, nothing is recorded meanwhile.' })),
	},
	strict,
);
type RecordingSummary = Static<typeof RecordingSummary>;

const RecordingResource = Type.Object(
	{
		...RecordingSummary.properties,
		speakers: Type.Array(SpeakerTimeline, { description: 'Who spoke, and when' }),
		chapters: Type.Array(Chapter),
		audio: Type.Array(Type.Object({ url: Address, type: Type.String(), bytes: Type.Integer() }, strict), { description: 'The same in several formats, the best first' }),
		captions: Type.Union([Type.Null(), Type.Object({ url: Address }, strict)], { description: 'WebVTT; null when nobody wrote any' }),
	},
	strict,
);

const RecordingParams = Type.Object({ ...RoomParams.properties, recording: RecordingId });
const READ_PROBLEMS = [...TOKEN_PROBLEMS, 'banned', 'room_not_found', 'recording_not_found', 'recording_unavailable', 'peer_unreachable'] as const;
const FILE_PROBLEMS = [...READ_PROBLEMS, 'range_not_satisfiable'] as const;
const START_PROBLEMS = [...TOKEN_PROBLEMS, ...HOME_PROBLEMS, 'room_not_found', 'room_ended', 'wrong_room_state', 'recording_unavailable', 'unsupported_media_type', 'shutting_down'] as const;
const DAY_MS = 86_400_000;
/** A recording may become longer, when a node comes back that holds a part; players ask whether it has. */
const MAX_AGE_SECONDS = 60;

/** Recording a room, and hearing it again. */
export async function registerRecordingRoutes(instance: FastifyInstance, { deps, bans }: RouteContext, recordings: NonNullable<AppDeps['recordings']>): Promise<void> {
	// Files are sent by address below, never by their path.
	await instance.register(fastifyStatic, { root: process.cwd(), serve: false });
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const tags = ['recordings'];
	const base = '/v1/rooms/:room/recordings';

	const enter = async (request: FastifyRequest, roomId: string): Promise<Room> => {
		const room = deps.rooms.require(roomId);
		await requireEntry(request, room, 'room:listen', bans);
		return room;
	};
	const find = async (room: Room, id: string): Promise<FoundRecording> => {
		const found = await orUnavailable(recordings.find(room, id));
		if (!found) throw new DomainError('recording_not_found', 'There is no such recording of this room');
		return found;
	};
	const summary = (room: Room, record: RecordingRecord): RecordingSummary => {
		const { id, title, startedAt, endedAt, durationMs, missing, failure, problem } = record;
		const { keepDays } = recordings;
		return {
			id,
			state: stateOf(room, record),
			title,
			startedAt,
			...(endedAt !== undefined && { endedAt }),
			...(endedAt !== undefined && keepDays > 0 && { expiresAt: new Date(Date.parse(endedAt) + keepDays * DAY_MS).toISOString() }),
			durationMs,
			incomplete: missing.length > 0,
			...(failure !== undefined && { failure }),
			...(problem !== undefined && { problem }),
		};
	};
	/** What runs is listed even where the node that has it does not answer. */
	const running = (room: Room): RecordingSummary[] =>
		isRecording(room) && room.recording ? [{ id: room.recording.id, state: 'recording', title: room.title, startedAt: room.recording.startedAt, durationMs: 0, incomplete: false }] : [];

	app.post(
		base,
		{
			config: { atHome: true },
			schema: {
				operationId: 'startRecording',
				summary: 'Record the room from now on',
				description: 'Hosts and admins, once the doors are open. Everybody in the room is told. One that runs already goes on and is answered with 200.',
				tags,
				params: RoomParams,
				querystring: NoQuery,
				body: NoBody,
				response: {
					200: { ...RecordingSummary, description: 'It runs already' },
					201: { ...RecordingSummary, description: 'It runs', headers: { location: { type: 'string' } } },
					...problems(...START_PROBLEMS),
				},
			},
		},
		async (request, reply) => {
			const { room: roomId } = request.params;
			requirePermission(request, 'room:state', roomId);
			deps.rooms.require(roomId);
			const { recording, begun } = await recordings.start(roomId);
			const { title } = deps.rooms.require(roomId);
			void reply.code(begun ? 201 : 200).header('location', `/v1/rooms/${roomId}/recordings/${recording.id}`);
			return { id: recording.id, state: 'recording' as const, title, startedAt: recording.startedAt, durationMs: 0, incomplete: false };
		},
	);

	app.post(
		`${base}/:recording/stop`,
		{
			config: { atHome: true },
			schema: {
				operationId: 'stopRecording',
				summary: 'Stop recording',
				description: 'Hosts and admins. The replay is mixed then. Stopping what does not run any more changes nothing. A recording ends with its room, too.',
				tags,
				params: RecordingParams,
				querystring: NoQuery,
				body: NoBody,
				response: { 200: { ...RecordingSummary, description: 'As it is now' }, ...problems(...START_PROBLEMS, 'recording_not_found', 'peer_unreachable') },
			},
		},
		async (request) => {
			const { room: roomId, recording: id } = request.params;
			requirePermission(request, 'room:state', roomId);
			deps.rooms.require(roomId);
			await recordings.stop(roomId, id);
			const room = deps.rooms.require(roomId);
			return summary(room, (await find(room, id)).record);
		},
	);

	app.get(
		base,
		{
			config: { queryToken: true },
			schema: {
				operationId: 'listRecordings',
				summary: 'Recordings of a room, the latest first',
				description: 'Of a public room everybody may hear them; of a private one whoever may listen.',
				tags,
				params: RoomParams,
				querystring: QueryToken,
				response: { 200: Type.Object({ recordings: Type.Array(RecordingSummary), partial: Type.Optional(Type.Boolean({ description: 'The bucket does not answer: there may be more' })) }, { ...strict, description: 'All that are kept' }), ...problems(...READ_PROBLEMS) },
			},
		},
		async (request) => {
			const room = await enter(request, request.params.room);
			const { found, partial } = await orUnavailable(recordings.list(room));
			const listed = found.map(({ record }) => summary(room, record));
			return { recordings: [...running(room).filter(({ id }) => !listed.some((each) => each.id === id)), ...listed], ...(partial && { partial }) };
		},
	);

	app.get(
		`${base}/:recording`,
		{
			config: { queryToken: true },
			schema: {
				operationId: 'readRecording',
				summary: 'A recording: who spoke when, chapters, and where to hear it',
				tags,
				params: RecordingParams,
				querystring: QueryToken,
				response: { 200: { ...RecordingResource, description: 'What there is' }, ...problems(...READ_PROBLEMS) },
			},
		},
		async (request) => {
			const room = await enter(request, request.params.room);
			const { record } = await find(room, request.params.recording);
			const { speakers, chapters, files, captions } = record;
			const url = (file: string) => `/v1/rooms/${room.id}/recordings/${record.id}/${file}`;
			const audio = isReady(record) ? [OPUS_FILE, AAC_FILE].map((file) => ({ url: url(file), type: file === OPUS_FILE ? 'audio/ogg; codecs=opus' : 'audio/mp4; codecs="mp4a.40.2"', bytes: files[file] ?? 0 })) : [];
			return { ...summary(room, record), speakers, chapters, audio, captions: captions ? { url: url(CAPTIONS_FILE) } : null };
		},
	);

	for (const [file, operationId, what] of [
		[OPUS_FILE, 'recordingOpus', 'The sound of a recording in Opus'],
		[AAC_FILE, 'recordingAac', 'The sound of a recording in AAC'],
		[CAPTIONS_FILE, 'recordingCaptions', 'What was written along while it was recorded, as WebVTT'],
		[CHAPTERS_FILE, 'recordingChapters', 'Chapters by speaker, as JSON'],
		[CHAPTERS_VTT_FILE, 'recordingChaptersVtt', 'Chapters by speaker, as WebVTT'],
	] as const) {
		const type = REPLAY_FILES[file] ?? 'application/octet-stream';
		app.get(
			`${base}/:recording/${file}`,
			{
				config: { queryToken: true },
				schema: {
					operationId,
					summary: what,
					description: 'Takes Range (RFC 9110 §14).',
					tags,
					params: RecordingParams,
					querystring: QueryToken,
					response: { 200: media(type, 'All of it'), 206: media(type, 'The piece that was asked for'), ...problems(...FILE_PROBLEMS) },
				},
			},
			async (request, reply) => {
				const room = await enter(request, request.params.room);
				const found = await find(room, request.params.recording);
				if (!isReady(found.record)) throw new DomainError('recording_not_found', 'This recording cannot be heard yet');
				const open = room.visibility === 'public' && request.query.access_token === undefined && request.headers.authorization === undefined;
				refuseBeyond(request, reply, found.record.files[file] ?? 0);
				void reply.header('cache-control', `${open ? 'public' : 'private'}, max-age=${MAX_AGE_SECONDS}`).type(type);
				return send(request, reply, found, file);
			},
		);
	}

	app.delete(
		`${base}/:recording`,
		{
			schema: {
				operationId: 'deleteRecording',
				summary: 'Delete a recording for good',
				description: 'Hosts and admins.',
				tags,
				params: RecordingParams,
				querystring: NoQuery,
				body: NoBody,
				response: { 204: empty('It is gone'), ...problems(...TOKEN_PROBLEMS, 'room_not_found', 'recording_not_found', 'recording_unavailable', 'wrong_room_state', 'unsupported_media_type') },
			},
		},
		async (request, reply) => {
			const { room: roomId, recording } = request.params;
			requirePermission(request, 'room:edit', roomId);
			await orUnavailable(recordings.remove(deps.rooms.require(roomId), recording));
			return reply.code(204).send();
		},
	);

	/** From this node's disk, the storage, or the node that has it. */
	async function send(request: FastifyRequest, reply: FastifyReply, { record, at }: FoundRecording, file: string): Promise<unknown> {
		if (at === 'disk') {
			return reply.sendFile(file, recordings.folder(record.roomId, record.id), { contentType: false, cacheControl: false, dotfiles: 'allow' });
		}
		if (at === 'storage') {
			const { range, 'if-none-match': ifNoneMatch } = request.headers;
			const method = request.method === 'HEAD' ? 'HEAD' : 'GET';
			const answer = await orUnavailable(recordings.storage?.open(record, file, { method, ...(range !== undefined && { range }), ...(ifNoneMatch !== undefined && { ifNoneMatch }) }) ?? Promise.resolve(undefined));
			if (!answer) throw new DomainError('recording_not_found', 'There is no such file of this recording');
			void reply.code(answer.status).headers(answer.headers);
			if (method === 'HEAD') {
				// Of what is not sent, the length is told all the same.
				void reply.hijack();
				reply.raw.writeHead(answer.status, reply.getHeaders() as Record<string, string>).end();
				return reply;
			}
			return reply.send(answer.body ?? Readable.from([]));
		}
		const { cluster } = deps;
		if (!cluster || forwardingOf(request.raw) !== undefined) throw new DomainError('recording_not_found', 'This recording is not here (any more)');
		void reply.removeHeader('cache-control');
		await homeAnswers(() => cluster.forward(request, reply, at.nodeId));
		return reply;
	}
}

const isReady = ({ state, files }: RecordingRecord): boolean => state === 'ready' || (state === 'stopped' && OPUS_FILE in files);

function stateOf(room: Room, record: RecordingRecord): RecordingSummary['state'] {
	if (isReady(record)) return 'ready';
	if (record.state === 'failed') return 'failed';
	return isRecording(room) && room.recording?.id === record.id ? 'recording' : 'processing';
}

/** @throws DomainError `range_not_satisfiable` for a piece that begins behind the file's end */
function refuseBeyond(request: FastifyRequest, reply: FastifyReply, bytes: number): void {
	const from = /^bytes=(\d+)-\d*$/.exec(request.headers.range ?? '')?.[1];
	if (from !== undefined && Number(from) >= bytes) {
		void reply.header('content-range', `bytes */${bytes}`);
		throw new DomainError('range_not_satisfiable', `The file has ${bytes} bytes`);
	}
}

/** A bucket that does not answer is nobody's bad request. */
async function orUnavailable<T>(work: Promise<T>): Promise<T> {
	try {
		return await work;
	} catch (error) {
		if (error instanceof DomainError) throw error;
		throw new DomainError('recording_unavailable', 'Recordings cannot be reached right now', { cause: error, retryAfterSeconds: 5 });
	}
}
