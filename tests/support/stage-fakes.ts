// Stand-ins for what surrounds the stage, each of which a test can hold up or make fail at any step.
import { EventEmitter } from 'node:events';
import type { PackingMs, RtpCapabilities, TransportParameters } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../../server/errors.ts';
import type { RoomMedia, RoomMediaEvents, SessionCreated } from '../../server/programme/room-media.ts';
import type { HomesEvents } from '../../server/cluster/homes.ts';
import type { Room } from '../../server/rooms/room.ts';
import type { StageRoster, StageState } from '../../server/rooms/stage-roster.ts';
import type { Ban, RoomStore } from '../../server/rooms/store/room-store.ts';
import type { StageEvent, StageEventName, StageServerFrame } from '../../server/stage/protocol.ts';
import type { StageConnection, StageEnding } from '../../server/stage/stage-connection.ts';
import type { StageLog } from '../../server/stage/stage-log.ts';
import type { StageHomes, StageStore } from '../../server/stage/stage-store.ts';

/** A clock that only a test moves. */
export class VirtualClock {
	#nowMs = Date.parse('2026-05-24T20:00:00.000Z');
	readonly #tasks = new Set<{ atMs: number; task: () => void }>();

	readonly now = (): Date => new Date(this.#nowMs);

	readonly schedule = (ms: number, task: () => void): (() => void) => {
		const entry = { atMs: this.#nowMs + ms, task };
		this.#tasks.add(entry);
		return () => this.#tasks.delete(entry);
	};

	/** How many tasks wait. */
	get pending(): number {
		return this.#tasks.size;
	}

	/** Runs what falls due on the way, in order. */
	advance(ms: number): void {
		const untilMs = this.#nowMs + ms;
		for (;;) {
			const due = [...this.#tasks].filter(({ atMs }) => atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs)[0];
			if (!due) break;
			this.#tasks.delete(due);
			this.#nowMs = due.atMs;
			due.task();
		}
		this.#nowMs = untilMs;
	}
}

interface Held {
	arrived: () => void;
	outcome: Promise<void>;
}

/** A call that was held up: `reached` when it is made, going on when the test says so. */
export interface Hold {
	readonly reached: Promise<void>;
	release(): void;
	fail(error: Error): void;
}

/** Doors between a fake and its callers. */
export class Gates {
	readonly #held = new Map<string, Held[]>();
	/** Called for every call; lets a test put any delay before any of them. */
	delay: (name: string) => Promise<void> = async () => {};

	/** Holds up the next call of this name. */
	hold(name: string): Hold {
		const reached = Promise.withResolvers<void>();
		const outcome = Promise.withResolvers<void>();
		this.#held.set(name, [...(this.#held.get(name) ?? []), { arrived: reached.resolve, outcome: outcome.promise }]);
		return { reached: reached.promise, release: () => outcome.resolve(), fail: (error) => outcome.reject(error) };
	}

	async pass(name: string): Promise<void> {
		const held = this.#held.get(name)?.shift();
		held?.arrived();
		await this.delay(name);
		await held?.outcome;
	}
}

interface FakeSpeaker {
	number: number;
	muted: boolean;
	producing: boolean;
	sessionId: string | null;
}

export const FAKE_CAPABILITIES: RtpCapabilities = {
	codecs: [{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2, preferredPayloadType: 100, parameters: { useinbandfec: 1 } }],
	headerExtensions: [],
};

/** Media without workers: it knows who was added, and nothing may be left in it that is not on stage. */
export class FakeMedia extends EventEmitter<RoomMediaEvents> implements RoomMedia {
	readonly gates = new Gates();
	/** Every call as `name participantId …`. */
	readonly calls: string[] = [];
	readonly audience = new Map<string, number>();
	readonly #rooms = new Map<string, Map<string, FakeSpeaker>>();
	#originUp = true;
	#ids = 0;

	speakers(roomId: string): string[] {
		return [...(this.#rooms.get(roomId)?.keys() ?? [])].toSorted();
	}

	speaker(roomId: string, participantId: string): FakeSpeaker | undefined {
		return this.#rooms.get(roomId)?.get(participantId);
	}

	loseOrigin(roomId: string): void {
		this.#originUp = false;
		this.#rooms.delete(roomId);
		this.emit('originLost', { roomId });
	}

	regainOrigin(roomId: string): void {
		this.#originUp = true;
		this.emit('originReady', { roomId, rtpCapabilities: FAKE_CAPABILITIES });
	}

	async addSpeaker(room: Room, participantId: string, number: number): Promise<{ rtpCapabilities: RtpCapabilities }> {
		await this.#call('addSpeaker', participantId);
		const speakers = this.#rooms.get(room.id) ?? new Map<string, FakeSpeaker>();
		this.#rooms.set(room.id, speakers);
		if (!speakers.has(participantId)) speakers.set(participantId, { number, muted: false, producing: false, sessionId: null });
		return { rtpCapabilities: FAKE_CAPABILITIES };
	}

	async removeSpeaker(roomId: string, participantId: string): Promise<void> {
		await this.#call('removeSpeaker', participantId);
		const had = this.#rooms.get(roomId)?.get(participantId);
		this.#rooms.get(roomId)?.delete(participantId);
		if (had?.producing || had?.sessionId) this.emit('speakerMedia', { roomId, participantId, state: 'closed' });
	}

	async createTransport(roomId: string, participantId: string, direction: 'send' | 'recv'): Promise<TransportParameters> {
		await this.#call('createTransport', participantId, direction);
		this.#known(roomId, participantId);
		return {
			id: `t${++this.#ids}`,
			iceParameters: { usernameFragment: 'u', password: 'p', iceLite: true },
			iceCandidates: [],
			dtlsParameters: { role: 'auto', fingerprints: [] },
		};
	}

	async connectTransport(roomId: string, participantId: string, transportId: string): Promise<void> {
		await this.#call('connectTransport', participantId, transportId);
		this.#known(roomId, participantId);
	}

	async restartIce(roomId: string, participantId: string): Promise<{ usernameFragment: string; password: string; iceLite: boolean }> {
		await this.#call('restartIce', participantId);
		this.#known(roomId, participantId);
		return { usernameFragment: 'u2', password: 'p2', iceLite: true };
	}

	async produce(roomId: string, participantId: string): Promise<{ producerId: string }> {
		await this.#call('produce', participantId);
		this.#known(roomId, participantId).producing = true;
		this.emit('speakerMedia', { roomId, participantId, state: 'producing' });
		return { producerId: `producer-${++this.#ids}` };
	}

	async consume(roomId: string, participantId: string, ofParticipantId: string): Promise<{ consumerId: string; producerId: string; rtpParameters: { codecs: [] } }> {
		await this.#call('consume', participantId, ofParticipantId);
		this.#known(roomId, participantId);
		return { consumerId: `consumer-${++this.#ids}`, producerId: 'producer', rtpParameters: { codecs: [] } };
	}

	async setMuted(roomId: string, participantId: string, muted: boolean): Promise<void> {
		await this.#call('setMuted', participantId, String(muted));
		this.#known(roomId, participantId).muted = muted;
	}

	async publish(room: Room, participantId: string): Promise<SessionCreated> {
		await this.#call('publish', participantId);
		const speaker = this.#known(room.id, participantId);
		if (speaker.sessionId) throw new Error('the speaker has a session already');
		speaker.sessionId = `0-${++this.#ids}`;
		speaker.producing = true;
		this.emit('speakerMedia', { roomId: room.id, participantId, state: 'producing' });
		return { sessionId: speaker.sessionId, sdp: 'v=0', etag: '"1"' };
	}

	listenersIn(roomId: string): number {
		return this.audience.get(roomId) ?? 0;
	}

	listen(_room: Room, _offer: string, _packingMs?: PackingMs): Promise<SessionCreated> {
		return Promise.reject(new Error('nobody listens in these tests'));
	}
	patchSession(): Promise<{ etag: string }> {
		return Promise.reject(new Error('nobody patches in these tests'));
	}
	async closeSession(): Promise<void> {}
	async endSessions(): Promise<number> {
		return 0;
	}
	async roomChanged(): Promise<void> {}

	async #call(name: string, ...rest: string[]): Promise<void> {
		this.calls.push([name, ...rest].join(' '));
		await this.gates.pass(name);
		if (!this.#originUp) throw new DomainError('media_unavailable', 'The media server is starting again.');
	}

	#known(roomId: string, participantId: string): FakeSpeaker {
		const speaker = this.#rooms.get(roomId)?.get(participantId);
		if (!speaker) throw new DomainError('participant_not_found', 'Media does not know this speaker.');
		return speaker;
	}
}

/** Rooms, numbers and bans in memory. */
export class FakeStore implements RoomStore {
	readonly gates = new Gates();
	readonly #rooms = new Map<string, Room>();
	readonly #numbers = new Map<string, Map<string, number>>();
	readonly #bans = new Map<string, Ban>();
	readonly #values = new Map<string, string>();

	async createRoom(room: Room): Promise<void> {
		this.#rooms.set(room.id, room);
	}
	async updateRoom(room: Room): Promise<void> {
		await this.gates.pass('updateRoom');
		this.#rooms.set(room.id, room);
	}
	async removeRoom(roomId: string): Promise<void> {
		this.#rooms.delete(roomId);
		this.#numbers.delete(roomId);
	}
	async getRoom(roomId: string): Promise<Room | undefined> {
		return this.#rooms.get(roomId);
	}
	async listRooms(): Promise<Room[]> {
		return [...this.#rooms.values()];
	}
	async speakerNumber(roomId: string, subject: string): Promise<number> {
		await this.gates.pass('speakerNumber');
		const numbers = this.#numbers.get(roomId) ?? new Map<string, number>();
		this.#numbers.set(roomId, numbers);
		const number = numbers.get(subject) ?? numbers.size + 1;
		numbers.set(subject, number);
		return number;
	}
	async ban(ban: Ban): Promise<void> {
		await this.gates.pass('ban');
		this.#bans.set(`${ban.roomId}\n${ban.subject}`, ban);
	}
	async unban(roomId: string, subject: string): Promise<boolean> {
		return this.#bans.delete(`${roomId}\n${subject}`);
	}
	async isBanned(roomId: string, subject: string): Promise<boolean> {
		const banned = this.#bans.has(`${roomId}\n${subject}`);
		await this.gates.pass('isBanned');
		return banned;
	}
	async listBans(roomId: string): Promise<Ban[]> {
		return [...this.#bans.values()].filter((ban) => ban.roomId === roomId);
	}
	async getValue(key: string): Promise<string | undefined> {
		return this.#values.get(key);
	}
	async setValue(key: string, value: string): Promise<void> {
		this.#values.set(key, value);
	}
	async close(): Promise<void> {}
}

type EventFrame = Extract<StageServerFrame, { event: string }>;

/** Who is home of what, for the test to say. */
export class FakeHomes extends EventEmitter<HomesEvents> implements StageHomes {
	readonly #epochs = new Map<string, number>();

	epochOf(roomId: string): number | undefined {
		return this.#epochs.get(roomId);
	}
	gain(roomId: string, epoch: number, takenOver = true): void {
		this.#epochs.set(roomId, epoch);
		this.emit('gained', roomId, epoch, takenOver);
	}
	lose(roomId: string, reason: 'released' | 'fenced' = 'fenced'): void {
		const epoch = this.#epochs.get(roomId) ?? 0;
		this.#epochs.delete(roomId);
		this.emit('lost', roomId, epoch, reason);
	}
}

/** One store for the stages of several nodes: refuses epochs that are over. */
export class FakeStageStore implements StageStore {
	readonly gates = new Gates();
	/** Every write that was taken, oldest first. */
	readonly saved: (StageState & { roomId: string })[] = [];
	away = false;

	async saveStage(roomId: string, epoch: number, roster: StageRoster): Promise<void> {
		await this.gates.pass('saveStage');
		this.#requireThere();
		if (epoch < (this.latest(roomId)?.epoch ?? 0)) throw new DomainError('not_home', 'A later home has written.');
		this.saved.push({ roomId, epoch, roster });
	}
	async loadStage(roomId: string): Promise<StageState | undefined> {
		await this.gates.pass('loadStage');
		this.#requireThere();
		return this.latest(roomId);
	}
	latest(roomId: string): StageState | undefined {
		return this.saved.findLast((state) => state.roomId === roomId);
	}
	#requireThere(): void {
		if (this.away) throw new DomainError('store_unavailable', 'The store is away.');
	}
}

/** A wire that keeps what went over it. */
export class FakeConnection implements StageConnection {
	readonly iceServers = [];
	readonly pulseEveryMs = 1_000;
	readonly frames: EventFrame[] = [];
	ended: { ending: StageEnding; detail?: string } | null = null;

	deliver(frame: string): void {
		// Frames come from `encodeEvent` in this very process.
		if (!this.ended) this.frames.push(JSON.parse(frame) as EventFrame);
	}

	end(ending: StageEnding, detail?: string): void {
		this.ended ??= { ending, ...(detail !== undefined && { detail }) };
	}

	/** Data of all frames of one event, oldest first. */
	of<E extends StageEventName>(event: E): StageEvent<E>[] {
		return this.frames.flatMap((frame) => (frame.event === event ? [frame.data as StageEvent<E>] : []));
	}
}

/** Keeps what was logged as an error, so that a test can demand that there was none. */
export function recordingLog(): StageLog & { errors: { fields: object; message: string }[] } {
	const errors: { fields: object; message: string }[] = [];
	return { errors, debug() {}, info() {}, warn() {}, error: (fields, message) => void errors.push({ fields, message }) };
}
