import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pino from 'pino';
import type { Role } from '../../../auth/roles.ts';
import { loadConfig } from '../../../config/load.ts';
import { RostrumNode } from '../../../server/node.ts';
import { StageClient } from '../stage-client.ts';
import type { Caller, Row } from './matrix.ts';

export const ADMIN_TOKEN = 'an-admin-token-of-more-than-32-characters';
const DAY_SECONDS = 86_400;

export type Visibility = 'public' | 'private';
export type State = 'scheduled' | 'open' | 'live' | 'ended';

export interface Answer {
	status: number;
	code?: string;
	reason?: string;
	body: string;
}

/** A whole node with everything switched on, its rooms, and everybody who might ask something of it. */
export class AuthorisationWorld {
	readonly node: RostrumNode;
	readonly #dataDir: string;
	/** Room and caller → token. */
	readonly #tokens = new Map<string, Promise<string>>();
	#rooms = 0;

	static async start(mediaPort: number): Promise<AuthorisationWorld> {
		const dataDir = await mkdtemp(path.join(tmpdir(), 'rostrum-authorisation-'));
		const config = loadConfig({
			env: {
				ROSTRUM_HTTP_PORT: '0', ROSTRUM_DATA_DIR: dataDir, ROSTRUM_ADMIN_TOKEN: ADMIN_TOKEN, ROSTRUM_ROOMS_DEMO: 'false',
				ROSTRUM_LISTENER_SHARDS: '1', ROSTRUM_STAGE_SHARDS: '1', ROSTRUM_SFU_REHEARSAL_JOINS: '0', ROSTRUM_MEDIA_PORT: String(mediaPort),
				// One person asks a thousand times here.
				ROSTRUM_ADMISSION_JOINS_PER_ADDRESS: '100000', ROSTRUM_ADMISSION_JOINS_PER_TOKEN: '10000',
			},
			cores: 2,
			readFile: () => '',
		});
		return new AuthorisationWorld(await RostrumNode.start(config, pino({ level: 'silent' })), dataDir);
	}

	private constructor(node: RostrumNode, dataDir: string) {
		this.node = node;
		this.#dataDir = dataDir;
	}

	async close(): Promise<void> {
		await this.node.close('the test is over', 1_000);
		this.node.supervisor.killAll();
		await rm(this.#dataDir, { recursive: true, force: true });
	}

	async room(visibility: Visibility, state: State = 'live'): Promise<string> {
		const { rooms } = this.node;
		const { id } = await rooms.create({ id: `room-${++this.#rooms}`, title: 'A room', visibility, scheduledAt: new Date(Date.now() + 3_600_000).toISOString() });
		if (state !== 'scheduled') await rooms.transition(id, 'open');
		if (state === 'live' || state === 'ended') await rooms.transition(id, 'start');
		if (state === 'ended') await rooms.transition(id, 'end');
		return id;
	}

	/** Undefined for those who have none. */
	async token(caller: Caller, roomId: string): Promise<string | undefined> {
		if (caller === 'nobody') return undefined;
		const key = `${caller} ${roomId}`;
		let made = this.#tokens.get(key);
		if (made === undefined) {
			made = this.#make(caller, roomId);
			this.#tokens.set(key, made);
		}
		return made;
	}

	async #make(caller: Exclude<Caller, 'nobody'>, roomId: string): Promise<string> {
		switch (caller) {
			case 'admin':
				return (await this.issue('admin', undefined, 'admin')).token;
			case 'otherHost':
				return (await this.issue('host', await this.room('public', 'open'), 'other-host')).token;
			case 'expired':
				return (await this.issue('host', roomId, 'expired', Date.now() / 1_000 - 2 * DAY_SECONDS)).token;
			case 'revoked': {
				const { token, tokenId } = await this.issue('host', roomId, 'revoked');
				await this.#admin('POST', '/v1/admin/tokens/revoke', { tokenId });
				return token;
			}
			case 'banned': {
				const { token } = await this.issue('host', roomId, 'banned');
				await this.ban(roomId, token);
				return token;
			}
			default:
				return (await this.issue(caller, roomId, `the-${caller}`)).token;
		}
	}

	issue(role: Role, roomId: string | undefined, subject: string, nowSeconds = Date.now() / 1_000) {
		return this.node.issuer.issue({ role, ...(roomId === undefined ? {} : { roomId }), subject, name: subject, expiresInSeconds: DAY_SECONDS, nowSeconds: Math.floor(nowSeconds) });
	}

	/** A token of its own. */
	async fresh(role: Role, roomId: string, subject: string): Promise<string> {
		return (await this.issue(role, roomId, subject)).token;
	}

	/** On stage first, as those are who get banned. */
	async ban(roomId: string, token: string): Promise<void> {
		const client = await StageClient.connect(this.node.url, roomId, { token });
		const { participantId } = await client.welcome();
		await this.#admin('POST', `/v1/rooms/${roomId}/participants/${participantId}/ban`);
		await client.closed;
	}

	async #admin(method: string, url: string, body?: object): Promise<void> {
		const answer = await this.ask({ method, url, token: ADMIN_TOKEN, ...(body && { body }) });
		if (answer.status >= 300) throw new Error(`${method} ${url}: ${answer.status} ${answer.body}`);
	}

	/** One request, over the network as anybody's. */
	async ask({ method, url, token, body, raw, endless }: Pick<Row, 'body' | 'raw' | 'endless'> & { method: string; url: string; token?: string | undefined }): Promise<Answer> {
		const controller = new AbortController();
		const type = raw?.type ?? (body === undefined ? undefined : 'application/json');
		const response = await fetch(`${this.node.url}${url}`, {
			method,
			redirect: 'manual',
			signal: controller.signal,
			headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(type === undefined ? {} : { 'content-type': type }) },
			...(raw === undefined && body === undefined ? {} : { body: raw?.text ?? JSON.stringify(body) }),
		});
		const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json') === true;
		const text = endless && !isProblem ? '' : await response.text();
		controller.abort();
		const { code, reason } = isProblem ? (JSON.parse(text) as { code: string; reason?: string }) : {};
		return { status: response.status, ...(code === undefined ? {} : { code }), ...(reason === undefined ? {} : { reason }), body: text.slice(0, 300) };
	}

	/** On the stage of a room; gone when the socket is. */
	async stage(roomId: string, token: string): Promise<StageClient> {
		const client = await StageClient.connect(this.node.url, roomId, { token });
		await client.welcome();
		return client;
	}

	/** Off the stage, whoever asks first. */
	async leave(client: StageClient): Promise<void> {
		if (client.socket.readyState === client.socket.OPEN) client.sendRaw(JSON.stringify({ id: 1_000, method: 'leave', params: {} }));
		await client.closed;
	}
}
