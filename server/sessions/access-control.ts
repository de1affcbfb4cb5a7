import type { Logger } from 'pino';
import { type Revocation, Revocations } from '../../auth/revocations.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Membership } from '../cluster/membership.ts';
import type { PeerHandlers, Peers } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import type { RoomMedia } from '../programme/room-media.ts';
import { DiskRecordStore } from '../records/disk-record-store.ts';
import { RedisRecordStore } from '../records/redis-record-store.ts';
import { type RecordSharing, SharedRecords } from '../records/shared-records.ts';
import type { DiskRoomStore } from '../rooms/store/disk-store.ts';
import { readWebhook, type StoredWebhook, WEBHOOKS_KIND } from '../webhooks/webhook.ts';
import { SessionOwners } from './session-owners.ts';
import { readRevocation, REVOCATIONS_KIND, TokenRevocations } from './token-revocations.ts';

export interface AccessControlOptions {
	/** What the verifier and the issuer of this node look at. */
	index: Revocations;
	replica: DiskRoomStore;
	/** Undefined for a node that is alone. */
	membership: Pick<Membership, 'redis' | 'secretKeys'> | undefined;
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'node' | 'on' | 'off'>;
	peers: Peers;
	media: Pick<RoomMedia, 'endSessions'>;
	/** How long the longest token lives, tolerance included. */
	longestTokenSeconds: number;
	now: () => number;
	newId: () => string;
	schedule: (ms: number, task: () => void) => () => void;
	log: Logger;
}

/** What all nodes know of tokens that do not count any more, and of webhooks; and the end of what is open with such tokens. */
export class AccessControl {
	readonly owners: SessionOwners;
	readonly revocations: TokenRevocations;
	readonly webhooks: SharedRecords<StoredWebhook>;
	readonly #revoked: SharedRecords<Revocation>;

	static async open(options: AccessControlOptions): Promise<AccessControl> {
		const { index, media, view, peers, schedule, log, longestTokenSeconds, now, newId } = options;
		const owners = SessionOwners.create({ media, view, peers, isRevoked: (holder, roomId) => index.of(holder, roomId) !== undefined, schedule, log });
		const revoked = await openRecords(REVOCATIONS_KIND, readRevocation, options);
		const revocations = TokenRevocations.create({ records: revoked, index, owners, longestTokenSeconds, now, randomId: newId, log });
		const webhooks = await openRecords(WEBHOOKS_KIND, readWebhook, options);
		return new AccessControl(owners, revocations, webhooks, revoked);
	}

	private constructor(owners: SessionOwners, revocations: TokenRevocations, webhooks: SharedRecords<StoredWebhook>, revoked: SharedRecords<Revocation>) {
		this.owners = owners;
		this.revocations = revocations;
		this.webhooks = webhooks;
		this.#revoked = revoked;
	}

	get handlers(): Pick<PeerHandlers, 'endSessions' | 'putRecords'> {
		return {
			...this.owners.handlers,
			putRecords: async ({ kind, records }) => {
				const shared: Pick<SharedRecords<unknown>, 'take'> | undefined = kind === REVOCATIONS_KIND ? this.#revoked : kind === WEBHOOKS_KIND ? this.webhooks : undefined;
				if (!shared) throw new DomainError('not_found', 'Nodes of this version share no records of that kind');
				await shared.take(records);
				return {};
			},
		};
	}

	/** Idempotent. */
	async close(): Promise<void> {
		await Promise.all([this.#revoked.close(), this.webhooks.close()]);
	}
}

function openRecords<T>(kind: string, read: (value: unknown) => T | undefined, { replica, membership, view, peers, now, newId, schedule, log }: AccessControlOptions): Promise<SharedRecords<T>> {
	const sharing: RecordSharing | undefined = membership && { store: new RedisRecordStore(membership.redis, kind, now, newId), keys: membership.secretKeys, view, peers };
	return SharedRecords.open({ kind, disk: new DiskRecordStore(replica, kind, now), sharing, read, now, schedule, log: log.child({ part: 'records' }) });
}
