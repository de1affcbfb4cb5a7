// The stage socket of a real server on loopback, over stand-ins for media and store. `setUp` opens it, `tearDown` closes it.
import Fastify, { type FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';
import { AuthError } from '../../auth/auth-error.ts';
import type { Principal } from '../../auth/claims.ts';
import type { Role } from '../../auth/roles.ts';
import { registerProblems } from '../../server/http/plugins/problems.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import { StageService } from '../../server/stage/stage-service.ts';
import type { StageSocketLimits } from '../../server/stage/stage-session.ts';
import { registerStageSocket } from '../../server/stage/stage-socket.ts';
import { StageClient, type StageClientOptions } from './stage-client.ts';
import { FakeHomes, FakeMedia, FakeStore, recordingLog, VirtualClock } from './stage-fakes.ts';

export const ROOM = 'launch';
export const GRACE_MS = 10_000;
export const ICE_SERVERS = [{ urls: ['turn:turn.example.org'], username: 'u', credential: 'c' }];

export let clock: VirtualClock;
export let media: FakeMedia;
export let homes: FakeHomes;
export let store: FakeStore;
export let rooms: RoomDirectory;
export let stages: StageService;
export let log: ReturnType<typeof recordingLog>;
export let app: FastifyInstance;
export let origin: string;
export let clients: StageClient[];

/** Tokens in these tests read `role.subject` or `role.subject.room`. */
export const verifier = {
	async verify(bearer: string): Promise<Principal> {
		const [role, subject, roomId = ROOM] = bearer.split('.');
		if (!role || !subject) throw new AuthError('token_bad_signature', 'The signature is not good.');
		// A test that writes another role than these tests itself.
		return { subject, name: `Name of ${subject}`, role: role as Role, ...(role !== 'admin' && { roomId }), tokenId: 't', issuer: 'rostrum', expiresAt: 4e9 };
	},
};

export async function setUp(limits: Partial<StageSocketLimits> = {}): Promise<void> {
	clock = new VirtualClock();
	media = new FakeMedia();
	homes = new FakeHomes();
	store = new FakeStore();
	log = recordingLog();
	clients = [];
	let mediaIds = 0;
	const shared = { store, media, now: clock.now, schedule: clock.schedule, randomId: () => `media-${++mediaIds}`, log };
	rooms = await RoomDirectory.create({ store, now: clock.now, randomId: () => 'some-room', defaults: { voices: 3 } });
	await rooms.create({ id: ROOM, title: 'The announcement' });
	stages = StageService.create({ ...shared, rooms, homes, reconnectGraceMs: GRACE_MS, maxStageSize: 20 });
	homes.gain(ROOM, 1);
	app = Fastify({ forceCloseConnections: true });
	registerProblems(app);
	await registerStageSocket(app, { ...shared, stages, verifier, iceServers: () => ICE_SERVERS, maxStageSize: 20, limits });
	app.get('/healthz', async () => 'ok');
	await app.listen({ host: '127.0.0.1', port: 0 });
	// A listening TCP server has an address with a port.
	origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

export async function tearDown(): Promise<void> {
	for (const { socket } of clients) socket.terminate();
	await app.close();
}

export async function connect(token: string, options: StageClientOptions = {}): Promise<StageClient> {
	const client = await StageClient.connect(origin, ROOM, { token, ...options });
	clients.push(client);
	return client;
}

/** On stage, with the welcome taken. */
export async function enter(token: string): Promise<StageClient & { me: string }> {
	const client = await connect(token);
	const { participantId } = await client.welcome();
	return Object.assign(client, { me: participantId });
}

export const subjects = (): string[] => stages.roster(ROOM).map(({ subject }) => subject);
export const RTP_PARAMETERS = {
	codecs: [{ mimeType: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2, parameters: { useinbandfec: 1 } }],
	encodings: [{ ssrc: 1234 }],
	rtcp: { cname: 'c', reducedSize: true },
};
export const FINGERPRINT = { algorithm: 'sha-256' as const, value: Array.from({ length: 32 }, () => 'AB').join(':') };
