// A listener's hand as the page has it, with a clock and a server of our own.
import { signal } from '@preact/signals';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HandModel, type HandParts } from '../../server/web/browser/pages/hand-model.ts';
import { actionsOn } from '../../server/web/browser/pages/stage-actions.ts';
import { Emitter } from '../../server/web/browser/sdk/emitter.ts';
import type { Invitation } from '../../server/web/browser/sdk/event-feed.ts';
import { type Hand, type HandEvents, HandSession } from '../../server/web/browser/sdk/hand-session.ts';
import { MicrophoneError } from '../../server/web/browser/sdk/microphone.ts';
import { ProblemError } from '../../server/web/browser/sdk/problem.ts';
import { Servers } from '../../server/web/browser/sdk/servers.ts';
import type { StageSessionEvents, StageView } from '../../server/web/browser/sdk/stage-session.ts';

const DOWN: Hand = { version: 1, raised: false, position: null, total: 0, invitation: null, onStage: false, stage: null };
const UP: Hand = { ...DOWN, version: 2, raised: true, position: 1, total: 1 };
const INVITED: Hand = { ...UP, version: 3, invitation: { by: 'Hana', expiresAt: '2026-11-22T12:00:00Z' } };
const TAKEN: Hand = { ...DOWN, version: 4, onStage: true, stage: { token: 'stage-token', url: 'https://x.example/r/a/stage' } };
const SERVER = 'https://x.example';

beforeEach(() => {
	vi.useFakeTimers({ now: 1_800_000_000_000 });
});
afterEach(() => {
	vi.useRealTimers();
});

/** A server that keeps a question until it has another answer, as the real one does. */
class HandServer {
	readonly asked: { method: string; path: string; body: unknown }[] = [];
	hand: Hand = DOWN;
	refusal: { status: number; code: string; retryAfter?: string } | undefined;
	#waiting: (() => void)[] = [];

	readonly fetch = (async (input: URL, init: RequestInit) => {
		const url = new URL(input);
		this.asked.push({ method: init.method ?? '', path: url.pathname.replace('/v1/rooms/a/', '') + url.search, body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined });
		if (this.refusal) {
			const { status, code, retryAfter } = this.refusal;
			return Response.json({ code, title: code }, { status, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } });
		}
		if (init.method === 'GET' && url.searchParams.get('version') === String(this.hand.version)) {
			await new Promise<void>((resolve, reject) => {
				this.#waiting.push(resolve);
				setTimeout(resolve, Number(url.searchParams.get('wait')) * 1_000);
				init.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
			});
		}
		if (init.method === 'POST' && url.pathname.endsWith('/hand')) this.hand = init.body === '{"raised":true}' ? UP : { ...DOWN, version: 9 };
		return Response.json(this.hand);
	}) as typeof fetch;

	say(hand: Hand): void {
		this.hand = hand;
		for (const wake of this.#waiting.splice(0)) wake();
	}
}

function handSession(server: HandServer): { session: HandSession; told: Hand[]; refused: ProblemError[] } {
	const session = new HandSession({ room: 'a', token: 't', servers: new Servers(SERVER, () => 0), random: () => 0.5, fetch: server.fetch });
	const [told, refused]: [Hand[], ProblemError[]] = [[], []];
	session.on('hand', (hand) => told.push(hand));
	session.on('refused', ({ problem }) => refused.push(problem));
	return { session, told, refused };
}

describe('HandSession', () => {
	it('asks for as long as the hand is up, learns at once what changes, and asks nothing when it is down', async () => {
		const server = new HandServer();
		const { session, told } = handSession(server);
		await session.raise();
		await vi.advanceTimersByTimeAsync(30_000);
		expect(server.asked.slice(0, 2)).toEqual([
			{ method: 'POST', path: 'hand', body: { raised: true } },
			{ method: 'GET', path: 'hand?wait=6&version=2', body: undefined },
		]);
		// A question is kept for six seconds: five of them in half a minute, not more.
		expect(server.asked.length).toBeLessThanOrEqual(6);
		expect(told).toEqual([UP]);
		server.say(INVITED);
		await vi.advanceTimersByTimeAsync(1);
		expect(told).toEqual([UP, INVITED]);
		await session.lower();
		const { length } = server.asked;
		await vi.advanceTimersByTimeAsync(60_000);
		expect(server.asked.length).toBe(length);
		expect(told.at(-1)?.raised).toBe(false);
	});

	it('asks no more once there is a way on stage', async () => {
		const server = new HandServer();
		const { session, told } = handSession(server);
		await session.raise();
		await vi.advanceTimersByTimeAsync(1_000);
		server.say(TAKEN);
		await vi.advanceTimersByTimeAsync(0);
		expect(told.at(-1)).toEqual(TAKEN);
		const { length } = server.asked;
		await vi.advanceTimersByTimeAsync(60_000);
		expect(server.asked.length).toBe(length);
	});

	it('tries again when the server does not answer, not before it asked for, and goes on as before', async () => {
		const server = new HandServer();
		const { session, told, refused } = handSession(server);
		await session.raise();
		server.refusal = { status: 503, code: 'home_unavailable', retryAfter: '2' };
		await vi.advanceTimersByTimeAsync(300);
		const { length } = server.asked;
		await vi.advanceTimersByTimeAsync(1_900);
		expect(server.asked.length).toBe(length);
		server.refusal = undefined;
		server.hand = INVITED;
		await vi.advanceTimersByTimeAsync(3_000);
		expect(told.at(-1)).toEqual(INVITED);
		expect(refused).toEqual([]);
	});

	it('stops for good when the person is banned', async () => {
		const server = new HandServer();
		const { session, refused } = handSession(server);
		await session.raise();
		server.refusal = { status: 403, code: 'banned' };
		await vi.advanceTimersByTimeAsync(60_000);
		expect(refused.map(({ code }) => code)).toEqual(['banned']);
		expect(server.asked.filter(({ method }) => method === 'GET')).toHaveLength(1);
	});

	it('keeps the hand as it was when an answer of one’s own fails', async () => {
		const server = new HandServer();
		const { session, told } = handSession(server);
		await session.raise();
		server.refusal = { status: 409, code: 'stage_locked' };
		await expect(session.answer(true)).rejects.toMatchObject({ code: 'stage_locked' });
		server.refusal = undefined;
		server.hand = INVITED;
		await vi.advanceTimersByTimeAsync(1_000);
		expect(told.at(-1)).toEqual(INVITED);
	});
});

/** A stage that does as it is told. */
class FakeStage extends Emitter<StageSessionEvents> {
	static made: FakeStage[] = [];
	readonly token: string;
	view = { state: 'idle', leftBecause: null, hears: false, media: 'off', muted: false, roster: [] } as unknown as StageView;

	constructor({ token }: { token: string }) {
		super();
		this.token = token;
		FakeStage.made.push(this);
	}
	join(): void {
		this.is({ state: 'connecting' });
	}
	async setMicrophone(): Promise<void> {}
	is(change: Partial<StageView>): void {
		this.view = { ...this.view, ...change };
		this.emit('change', this.view);
	}
}

class FakeHand extends Emitter<HandEvents> {
	looked = 0;
	answers: boolean[] = [];
	next: Hand | ProblemError = UP;
	async raise(): Promise<Hand> {
		return this.#give();
	}
	async lower(): Promise<Hand> {
		return { ...DOWN, version: 8 };
	}
	async answer(accept: boolean): Promise<Hand> {
		this.answers.push(accept);
		return this.#give();
	}
	look(): void {
		this.looked++;
	}
	close(): void {}
	say(hand: Hand): void {
		this.emit('hand', hand);
	}
	async #give(): Promise<Hand> {
		const { next } = this;
		if (next instanceof ProblemError) throw next;
		this.say(next);
		return next;
	}
}

/** A listening page with a hand. */
function handPage(options: { guest?: string; denied?: boolean; remembered?: boolean } = {}) {
	FakeStage.made = [];
	const kept = new Map<string, string>(options.remembered === true ? [['rostrum.hand.a', '1']] : []);
	const hand = new FakeHand();
	const page = { roomId: 'a', servers: new Servers(SERVER), invitation: signal<Invitation | null>(null), identified: [] as string[], identify: (token: string) => void page.identified.push(token), heldBack: [] as boolean[], listened: 0, away: null as ProblemError | null, holdBack: (yes: boolean) => void page.heldBack.push(yes), listen: () => void page.listened++, turnAway: (problem: ProblemError) => void (page.away = problem) };
	const guest = { personal: false, name: options.guest ?? '', held: 'guest-token', token: async () => 'guest-token', rename: async (name: string) => void (guest.name = name), drop: () => undefined };
	const microphones: { opened: number; closed: number }[] = [];
	const microphone = () => {
		const one = { opened: 0, closed: 0, track: undefined as unknown, deviceId: 'x', devices: [], level: () => 0, on: () => () => true, async open() {
			if (options.denied === true) throw new MicrophoneError('denied');
			one.opened++;
			one.track = {};
		}, close: () => void one.closed++ };
		microphones.push(one);
		return one;
	};
	const parts = { guest, hand: () => hand, microphone, stage: async () => ({ StageSession: FakeStage }), storage: { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value), removeItem: (key: string) => void kept.delete(key) } };
	return { model: new HandModel(page, parts as unknown as HandParts), hand, page, guest, kept, microphones };
}

describe('HandModel', () => {
	it('asks a guest for a name, then for the microphone, and only then raises the hand', async () => {
		const { model, guest, microphones, kept } = handPage();
		await model.begin();
		expect(model.step.value).toBe('naming');
		await model.raise('Sami');
		expect(model.step.value).toBe('up');
		expect(guest.name).toBe('Sami');
		// Its light is out while one waits.
		expect(microphones.filter(({ opened }) => opened > 0).map(({ closed }) => closed)).toEqual([1]);
		expect(kept.size).toBe(1);
	});

	it('raises no hand without a microphone, and says why', async () => {
		const { model, kept } = handPage({ guest: 'Sami', denied: true });
		await model.begin();
		expect([model.step.value, model.trouble.value, kept.size]).toEqual(['down', 'denied', 0]);
	});

	it('goes on stage as soon as the raised hand is taken up, and holds the room back once the stage is heard', async () => {
		const { model, hand, page } = handPage({ guest: 'Sami' });
		await model.begin();
		hand.say(TAKEN);
		await vi.advanceTimersByTimeAsync(0);
		const [stage] = FakeStage.made;
		expect([stage?.token, model.step.value, page.heldBack]).toEqual(['stage-token', 'on-stage', []]);
		stage?.is({ state: 'on-stage', media: 'ready' });
		await vi.advanceTimersByTimeAsync(5_000);
		expect(page.heldBack).toEqual([]);
		stage?.is({ hears: true });
		await vi.advanceTimersByTimeAsync(1_000);
		expect(page.heldBack).toEqual([true]);
	});

	it.each([
		['demoted', 'demoted'],
		['kicked', 'kicked'],
		['left', 'left'],
		['token_invalid', 'gone'],
	] as const)('%s: the room is heard in the same turn, and the page says what happened', async (because, news) => {
		const { model, hand, page, kept } = handPage({ guest: 'Sami' });
		await model.begin();
		hand.say(TAKEN);
		await vi.advanceTimersByTimeAsync(0);
		FakeStage.made[0]?.is({ state: 'on-stage', media: 'ready', hears: true });
		await vi.advanceTimersByTimeAsync(1_000);
		FakeStage.made[0]?.is({ state: 'left', leftBecause: because });
		expect(page.heldBack).toEqual([true, false]);
		expect([model.step.value, model.news.value, page.listened, kept.size]).toEqual(['down', news, 1, 0]);
		// Whatever the hand still says of that place, it leads nobody back.
		await vi.advanceTimersByTimeAsync(60_000);
		expect(FakeStage.made).toHaveLength(1);
	});

	it('a ban ends the page, on stage or off', async () => {
		const { model, hand, page } = handPage({ guest: 'Sami' });
		await model.begin();
		hand.say(TAKEN);
		await vi.advanceTimersByTimeAsync(0);
		FakeStage.made[0]?.is({ state: 'left', leftBecause: 'banned' });
		expect([page.away?.code, page.listened]).toEqual(['banned', 0]);
	});

	it('without a microphone, an invitation is not accepted, and stays open', async () => {
		const { model, hand } = handPage({ guest: 'Sami', denied: true, remembered: true });
		hand.say(INVITED);
		await model.accept();
		expect([hand.answers, model.step.value, model.trouble.value]).toEqual([[], 'invited', 'denied']);
	});

	it('accepting leads on stage; declining keeps the hand where it is', async () => {
		const { model, hand } = handPage({ guest: 'Sami' });
		await model.begin();
		hand.say(INVITED);
		expect(model.step.value).toBe('invited');
		hand.next = UP;
		await model.decline();
		expect([hand.answers, model.step.value]).toEqual([[false], 'up']);
		hand.say(INVITED);
		hand.next = TAKEN;
		await model.accept();
		await vi.advanceTimersByTimeAsync(0);
		expect([hand.answers, model.step.value]).toEqual([[false, true], 'on-stage']);
	});

	it('nobody goes on air by loading a page: a place that was kept over a reload waits for a click', async () => {
		const { model, hand } = handPage({ guest: 'Sami', remembered: true });
		expect(hand.looked).toBe(1);
		hand.say(TAKEN);
		await vi.advanceTimersByTimeAsync(1_000);
		expect([model.step.value, FakeStage.made.length]).toEqual(['held', 0]);
		await model.resume();
		expect([model.step.value, FakeStage.made.length]).toEqual(['on-stage', 1]);
	});

	it('says so when a host lowers the hand or takes the invitation back, and nothing when one does it oneself', async () => {
		const { model, hand } = handPage({ guest: 'Sami' });
		await model.begin();
		hand.say({ ...DOWN, version: 5 });
		expect([model.step.value, model.news.value]).toEqual(['down', 'lowered']);
		await model.begin();
		hand.say(INVITED);
		hand.say({ ...DOWN, version: 6 });
		expect(model.news.value).toBe('over');
		await model.begin();
		await model.lower();
		expect([model.step.value, model.news.value]).toEqual(['down', null]);
	});
});

describe('an invitation to somebody whose hand is down', () => {
	const CALLED: Hand = { ...DOWN, version: 7, invitation: { by: 'Hana', expiresAt: '2026-11-22T12:00:00Z' } };
	const called = () => {
		const { page, ...rest } = handPage({ guest: 'Sami' });
		const stop = rest.model.watch();
		return { page, stop, ...rest };
	};

	it('is asked about when the room’s stream tells of it, and then leads on stage like any other', async () => {
		const { model, hand, page } = called();
		expect(hand.looked).toBe(0);
		page.invitation.value = CALLED.invitation;
		expect(hand.looked).toBe(1);
		hand.say(CALLED);
		expect(model.step.value).toBe('invited');
		// The next stream tells it again.
		page.invitation.value = { by: 'Hana', expiresAt: '2026-11-22T12:00:00Z' };
		expect(hand.looked).toBe(1);
		hand.next = TAKEN;
		await model.accept();
		await vi.advanceTimersByTimeAsync(0);
		expect([hand.answers, model.step.value]).toEqual([[true], 'on-stage']);
	});

	it('is not asked about while the hand is up, which is asked about anyway, nor when nobody is there to be shown it', async () => {
		const { model, hand, page, stop } = called();
		await model.begin();
		page.invitation.value = CALLED.invitation;
		expect([hand.looked, model.step.value]).toEqual([0, 'up']);
		stop();
		await model.lower();
		page.invitation.value = { by: 'Hana', expiresAt: '2026-11-22T12:05:00Z' };
		expect(hand.looked).toBe(0);
	});

	it('leads nobody on air without a click here: granted on another page, it waits', async () => {
		const { model, hand, page } = called();
		page.invitation.value = CALLED.invitation;
		hand.say(TAKEN);
		await vi.advanceTimersByTimeAsync(1_000);
		expect([model.step.value, FakeStage.made.length]).toEqual(['held', 0]);
	});

	it('that came while a hand failed to go up is not missed', async () => {
		const { model, hand, page } = handPage({ guest: 'Sami' });
		model.watch();
		hand.next = new ProblemError({ status: 409, code: 'hands_full', title: 'full' });
		const raising = model.begin();
		page.invitation.value = CALLED.invitation;
		await raising;
		expect([hand.looked, model.failure.value?.code]).toEqual([1, 'hands_full']);
	});

	it('needs the room’s stream to know whose it is: of a guest who has a pass already, and of one whose hand went down', async () => {
		const fresh = handPage({ guest: 'Sami' });
		expect(fresh.page.identified).toEqual(['guest-token']);
		const up = handPage({ guest: 'Sami', remembered: true });
		up.hand.say(UP);
		expect(up.page.identified).toEqual([]);
		await up.model.lower();
		expect(up.page.identified).toEqual(['guest-token']);
	});
});

describe('actionsOn', () => {
	const among = { self: false, index: 0, count: 1 };
	it.each([
		['host', 'speaker', ['mute', 'makeCohost', 'handOver', 'demote', 'kick', 'ban']],
		['host', 'cohost', ['mute', 'handOver', 'makeSpeaker', 'demote', 'kick', 'ban']],
		['host', 'host', ['mute', 'demote', 'kick', 'ban']],
		['cohost', 'speaker', ['mute', 'demote', 'kick', 'ban']],
		['cohost', 'cohost', ['mute', 'kick', 'ban']],
		['cohost', 'host', []],
		['speaker', 'speaker', []],
	] as const)('a %s may do this about a %s', (role, theirs, actions) => {
		expect(actionsOn({ role: theirs, muted: false }, { ...among, role })).toEqual(actions);
	});

	it('offers to ask whoever is muted, and to move those who have somewhere to move', () => {
		expect(actionsOn({ role: 'speaker', muted: true }, { ...among, role: 'cohost' })[0]).toBe('askUnmute');
		expect(actionsOn({ role: 'speaker', muted: true }, { role: 'host', self: true, index: 1, count: 3 })).toEqual(['moveUp', 'moveDown']);
	});
});
