// People on and around a stage, over the real API, sockets, shards and workers.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { participantIdOf } from '../../server/rooms/stage-roster.ts';
import { PersonalFeed } from '../support/personal-feed.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { longSpeech } from '../support/speech/speech.ts';
import { HandshakeRefused, StageClient } from '../support/stage-client.ts';

interface Hand {
	version: number;
	raised: boolean;
	position: number | null;
	total: number;
	invitation: { by: string; expiresAt: string } | null;
	onStage: boolean;
	stage: { token: string; url: string } | null;
}

const ROOM = 'hall';

describe('people of a room', () => {
	let dataDir: string;
	let server: RostrumProcess;
	const open: { close(): unknown }[] = [];
	const start = async (): Promise<void> => {
		server = await RostrumProcess.start({ mediaPort: 29_600, dataDir, env: { ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_ROOMS_RECONNECT_GRACE_MS: '3000' } });
	};
	beforeAll(async () => {
		dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-people-'));
		await start();
		await server.room({ id: ROOM });
	});
	afterAll(async () => {
		for (const one of open) await one.close();
		await server?.stop('SIGKILL');
		rmSync(dataDir, { recursive: true, force: true });
	});

	const tokenOf = async (role: string, subject: string): Promise<string> => (await server.token(ROOM, role, subject, { subject })).token;
	const idOf = (subject: string): string => participantIdOf(ROOM, subject);
	const at = (what: string): string => `/v1/rooms/${ROOM}/${what}`;
	const hand = (token: string, query = ''): Promise<Hand> => server.json('GET', at(`hand${query}`), undefined, token);
	const raise = (token: string): Promise<Hand> => server.json('POST', at('hand'), { raised: true }, token);
	const code = async (answer: Promise<Response>): Promise<string> => {
		const response = await answer;
		return response.ok ? String(response.status) : `${response.status} ${((await response.json()) as { code: string }).code}`;
	};
	const onStage = async (token: string): Promise<StageClient> => {
		const client = await StageClient.connect(server.url, ROOM, { token });
		open.push(client);
		await client.welcome();
		return client;
	};
	const sdp = async (what: string, body: string, token: string): Promise<string> => {
		const answer = await fetch(new URL(at(what), server.url), { method: 'POST', body, headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` } });
		if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
		return answer.text();
	};
	const listen = async (token: string): Promise<RtcListener> => {
		const listener = await RtcListener.join((offer) => sdp('listen', offer, token));
		open.push(listener);
		return listener;
	};
	const numberOf = async (id: string): Promise<number> => {
		const { stage } = await server.json<{ stage: { id: string; number: number }[] }>('GET', `/v1/rooms/${ROOM}`);
		return stage.find((member) => member.id === id)?.number ?? 0;
	};

	it('come from a raised hand on air within 1.5 s, and go back among the listeners', async () => {
		const host = await onStage(await tokenOf('host', 'hana'));
		const [ann, others] = [await tokenOf('listener', 'ann'), await listen(await tokenOf('listener', 'otto'))];
		const up = await raise(ann);
		expect(up).toMatchObject({ raised: true, position: 1, total: 1, stage: null });
		const queue = await host.next('hands', ({ total }) => total === 1);
		expect(queue.hands).toEqual([{ id: idOf('ann'), name: 'ann', raisedAt: expect.any(String), invited: false, raised: true }]);

		const waiting = hand(ann, `?wait=6&version=${up.version}`);
		const promotedAtMs = performance.now();
		await host.request('participant.promote', { participantId: idOf('ann') });
		const { stage } = await waiting;
		expect(stage?.url).toContain(`/r/${ROOM}/stage#token=`);
		const token = stage?.token ?? '';
		const speaker = await RtcSpeaker.publish((offer) => sdp('publish', offer, token));
		open.push(speaker);
		speaker.talk(await longSpeech('alto'));
		await others.heard(await numberOf(idOf('ann')), { sinceMs: promotedAtMs, timeoutMs: 5_000 });
		const onAirMs = performance.now() - promotedAtMs;
		console.log(`  from the host's click to the first audio at a listener: ${Math.round(onAirMs)} ms`);
		expect(onAirMs).toBeLessThan(1_500);

		await host.request('participant.demote', { participantId: idOf('ann') });
		await expect(sdp('publish', 'v=0\r\n', token)).rejects.toThrow('off_stage');
		await expect(StageClient.connect(server.url, ROOM, { token })).rejects.toSatisfy((error) => error instanceof HandshakeRefused && error.status === 403 && error.body.includes('off_stage'));
		expect(await hand(ann)).toMatchObject({ onStage: false, stage: null });
		await host.close();
	});

	it('are invited, accept, and run the stage as the roles say that they have there', async () => {
		const host = await onStage(await tokenOf('host', 'hana'));
		const bob = await tokenOf('listener', 'bob');
		expect(await code(server.call('POST', at(`participants/${idOf('bob')}/invite`), undefined, bob))).toBe('403 forbidden');
		await host.request('participant.invite', { participantId: idOf('bob') });
		expect(await hand(bob)).toMatchObject({ raised: false, invitation: { by: 'hana' } });
		const { stage } = await server.json<Hand>('POST', at('invitation'), { accept: true }, bob);
		const token = stage?.token ?? '';
		const speaker = await onStage(token);

		expect(await code(server.call('GET', at('hands'), undefined, token))).toBe('403 forbidden');
		await host.request('participant.promote', { participantId: idOf('bob') });
		expect(await speaker.next('role')).toEqual({ role: 'cohost' });
		expect(await code(server.call('GET', at('hands'), undefined, token))).toBe('200');
		expect(await code(server.call('GET', at('bans'), undefined, token))).toBe('200');
		expect(await code(server.call('POST', at('end'), undefined, token))).toBe('403 forbidden');

		expect(await server.json('PUT', at('stage'), { locked: true, maxSize: 10, order: [idOf('bob')] }, token)).toEqual({ locked: true, maxSize: 10, recording: false, order: [idOf('bob')] });
		expect((await host.next('stage', ({ locked }) => locked)).roster[0]).toMatchObject({ id: idOf('bob'), role: 'cohost' });
		expect(await code(server.call('GET', at('stage'), undefined, await tokenOf('speaker', 'cleo')))).toBe('409 stage_locked');
		await speaker.request('stage.set', { locked: false });

		await host.vanish();
		// The grace period ends, and nobody but a co-host is there.
		expect(await speaker.next('role')).toEqual({ role: 'host' });
		expect(await code(server.call('POST', at('tokens'), { role: 'speaker', name: 'Dan' }, token))).toBe('201');
		await speaker.close();
	});

	it('who have no hand up hear of an invitation on their own streams alone, at once or when they are back', async () => {
		const host = await tokenOf('host', 'hana');
		const [kim, lou] = [await tokenOf('listener', 'kim'), await tokenOf('listener', 'lou')];
		const follow = async (token?: string): Promise<PersonalFeed> => {
			const feed = await PersonalFeed.open(server.url, ROOM, token);
			open.push(feed);
			return feed;
		};
		const [mine, others, anybody] = [await follow(kim), await follow(lou), await follow()];
		expect(await code(server.call('POST', at(`participants/${idOf('kim')}/invite`), undefined, host))).toBe('204');
		const [invitation] = await mine.heard(1);
		expect(invitation).toEqual({ by: 'hana', expiresAt: expect.any(String) });
		// A further stream is told with its first words, and so is one that comes back.
		const phone = await follow(kim);
		expect(await phone.heard(1)).toEqual([invitation]);
		expect(await code(server.call('POST', at('invitation'), { accept: false }, kim))).toBe('200');
		expect([await mine.heard(2), await phone.heard(2)]).toEqual([[invitation, null], [invitation, null]]);

		mine.close();
		expect(await code(server.call('POST', at(`participants/${idOf('kim')}/invite`), undefined, host))).toBe('204');
		const back = await follow(kim);
		await back.heard(1);
		const { stage } = await server.json<Hand>('POST', at('invitation'), { accept: true }, kim);
		const speaker = await onStage(stage?.token ?? '');
		expect(await back.heard(2)).toEqual([{ by: 'hana', expiresAt: expect.any(String) }, null]);
		expect([others.told, anybody.told]).toEqual([[], []]);
		await speaker.close();
	});

	it('who are banned are out of everything at once, on air or listening, until it is undone', async () => {
		const host = await tokenOf('host', 'hana');
		const eve = await tokenOf('listener', 'eve');
		const listener = await listen(eve);
		const events = await fetch(new URL(at(`events?access_token=${eve}`), server.url));
		await raise(eve);
		const speaking = await onStage(await tokenOf('speaker', 'mal'));

		const bannedAtMs = performance.now();
		expect(await code(server.call('POST', at(`participants/${idOf('eve')}/ban`), undefined, host))).toBe('204');
		expect(await code(server.call('POST', at(`participants/${idOf('mal')}/ban`), undefined, host))).toBe('204');
		expect(await speaking.closed).toEqual({ code: 4403, reason: 'banned' });
		await listener.closed();
		for await (const _ of events.body ?? []);
		expect(performance.now() - bannedAtMs).toBeLessThan(2_000);

		expect(await code(server.call('POST', at('hand'), { raised: true }, eve))).toBe('403 banned');
		expect(await code(server.call('GET', at('hand?wait=1&version=1'), undefined, eve))).toBe('403 banned');
		expect(await code(server.call('POST', at('invitation'), { accept: true }, eve))).toBe('403 banned');
		expect(await code(server.call('GET', at('events'), undefined, eve))).toBe('403 banned');
		expect(await code(server.call('GET', at('hls/index.m3u8'), undefined, eve))).toBe('403 banned');
		await expect(listen(eve)).rejects.toThrow('403');
		for (const role of ['speaker', 'host'] as const) {
			const token = await tokenOf(role, 'mal');
			await expect(StageClient.connect(server.url, ROOM, { token })).rejects.toMatchObject({ status: 403, code: 'banned' });
			await expect(sdp('publish', 'v=0\r\n', token)).rejects.toThrow('banned');
		}

		const { bans } = await server.json<{ bans: { subject: string; name: string; bannedBy: string }[] }>('GET', at('bans'), undefined, host);
		expect(bans).toMatchObject([{ subject: 'eve', name: 'eve', bannedBy: 'hana' }, { subject: 'mal', name: 'mal', bannedBy: 'hana' }]);
		expect(await code(server.call('DELETE', at('bans/eve'), undefined, await tokenOf('cohost', 'cora')))).toBe('403 forbidden');
		expect(await code(server.call('DELETE', at('bans/eve'), undefined, host))).toBe('204');
		expect(await code(server.call('DELETE', at('bans/eve'), undefined, host))).toBe('404 not_found');
		expect((await raise(eve)).raised).toBe(true);
		await listen(eve);
		expect(await code(server.call('POST', at('bans'), { subject: 'eve', name: 'Eve' }, host))).toBe('204');
		expect(await code(server.call('POST', at('hand'), { raised: true }, eve))).toBe('403 banned');
	});

	it('find lock, roles, hands and bans as they were when the process was killed', async () => {
		const host = await onStage(await tokenOf('host', 'hana'));
		const [fay, gus] = [await tokenOf('listener', 'fay'), await onStage(await tokenOf('speaker', 'gus'))];
		await host.request('participant.promote', { participantId: idOf('gus') });
		await host.request('stage.set', { locked: true });
		await gus.next('role');
		expect(await code(server.call('POST', at('bans'), { subject: 'ida' }, await tokenOf('cohost', 'cora')))).toBe('204');
		// A hand that was acknowledged is on disk, and all that came before it.
		const before = await raise(fay);
		await server.stop('SIGKILL');
		await start();

		expect(await hand(fay)).toEqual(before);
		const again = await StageClient.connect(server.url, ROOM, { token: await tokenOf('speaker', 'gus') });
		open.push(again);
		expect(await again.welcome()).toMatchObject({ role: 'cohost', locked: true });
		expect(await again.request('hands.list', {})).toMatchObject({ total: 1, hands: [{ id: idOf('fay'), name: 'fay' }] });
		expect(await code(server.call('GET', at('hand'), undefined, await tokenOf('listener', 'ida')))).toBe('403 banned');
	});
});
