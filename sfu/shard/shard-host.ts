import type { types } from 'mediasoup';
import type { Logger } from 'pino';
import type { ShardRole } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import type { ShardAssignment, ShardEventName, ShardEvents } from '../contract/shard-protocol.ts';
import { Edge } from '../edge/edge.ts';
import { RoomEgresses } from '../egress/room-egresses.ts';
import { RoomRecordings } from '../egress/room-recordings.ts';
import type { LinkPorts } from '../link/link-ports.ts';
import { Origin } from '../stage/origin.ts';
import { spareShare } from '../edge/spare-rows.ts';
import { HeldUp } from './held-up.ts';
import { NodeWatch } from './node-watch.ts';
import type { ShardHandlers } from './request-server.ts';
import { MediaProbes } from '../session/media-probe.ts';
import { SessionTable } from '../session/session-table.ts';
import { ShardStatsSampler } from './shard-stats.ts';
import { openWebRtcServer, type TransportFactory, webRtcTransportFactory } from '../session/web-rtc-server.ts';

/**
 * One shared timer drives every director and voice of the shard. Directors make silence at the pace of speech; edges
 * only flush what waited in vain and cover a lost link, and each tick of a quiet shard costs a wake-up.
 */
const TICK_MS = { stage: 20, listener: 100 } as const;

export interface ShardHostOptions {
	worker: types.Worker;
	log: Logger;
	emit: <N extends ShardEventName>(name: N, data: ShardEvents[N]) => void;
	/** The node has been silent for as long as the assignment allows. Called once. */
	onNodeHung?: () => void;
}

interface Assigned extends ShardAssignment {
	transports: TransportFactory;
	sampler: ShardStatsSampler;
	sessions: SessionTable;
	nodeWatch: NodeWatch;
	heldUp: HeldUp;
}

/** All rooms' parts on this shard, and the requests that reach them. */
export class ShardHost {
	readonly #worker: types.Worker;
	readonly #log: Logger;
	readonly #emit: ShardHostOptions['emit'];
	readonly #onNodeHung: () => void;
	readonly #origins = new Map<string, Origin>();
	/** Rooms whose origin is being made, each with a mark of the attempt that counts. */
	readonly #opening = new Map<string, symbol>();
	readonly #edges = new Map<string, Edge>();
	readonly #egresses: RoomEgresses;
	readonly #recordings: RoomRecordings;
	readonly #probes: MediaProbes;
	/** Joins under way. */
	#joining = 0;
	#assigned: Assigned | undefined;
	#joinsTotal = 0;
	#joinsFailedTotal = 0;
	#closedPackets = { sent: 0, received: 0 };
	#ticker: NodeJS.Timeout | undefined;
	#closed = false;

	constructor({ worker, log, emit, onNodeHung = () => {} }: ShardHostOptions) {
		this.#worker = worker;
		this.#probes = new MediaProbes(worker);
		this.#log = log;
		this.#emit = emit;
		this.#onNodeHung = onNodeHung;
		this.#egresses = new RoomEgresses({ log, emit });
		this.#recordings = new RoomRecordings({ emit });
	}

	readonly handlers: Omit<ShardHandlers, 'shard.close' | 'shard.rehearse' | 'calibration.usage' | 'calibration.packets'> = {
		'shard.assign': async (assignment) => {
			if (this.#assigned) {
				throw new SfuError('wrong_role', 'this shard has its assignment already');
			}
			const server = await openWebRtcServer(this.#worker, assignment);
			const sampler = new ShardStatsSampler(this.#worker, TICK_MS[assignment.role], () => this.#counts(), (stats) => this.#emit('shard.stats', stats));
			this.#assigned = {
				...assignment,
				sampler,
				transports: webRtcTransportFactory(server, assignment),
				sessions: new SessionTable(assignment.connectTimeoutMs),
				nodeWatch: new NodeWatch(assignment.nodeSilenceMs, TICK_MS[assignment.role]),
				heldUp: new HeldUp(TICK_MS[assignment.role]),
			};
			this.#ticker = setInterval(() => this.#tick(), TICK_MS[assignment.role]);
			return {};
		},

		'shard.ping': () => {
			this.#assigned?.nodeWatch.heard();
			return {};
		},
		'shard.probe': ({ openMs }) => {
			this.#refuseWhenClosed();
			if (!this.#assigned) {
				throw new SfuError('wrong_role', 'this shard has no assignment yet');
			}
			return this.#probes.open(this.#assigned.transports, openMs);
		},

		'origin.open': async ({ roomId, voices, onAir, packingMs = 20 }) => {
			const assigned = this.#as('stage');
			const { transports, sessions, maxDownstreams } = assigned;
			this.#closeOrigin(roomId, 'opened again');
			const attempt = Symbol(roomId);
			this.#opening.set(roomId, attempt);
			const origin = await Origin.create({
				worker: this.#worker,
				roomId,
				voices,
				onAir,
				packingMs,
				transports,
				sessions,
				linkPorts: linkPortsOf(assigned),
				maxDownstreams,
				log: this.#log,
				emit: this.#emit,
			});
			if (this.#opening.get(roomId) !== attempt) {
				origin.close('overtaken');
				throw new SfuError('room_unknown', 'the origin was closed or opened again while it was made');
			}
			this.#opening.delete(roomId);
			this.#origins.set(roomId, origin);
			return { rtpCapabilities: origin.rtpCapabilities };
		},
		'origin.setOnAir': ({ roomId, onAir }) => {
			this.#origin(roomId).setOnAir(onAir);
			return {};
		},
		'origin.setPacking': ({ roomId, packingMs }) => {
			this.#origin(roomId).setPackingMs(packingMs);
			return {};
		},
		'origin.close': ({ roomId }) => {
			this.#opening.delete(roomId);
			this.#closeOrigin(roomId, 'room closed');
			return {};
		},
		'speaker.add': ({ roomId, participantId, number }) => {
			this.#origin(roomId).addSpeaker(participantId, number);
			return {};
		},
		'speaker.remove': ({ roomId, participantId }) => {
			this.#origin(roomId).removeSpeaker(participantId);
			return {};
		},
		'speaker.createTransport': ({ roomId, participantId, direction }) => this.#origin(roomId).speaker(participantId).createTransport(direction),
		'speaker.connectTransport': async ({ roomId, participantId, transportId, dtlsParameters }) => {
			await this.#origin(roomId).speaker(participantId).connectTransport(transportId, dtlsParameters);
			return {};
		},
		'speaker.restartIce': async ({ roomId, participantId, transportId }) => ({
			iceParameters: await this.#origin(roomId).speaker(participantId).restartIce(transportId),
		}),
		'speaker.produce': async ({ roomId, participantId, transportId, rtpParameters }) => ({
			producerId: await this.#origin(roomId).speaker(participantId).produce(transportId, rtpParameters),
		}),
		'speaker.setMuted': async ({ roomId, participantId, muted }) => {
			await this.#origin(roomId).speaker(participantId).setMuted(muted);
			return {};
		},
		'speaker.consume': ({ roomId, participantId, ofParticipantId, rtpCapabilities }) => {
			const origin = this.#origin(roomId);
			return origin.speaker(participantId).consume(origin.speaker(ofParticipantId), rtpCapabilities);
		},
		'speaker.publish': async ({ roomId, participantId, sessionId, offer, owner }) => {
			const answer = await this.#origin(roomId).speaker(participantId).publish(sessionId, offer);
			if (owner) {
				this.#sessionTable().own(sessionId, roomId, owner);
			}
			return answer;
		},

		'upstream.create': ({ roomId, linkId, srtp }) => this.#edge(roomId).createUpstream(linkId, srtp),
		'upstream.connect': async ({ roomId, linkId, remote, voices }) => {
			await this.#edge(roomId).connectUpstream(linkId, remote, voices);
			return {};
		},
		'upstream.close': ({ roomId, linkId }) => {
			this.#edges.get(roomId)?.closeUpstream(linkId, 'closed by the node');
			return {};
		},
		'downstream.create': ({ roomId, linkId, remote }) =>
			(this.#assigned?.role === 'listener' ? this.#edge(roomId) : this.#origin(roomId)).createDownstream(linkId, remote),
		'downstream.close': ({ roomId, linkId }) => {
			(this.#origins.get(roomId) ?? this.#edges.get(roomId))?.closeDownstream(linkId, 'closed by the node');
			return {};
		},

		'edge.open': async ({ roomId, voices, packingMs, expectedListeners }) => {
			const assigned = this.#as('listener');
			const { transports, sessions, maxDownstreams } = assigned;
			if (!this.#edges.has(roomId)) {
				this.#edges.set(
					roomId,
					Edge.create({
						worker: this.#worker,
						roomId,
						voices,
						packingMs,
						transports,
						sessions,
						link: linkPortsOf(assigned),
						maxDownstreams,
						log: this.#log,
						emit: this.#emit,
					}),
				);
			}
			if (expectedListeners !== undefined) {
				this.#edge(roomId).expect(expectedListeners);
			}
			return {};
		},
		'edge.setPacking': ({ roomId, packingMs }) => {
			this.#edge(roomId).setPackingMs(packingMs);
			return {};
		},
		'edge.close': ({ roomId, reason }) => {
			const edge = this.#edges.get(roomId);
			if (edge) {
				this.#edges.delete(roomId);
				this.#egresses.edgeClosed(roomId);
				this.#recordings.edgeClosed(roomId);
				this.#closedPackets.received += edge.packetsReceived;
				this.#closedPackets.sent += edge.packetsSent;
				edge.close(reason);
			}
			return {};
		},
		'listener.join': async ({ roomId, sessionId, offer, packingMs, owner }) => {
			const { maxListeners, sessions } = this.#as('listener');
			this.#joining++;
			try {
				const edge = this.#edge(roomId);
				// With those under way, this one among them: a place is taken before it is granted.
				if (sessions.size + this.#joining > maxListeners) {
					throw new SfuError('shard_full', 'this shard has as many listeners as it may have');
				}
				const answer = await edge.join(sessionId, offer, packingMs);
				if (owner) {
					sessions.own(sessionId, roomId, owner);
				}
				this.#joinsTotal++;
				return { ...answer, listeners: sessions.size, roomListeners: edge.listeners };
			} catch (error) {
				this.#joinsFailedTotal++;
				throw error;
			} finally {
				this.#joining--;
			}
		},

		'overflow.open': ({ roomId, ...stream }) => {
			this.#as('listener');
			this.#egresses.open(roomId, this.#edge(roomId), stream);
			return {};
		},
		'overflow.close': ({ roomId, streamId }) => {
			this.#egresses.close(roomId, streamId);
			return {};
		},
		'recording.open': ({ roomId, ...stream }) => {
			this.#as('listener');
			this.#recordings.open(roomId, this.#edge(roomId), stream);
			return {};
		},
		'recording.close': ({ roomId, streamId }) => {
			this.#recordings.close(roomId, streamId);
			return {};
		},

		'session.patch': ({ sessionId, fragment, ifMatch }) => this.#sessionTable().require(sessionId).patch(fragment, ifMatch),
		'session.close': ({ sessionId }) => {
			this.#sessionTable().end(sessionId);
			return {};
		},
		'session.endOf': (match) => ({ ended: this.#sessionTable().endOf(match) }),
	};

	/** Somebody listens here or is on the way in, or a room has its stage here. */
	get isServing(): boolean {
		return this.#joining > 0 || (this.#assigned?.sessions.size ?? 0) > 0 || this.#origins.size > 0 || this.#opening.size > 0;
	}

	/** Ends every session, so that clients learn it from DTLS rather than from silence. */
	close(reason: string): void {
		this.#closed = true;
		this.#opening.clear();
		clearInterval(this.#ticker);
		this.#assigned?.sampler.close();
		this.#egresses.closeAll();
		this.#recordings.closeAll();
		for (const part of [...this.#origins.values(), ...this.#edges.values()]) {
			part.close(reason);
		}
	}

	#closeOrigin(roomId: string, reason: string): void {
		const origin = this.#origins.get(roomId);
		if (origin) {
			this.#origins.delete(roomId);
			this.#closedPackets.received += origin.packetsReceived;
			origin.close(reason);
		}
	}

	#tick(): void {
		const nowMs = performance.now();
		this.#assigned?.sampler.tick(nowMs);
		if (this.#assigned?.heldUp.tick(nowMs) !== true) {
			for (const origin of this.#origins.values()) {
				origin.tick(nowMs);
			}
			const { spareTransports = 0, maxListeners = 0, sessions, sampler } = this.#assigned ?? {};
			const share = spareShare(Math.min(spareTransports, maxListeners - (sessions?.size ?? 0)), this.#edges.size);
			for (const edge of this.#edges.values()) {
				edge.tick(nowMs, share, sampler?.isBusy ?? true);
			}
		}
		this.#egresses.tick(nowMs);
		this.#recordings.tick(nowMs);
		this.#assigned?.sessions.sweep(nowMs);
		if (this.#assigned?.nodeWatch.tick()) {
			this.#onNodeHung();
		}
	}

	#counts() {
		const counts = {
			listeners: 0,
			spareTransports: 0,
			rooms: {} as Record<string, number>,
			joinsTotal: this.#joinsTotal,
			joinsFailedTotal: this.#joinsFailedTotal,
			packetsSentTotal: this.#closedPackets.sent,
			packetsReceivedTotal: this.#closedPackets.received,
			links: [...this.#edges.values()].flatMap(({ linkStats }) => linkStats ?? []),
		};
		for (const [roomId, edge] of this.#edges) {
			counts.rooms[roomId] = edge.listeners;
			counts.listeners += edge.listeners;
			counts.spareTransports += edge.spareTransports;
			counts.packetsSentTotal += edge.packetsSent;
			counts.packetsReceivedTotal += edge.packetsReceived;
		}
		for (const origin of this.#origins.values()) {
			counts.packetsReceivedTotal += origin.packetsReceived;
		}
		return counts;
	}

	#as(role: ShardRole): Assigned {
		this.#refuseWhenClosed();
		if (this.#assigned?.role !== role) {
			throw new SfuError('wrong_role', `this is not a ${role} shard`);
		}
		return this.#assigned;
	}

	#sessionTable(): SessionTable {
		if (!this.#assigned) {
			throw new SfuError('wrong_role', 'this shard has no assignment yet');
		}
		return this.#assigned.sessions;
	}

	/** What would be made now nobody would take away again. */
	#refuseWhenClosed(): void {
		if (this.#closed) {
			throw new SfuError('shard_gone', 'this shard is closing');
		}
	}

	#origin(roomId: string): Origin {
		this.#refuseWhenClosed();
		const origin = this.#origins.get(roomId);
		if (!origin) {
			throw new SfuError('room_unknown', 'this room has no origin on this shard');
		}
		return origin;
	}

	#edge(roomId: string): Edge {
		this.#refuseWhenClosed();
		const edge = this.#edges.get(roomId);
		if (!edge) {
			throw new SfuError('room_unknown', 'this room has no edge on this shard');
		}
		return edge;
	}
}

const linkPortsOf = ({ linkPortMin, linkPortMax, linkAddress }: ShardAssignment): LinkPorts => ({ min: linkPortMin, max: linkPortMax, address: linkAddress });
