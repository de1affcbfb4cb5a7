// How stage sockets come to their end.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { app, clock, connect, enter, GRACE_MS, homes, media, ROOM, setUp, stages, tearDown } from '../support/stage-socket-rig.ts';

beforeEach(() => setUp());

afterEach(() => tearDown());

describe('a socket', () => {
	it('that is lost can be taken up again within the grace period', async () => {
		const bob = await enter('speaker.bob');
		const ann = await enter('speaker.ann');
		await ann.request('mute', {});
		await ann.vanish();
		await bob.next('stage', ({ roster }) => roster[1]?.connection === 'reconnecting');
		clock.advance(GRACE_MS - 1);
		const again = await connect('speaker.ann');
		expect(await again.welcome()).toMatchObject({ participantId: ann.me, number: 2, resumed: true, roster: [{}, { muted: true, connection: 'connected' }] });
	});

	it('that stays lost gives up its place', async () => {
		const bob = await enter('speaker.bob');
		const ann = await enter('speaker.ann');
		await ann.vanish();
		await bob.next('stage', ({ roster }) => roster[1]?.connection === 'reconnecting');
		clock.advance(GRACE_MS);
		await bob.next('stage', ({ roster }) => roster.length === 1);
	});

	it('that goes while it is still being let in is only a lost one', async () => {
		const bob = await enter('speaker.bob');
		const door = media.gates.hold('addSpeaker');
		const ann = await connect('speaker.ann');
		await door.reached;
		await ann.vanish();
		// The server has seen the loss once it has answered somebody who came later.
		await bob.request('mute', {});
		door.release();
		await bob.next('stage', ({ roster }) => roster[1]?.connection === 'reconnecting');
		clock.advance(GRACE_MS);
		await bob.next('stage', ({ roster }) => roster.length === 1);
	});

	it('is replaced by a newer one of the same person', async () => {
		const old = await enter('speaker.ann');
		const fresh = await connect('speaker.ann');
		expect(await old.closed).toEqual({ code: 4408, reason: 'replaced' });
		expect(old.events.at(-1)).toMatchObject({ event: 'bye', data: { code: 'replaced', reconnect: false } });
		expect(await fresh.welcome()).toMatchObject({ participantId: old.me, resumed: true });
		expect(stages.roster(ROOM)).toMatchObject([{ connection: 'connected' }]);
	});

	it('that does not answer two pings is lost, one that does is not', async () => {
		const ann = await enter('speaker.ann');
		const mute = await connect('speaker.mute', { autoPong: false });
		await mute.welcome();
		for (let ping = 0; ping < 2; ping += 1) {
			const arrived = [ann, mute].map(({ socket }) => new Promise((resolve) => socket.once('ping', resolve)));
			clock.advance(10_000);
			await Promise.all(arrived);
			// Answers a frame later than the pong, so that the server has seen the pong.
			await ann.request('mute', {});
		}
		clock.advance(10_000);
		expect(await mute.closed).toMatchObject({ code: 1006 });
		await ann.next('stage', ({ roster }) => roster.some(({ connection }) => connection === 'reconnecting'));
		await expect(ann.request('unmute', {})).resolves.toEqual({});
	});

	it('is never silent for more than a second, and says nothing needless', async () => {
		const ann = await enter('speaker.ann');
		expect(ann.events[0]).toMatchObject({ event: 'welcome', data: { pulseEveryMs: 1_000, alternates: [] } });
		clock.advance(999);
		// Whatever is said counts.
		media.emit('talkers', { roomId: ROOM, talkers: [], dominant: null });
		await ann.next('talkers');
		clock.advance(999);
		await ann.request('mute', {});
		expect(ann.events.filter(({ event }) => event === 'pulse')).toEqual([]);
		clock.advance(1_000);
		await ann.next('pulse');
		clock.advance(1_000);
		await ann.next('pulse');
		await ann.vanish();
		await vi.waitFor(() => expect(stages.roster(ROOM)).toMatchObject([{ connection: 'reconnecting' }]));
		clock.advance(GRACE_MS);
		expect(clock.pending).toBe(0);
	});

	it('that belongs to a home that is lost is closed with 4307, to come back', async () => {
		const ann = await enter('speaker.ann');
		homes.emit('lost', ROOM, 1, 'fenced');
		expect(await ann.next('bye')).toMatchObject({ code: 'moved', reconnect: true });
		expect(await ann.closed).toEqual({ code: 4307, reason: 'moved' });
	});

	it('that reads too slowly is cut off, and nobody else', async () => {
		const slow = await enter('speaker.slow');
		const ann = await enter('speaker.ann');
		slow.socket.pause();
		const talkers = Array.from({ length: 3_000 }, (_, voice) => ({ number: 1_000_000 + voice, voice }));
		const lost = (): boolean => stages.roster(ROOM)[0]?.connection === 'reconnecting';
		// The kernel buffers some megabytes first; ann, who reads, sets the pace.
		for (let said = 0; said < 2_000 && !lost(); said += 1) {
			media.emit('talkers', { roomId: ROOM, talkers, dominant: said });
			await ann.next('talkers', ({ dominant }) => dominant === said);
		}
		expect(lost()).toBe(true);
		slow.socket.resume();
		expect(await slow.closed).toMatchObject({ code: 1006 });
		expect(ann.socket.readyState).toBe(ann.socket.OPEN);
	});
});

describe('the end of the server', () => {
	it('tells everybody to come back later', async () => {
		const ann = await enter('speaker.ann');
		stages.closeAll('maintenance');
		expect(await ann.closed).toEqual({ code: 1001, reason: 'shutting_down' });
		expect(ann.events.at(-1)).toEqual({ event: 'bye', data: { code: 'shutting_down', detail: 'maintenance', reconnect: true } });
	});

	it('is not held up by a client that does not answer the close', async () => {
		const ann = await enter('speaker.ann');
		ann.socket.pause();
		const timers = clock.pending;
		const closing = app.close();
		// The client's side is paused, so only the server's time-out can end it.
		await expect.poll(() => clock.pending).toBeGreaterThan(timers);
		const closed = closing.then(() => 'closed');
		expect(await Promise.race([closed, new Promise((resolve) => setImmediate(() => resolve('open')))])).toBe('open');
		clock.advance(2_000);
		expect(await closed).toBe('closed');
	});

	it('comes with a word even when nobody told the stages before', async () => {
		const ann = await enter('speaker.ann');
		await app.close();
		expect(await ann.closed).toEqual({ code: 1001, reason: 'shutting_down' });
		expect(ann.events.at(-1)).toMatchObject({ event: 'bye', data: { reconnect: true } });
	});
});
