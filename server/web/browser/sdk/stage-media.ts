import { Device, type types } from 'mediasoup-client';
import type { RosterEntry, StageEvent, StageParams, StageResults } from '../../../stage/protocol.ts';
import { trusted } from './boundary.ts';
import { retryDelayMs, STAGE_BACKOFF } from './backoff.ts';
import { Emitter } from './emitter.ts';
import { asProblem } from './problem.ts';
import { StageHearing } from './stage-hearing.ts';
import type { StageSocket } from './stage-socket.ts';

export interface StageMediaEvents {
	/** `ready`: both directions work as far as this side can tell. */
	state: { state: 'off' | 'connecting' | 'ready' };
	blocked: Record<string, never>;
	/** Everybody on stage is heard by way of the stage: nothing else need play them. */
	hears: Record<string, never>;
}

type Direction = 'send' | 'recv';
type Capabilities = NonNullable<StageEvent<'welcome'>['rtpCapabilities']>;

/** 20 ms frames, always: the director needs a steady stream of levels, and repacking is the edge's business. */
const MICROPHONE_CODEC: types.ProducerCodecOptions = {
	opusStereo: false,
	opusFec: true,
	opusDtx: false,
	opusPtime: 20,
	opusMaxAverageBitrate: 40_000,
};

/** A person's media on stage: one transport to speak, one to hear the others at 20 ms. Heals what breaks. */
export class StageMedia extends Emitter<StageMediaEvents> {
	readonly #socket: StageSocket;
	readonly #random: () => number;
	readonly #transports = new Map<Direction, types.Transport>();
	readonly #hearing: StageHearing;
	readonly #attempts = new Map<Direction, number>();
	readonly #timers = new Map<Direction, ReturnType<typeof setTimeout>>();
	#device: { key: string; loaded: Promise<Device> } | undefined;
	#capabilities: Capabilities | undefined;
	#iceServers: RTCIceServer[] = [];
	#ownId = '';
	#track: MediaStreamTrack | undefined;
	#producer: types.Producer | undefined;
	/** The transport on which a producer is being made. */
	#producingOn: types.Transport | undefined;
	#muted = false;
	/** Grows with each rebuild; whatever an older one still finishes is thrown away. */
	#generation = 0;
	#state: StageMediaEvents['state']['state'] = 'off';

	constructor(socket: StageSocket, random: () => number) {
		super();
		this.#socket = socket;
		this.#random = random;
		this.#hearing = new StageHearing(socket, random);
		this.#hearing.on('blocked', () => this.emit('blocked', {}));
		this.#hearing.on('complete', () => this.emit('hears', {}));
	}

	get state(): StageMediaEvents['state']['state'] {
		return this.#state;
	}

	set volume(volume: number) {
		this.#hearing.volume = volume;
	}

	/** After a welcome: keeps transports that still work, makes anew what does not. */
	welcome({ participantId, resumed, mediaReady, rtpCapabilities, iceServers, roster }: StageEvent<'welcome'>): void {
		this.#ownId = participantId;
		this.#iceServers = iceServers;
		const ownMedia = roster.find(({ id }) => id === participantId)?.mediaId ?? null;
		const sendingHeld = this.#works('send') && (this.#track === undefined || (this.#producer !== undefined && ownMedia !== null));
		if (resumed && mediaReady && sendingHeld && this.#works('recv')) {
			this.#checkIce();
		} else {
			this.mediaChanged({ ready: mediaReady, rtpCapabilities });
		}
		this.#hearing.follow(roster, participantId);
	}

	/** The media server went away or is there (again). Both directions are rebuilt side by side, at once. */
	mediaChanged({ ready, rtpCapabilities }: StageEvent<'media'>): void {
		this.#tearDown();
		this.#capabilities = rtpCapabilities ?? undefined;
		if (ready && this.#capabilities !== undefined) {
			this.#setState('connecting');
			void this.#build('send');
			void this.#build('recv');
		} else {
			this.#setState('off');
		}
	}

	rosterChanged(roster: readonly RosterEntry[]): void {
		this.#hearing.follow(roster, this.#ownId);
	}

	/** What is sent; undefined: nothing. Needs no new negotiation once something was sent. */
	async setTrack(track: MediaStreamTrack | undefined): Promise<void> {
		const old = this.#track;
		this.#track = track?.clone();
		old?.stop();
		if (this.#producer !== undefined && !this.#producer.closed) {
			await this.#producer.replaceTrack({ track: this.#track ?? null });
			this.#applyMute();
		} else if (this.#works('send')) {
			const generation = this.#generation;
			await this.#produce(generation).catch((error: unknown) => this.#rebuildLater('send', generation, error));
		}
	}

	setMuted(muted: boolean): void {
		this.#muted = muted;
		this.#applyMute();
	}

	/** After `blocked`, in a user's click. */
	play(): void {
		this.#hearing.play();
	}

	close(): void {
		this.#tearDown();
		this.#capabilities = undefined;
		this.#track?.stop();
		this.#track = undefined;
		this.#setState('off');
	}

	#works(direction: Direction): boolean {
		const transport = this.#transports.get(direction);
		return transport !== undefined && !transport.closed && transport.connectionState !== 'failed';
	}

	/** Both directions share one device, and a media server that comes back has the capabilities it had. */
	#loadedDevice(capabilities: Capabilities): Promise<Device> {
		const key = JSON.stringify(capabilities);
		if (this.#device?.key !== key) {
			const load = async (): Promise<Device> => {
				const device = new Device();
				await device.load({ routerRtpCapabilities: trusted<types.RtpCapabilities>(capabilities) });
				return device;
			};
			const entry = { key, loaded: load() };
			this.#device = entry;
			entry.loaded.catch(() => {
				if (this.#device === entry) {
					this.#device = undefined;
				}
			});
		}
		return this.#device.loaded;
	}

	async #build(direction: Direction): Promise<void> {
		const generation = this.#generation;
		const capabilities = this.#capabilities;
		clearTimeout(this.#timers.get(direction));
		if (capabilities === undefined || !this.#socket.ready) {
			return;
		}
		try {
			const [device, parameters] = await Promise.all([
				this.#loadedDevice(capabilities),
				this.#socket.request('transport.create', { direction }),
			]);
			if (generation !== this.#generation) {
				return;
			}
			this.#transports.get(direction)?.close();
			const transport = this.#createTransport(device, direction, parameters);
			this.#transports.set(direction, transport);
			if (direction === 'send') {
				this.#producer = undefined;
				await this.#produce(generation);
			} else {
				this.#hearing.use(device, transport);
			}
			this.#settle();
		} catch (error) {
			this.#rebuildLater(direction, generation, error);
		}
	}

	#createTransport(device: Device, direction: Direction, parameters: StageResults['transport.create']): types.Transport {
		// mediasoup's own structures, which the protocol passes through.
		const options = trusted<types.TransportOptions>({ ...parameters, iceServers: this.#iceServers });
		const transport = direction === 'send' ? device.createSendTransport(options) : device.createRecvTransport(options);
		transport.on('connect', ({ dtlsParameters }, done, failed) => {
			this.#socket.request('transport.connect', { transportId: transport.id, dtlsParameters }).then(done).catch(failed);
		});
		transport.on('produce', ({ rtpParameters }, done, failed) => {
			this.#socket
				.request('produce', { transportId: transport.id, rtpParameters: trusted<StageParams<'produce'>['rtpParameters']>(rtpParameters) })
				.then(({ producerId }) => done({ id: producerId }))
				.catch(failed);
		});
		transport.on('connectionstatechange', () => this.#transportChanged(direction, transport));
		return transport;
	}

	#transportChanged(direction: Direction, transport: types.Transport): void {
		if (this.#transports.get(direction) !== transport) {
			return;
		}
		if (transport.connectionState === 'connected') {
			this.#attempts.delete(direction);
		} else if (transport.connectionState === 'disconnected') {
			void this.#restartIce(direction, transport);
		} else if (transport.connectionState === 'failed') {
			this.#setState('connecting');
			void this.#build(direction);
		}
	}

	/** Transports that broke while the socket was away could not ask for anything. */
	#checkIce(): void {
		for (const [direction, transport] of this.#transports) {
			if (transport.connectionState === 'disconnected') {
				void this.#restartIce(direction, transport);
			}
		}
	}

	async #restartIce(direction: Direction, transport: types.Transport): Promise<void> {
		try {
			const { iceParameters } = await this.#socket.request('transport.restartIce', { transportId: transport.id });
			await transport.restartIce({ iceParameters: trusted<types.IceParameters>(iceParameters) });
		} catch (error) {
			// Without a socket the next welcome looks after it.
			if (this.#transports.get(direction) === transport && asProblem(error).code !== 'not_connected') {
				this.#rebuildLater(direction, this.#generation, error);
			}
		}
	}

	async #produce(generation: number): Promise<void> {
		const transport = this.#transports.get('send');
		const track = this.#track;
		// A producer that is on its way takes the newest track when it is there.
		if (transport === undefined || track === undefined || this.#producingOn === transport) {
			return;
		}
		this.#producingOn = transport;
		let producer: types.Producer;
		try {
			producer = await transport.produce({ track, codecOptions: MICROPHONE_CODEC, stopTracks: false });
		} finally {
			if (this.#producingOn === transport) {
				this.#producingOn = undefined;
			}
		}
		if (generation !== this.#generation || this.#transports.get('send') !== transport) {
			producer.close();
			return;
		}
		this.#producer = producer;
		if (this.#track !== track) {
			await producer.replaceTrack({ track: this.#track ?? null });
		}
		this.#applyMute();
	}

	#applyMute(): void {
		const producer = this.#producer;
		if (producer === undefined || producer.closed) {
			return;
		}
		if (this.#muted) {
			producer.pause();
		} else {
			producer.resume();
		}
	}

	#rebuildLater(direction: Direction, generation: number, error: unknown): void {
		// A lost socket ends in a welcome, an absent media server in `media {ready}`: both rebuild by themselves.
		const { code } = asProblem(error);
		if (generation !== this.#generation || code === 'not_connected' || code === 'timeout') {
			return;
		}
		const attempt = this.#attempts.get(direction) ?? 0;
		this.#attempts.set(direction, attempt + 1);
		clearTimeout(this.#timers.get(direction));
		this.#timers.set(
			direction,
			setTimeout(
				() => {
					if (generation === this.#generation) {
						void this.#build(direction);
					}
				},
				retryDelayMs(attempt, this.#random, STAGE_BACKOFF),
			),
		);
	}

	#settle(): void {
		if (this.#works('send') && this.#works('recv')) {
			this.#setState('ready');
		}
	}

	#tearDown(): void {
		this.#generation++;
		for (const timer of this.#timers.values()) {
			clearTimeout(timer);
		}
		this.#hearing.stop();
		for (const transport of this.#transports.values()) {
			transport.close();
		}
		this.#transports.clear();
		this.#producer = undefined;
	}

	#setState(state: StageMediaEvents['state']['state']): void {
		if (this.#state !== state) {
			this.#state = state;
			this.emit('state', { state });
		}
	}
}
