import { computed, effect, type ReadonlySignal, signal, untracked } from '@preact/signals';
import type { Invitation } from '../sdk/event-feed.ts';
import type { GuestPass } from '../sdk/guest.ts';
import { type Hand, HandSession, type HandOptions } from '../sdk/hand-session.ts';
import { Microphone, MicrophoneError, type MicrophoneTrouble } from '../sdk/microphone.ts';
import { asProblem, ProblemError } from '../sdk/problem.ts';
import type { Servers } from '../sdk/servers.ts';
import type { StageSession, StageSessionOptions } from '../sdk/stage-session.ts';
import { AirModel } from './air-model.ts';
import { handKey } from './hand-key.ts';

/**
 * down → naming (guests say who they are) → asking (for the microphone) → raising → up → coming → on-stage, with
 * invited or held (on stage already when the page was loaded) before coming.
 */
export type HandStep = 'down' | 'naming' | 'asking' | 'raising' | 'up' | 'invited' | 'held' | 'coming' | 'on-stage';

/** What became of a hand or a place on stage, where it was not oneself who ended it. */
export type HandNews = 'lowered' | 'over' | 'left' | 'demoted' | 'kicked' | 'replaced' | 'gone';

const LEFT_NEWS: Readonly<Record<string, HandNews>> = { left: 'left', demoted: 'demoted', kicked: 'kicked', replaced: 'replaced' };

/** The stage's jitter buffers have filled by then, and the room's own stream is not needed any more. */
const HEARS_AFTER_MS = 250;

/** The listening page around the hand. */
export interface HandPage {
	readonly roomId: string;
	readonly servers: Servers;
	/** As the room's stream tells it. */
	readonly invitation: ReadonlySignal<Invitation | null>;
	/** From now on the room's stream is to tell what is for this guest alone. */
	identify(guestToken: string): void;
	/** Silences the room's stream, which goes on all the same: coming back to it is instant. */
	holdBack(yes: boolean): void;
	/** Makes sure that the room is heard. */
	listen(): void;
	/** Nothing more is to be had here. */
	turnAway(problem: ProblemError): void;
}

/** What a hand needs besides the page. */
export interface HandParts {
	guest: Pick<GuestPass, 'personal' | 'held' | 'name' | 'token' | 'rename' | 'drop'>;
	hand: (options: HandOptions) => Pick<HandSession, 'on' | 'raise' | 'lower' | 'answer' | 'look' | 'close'>;
	microphone: () => Microphone;
	/** Large; loaded when the hand is raised, so that it is there when it is taken up. */
	stage: () => Promise<{ StageSession: new (options: StageSessionOptions) => StageSession }>;
	storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | undefined;
}

/** A listener's hand, the way on stage, and the way back. */
export class HandModel {
	readonly step = signal<HandStep>('down');
	readonly hand = signal<Hand | null>(null);
	/** Why there is no microphone. */
	readonly trouble = signal<MicrophoneTrouble | null>(null);
	readonly failure = signal<ProblemError | null>(null);
	readonly news = signal<HandNews | null>(null);
	/** Another request is on its way. */
	readonly busy = signal(false);
	readonly onStage = computed(() => this.step.value === 'on-stage');
	readonly air: AirModel;

	readonly #page: HandPage;
	readonly #parts: HandParts;
	#session: ReturnType<HandParts['hand']> | undefined;
	#stageToken: string | undefined;
	/** The next answer is not to something that was done here, e.g. the first after the page was loaded. */
	#fresh = false;
	/** The microphone has been opened by this page before, and can be while the stage connects. */
	#allowed = false;
	#stopFollowing: (() => void) | undefined;

	constructor(page: HandPage, parts: HandParts) {
		this.#page = page;
		this.#parts = parts;
		this.air = new AirModel(parts.microphone);
		if (this.#remembered() && parts.guest.held !== undefined) {
			this.#fresh = true;
			this.#open(parts.guest.held).look();
		} else {
			this.#identify();
		}
	}

	/** While there is a place to ask: somebody whose hand is down may be invited, too. @returns call it when there is none any more */
	watch(): () => void {
		return effect(() => {
			if (this.#page.invitation.value !== null) {
				untracked(() => this.#invited());
			}
		});
	}

	/** With which the stage's own page can be opened. */
	get stageToken(): string | undefined {
		return this.#stageToken;
	}

	/** In a user's click: whoever wants to speak is asked for the microphone before anything is said to a host. */
	async begin(): Promise<void> {
		this.#clear();
		if (this.#parts.guest.personal || this.#parts.guest.name !== '') {
			await this.raise();
		} else {
			this.step.value = 'naming';
		}
	}

	/** As `begin`, with a guest's name. */
	async raise(name?: string): Promise<void> {
		this.#clear();
		this.step.value = 'asking';
		const microphone = this.#parts.microphone();
		const allowed = await this.#opened(microphone);
		// Its light goes out again: nobody wants to be in doubt about that while they wait.
		microphone.close();
		if (!allowed) {
			this.step.value = 'down';
			this.#invitedMeanwhile();
			return;
		}
		this.step.value = 'raising';
		try {
			await this.#raised(name);
			this.#remember(true);
			// Whatever comes of it is told when it is needed.
			void this.#parts.stage().catch(() => undefined);
		} catch (error) {
			this.failure.value = asProblem(error);
			this.step.value = 'down';
			this.#invitedMeanwhile();
		}
	}

	cancel(): void {
		this.#clear();
		this.step.value = 'down';
	}

	lower(): Promise<void> {
		return this.#attempt(async () => {
			await this.#session?.lower();
			this.#down(null);
		});
	}

	/** In a user's click. Unless it worked before, the microphone comes first: nobody is brought on stage to find that it does not. */
	async accept(): Promise<void> {
		this.#clear();
		if (!this.#allowed) {
			this.busy.value = true;
			const allowed = await this.air.openMicrophone();
			this.busy.value = false;
			if (!allowed) {
				this.trouble.value = this.#troubleOf(this.air.microphoneState.value);
				this.air.reset();
				return;
			}
		}
		await this.#attempt(() => this.#session?.answer(true));
		if (this.failure.value !== null) {
			this.air.reset();
		}
	}

	decline(): Promise<void> {
		return this.#attempt(async () => {
			const hand = await this.#session?.answer(false);
			if (hand?.raised !== true) {
				this.#down(null);
			}
		});
	}

	/** In a user's click: back to a place on stage that this page has lost. */
	async resume(): Promise<void> {
		const token = this.hand.value?.stage?.token;
		if (token !== undefined) {
			this.#clear();
			await this.#go(token);
		}
	}

	/** The stream says no more than that it is time to ask; from here on it is as with a hand that is up. */
	#invited(): void {
		const { held } = this.#parts.guest;
		const step = this.step.peek();
		if (held === undefined || (step !== 'down' && step !== 'naming')) {
			return;
		}
		// What was granted to this person on another page leads nobody on air here without a click.
		this.#fresh = true;
		this.#open(held).look();
		void this.#parts.stage().catch(() => undefined);
	}

	/** Somebody who was about to raise a hand, which did not go up, would miss it. */
	#invitedMeanwhile(): void {
		if (this.#page.invitation.peek() !== null) {
			this.#invited();
		}
	}

	/** A hand that is up is asked about; for one that is down the room's stream has to know whose it is. */
	#identify(): void {
		const { personal, held } = this.#parts.guest;
		if (!personal && held !== undefined) {
			this.#page.identify(held);
		}
	}

	#clear(): void {
		this.trouble.value = null;
		this.failure.value = null;
		this.news.value = null;
	}

	async #raised(name: string | undefined): Promise<void> {
		const { guest } = this.#parts;
		if (name !== undefined) {
			await guest.rename(name);
		}
		try {
			await this.#open(await guest.token()).raise();
		} catch (error) {
			if (guest.personal || asProblem(error).status !== 401) {
				throw error;
			}
			// A guest's pass that is over, e.g. because the server has other keys by now.
			guest.drop();
			await this.#open(await guest.token()).raise();
		}
	}

	#open(token: string): ReturnType<HandParts['hand']> {
		this.#session?.close();
		const session = this.#parts.hand({ room: this.#page.roomId, token, servers: this.#page.servers });
		this.#session = session;
		session.on('hand', (hand) => {
			if (this.#session === session) {
				this.#learned(hand);
			}
		});
		session.on('refused', ({ problem }) => {
			if (this.#session === session) {
				this.#refused(problem);
			}
		});
		return session;
	}

	#learned(hand: Hand): void {
		const fresh = this.#fresh;
		this.#fresh = false;
		this.hand.value = hand;
		const step = this.step.value;
		if (step === 'coming' || step === 'on-stage') {
			return;
		}
		if (hand.stage !== null) {
			if (fresh) {
				// Nobody goes on air by loading a page.
				this.step.value = 'held';
			} else {
				void this.#go(hand.stage.token);
			}
		} else if (hand.invitation !== null) {
			this.step.value = 'invited';
		} else if (hand.raised) {
			this.step.value = 'up';
		} else if (step === 'up' || step === 'invited') {
			this.#down(step === 'up' ? 'lowered' : 'over');
		} else if (fresh) {
			this.#down(null);
		}
	}

	#refused(problem: ProblemError): void {
		this.#remember(false);
		this.step.value = 'down';
		if (problem.code === 'banned') {
			this.#page.turnAway(problem);
		} else {
			this.failure.value = problem;
		}
	}

	async #go(token: string): Promise<void> {
		this.step.value = 'coming';
		this.#stageToken = token;
		this.#remember(true);
		let session: StageSession;
		try {
			const { StageSession: Session } = await this.#parts.stage();
			session = new Session({ room: this.#page.roomId, token, microphone: this.air.microphone });
		} catch (error) {
			this.failure.value = asProblem(error);
			this.step.value = 'held';
			return;
		}
		this.air.take(session);
		this.step.value = 'on-stage';
		this.#stopFollowing = session.on('change', () => this.#follow(session));
		if (this.air.microphone.track === undefined) {
			// While the stage connects: both take their time.
			await this.air.openMicrophone();
		}
	}

	#follow(session: StageSession): void {
		const { view } = session;
		if (view.state === 'left') {
			this.#back(view.leftBecause ?? '');
		} else if (view.hears && view.media === 'ready') {
			setTimeout(() => {
				if (this.air.session === session && session.view.state !== 'left') {
					this.#page.holdBack(true);
				}
			}, HEARS_AFTER_MS);
		}
	}

	#back(because: string): void {
		this.#page.holdBack(false);
		this.#stopFollowing?.();
		this.#stageToken = undefined;
		if (because === 'banned') {
			this.#remember(false);
			this.#page.turnAway(new ProblemError({ status: 403, code: 'banned', title: 'banned' }));
		} else {
			this.#page.listen();
			this.#down(LEFT_NEWS[because] ?? 'gone');
		}
		// The session is in the middle of telling: it closes what it holds by itself.
		setTimeout(() => this.air.reset());
	}

	#down(news: HandNews | null): void {
		this.#remember(false);
		this.hand.value = null;
		this.step.value = 'down';
		this.news.value = news;
		this.#identify();
	}

	async #opened(microphone: Microphone): Promise<boolean> {
		try {
			await microphone.open();
			this.#allowed = true;
			return true;
		} catch (error) {
			this.trouble.value = error instanceof MicrophoneError ? error.trouble : 'failed';
			return false;
		}
	}

	#troubleOf(state: AirModel['microphoneState']['value']): MicrophoneTrouble {
		return state === 'denied' || state === 'none' || state === 'busy' || state === 'insecure' ? state : 'failed';
	}

	async #attempt(action: () => Promise<unknown> | undefined): Promise<void> {
		this.#clear();
		this.busy.value = true;
		try {
			await action();
		} catch (error) {
			this.failure.value = asProblem(error);
		} finally {
			this.busy.value = false;
		}
	}

	/** Over a reload: the hand is still up then, and the place in the queue kept. */
	#remember(yes: boolean): void {
		try {
			if (yes) {
				this.#parts.storage?.setItem(handKey(this.#page.roomId), '1');
			} else {
				this.#parts.storage?.removeItem(handKey(this.#page.roomId));
			}
		} catch {
			// Storage is forbidden: the hand lasts as long as the page.
		}
	}

	#remembered(): boolean {
		try {
			return this.#parts.storage?.getItem(handKey(this.#page.roomId)) != null;
		} catch {
			return false;
		}
	}
}
