import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { language } from '../locale/language.ts';
import { captionLanguageFor, captionLanguages, type CaptionLine, captionsIn } from '../sdk/captions.ts';
import type { GuestPass } from '../sdk/guest.ts';
import { asProblem, type ProblemError, problemOf } from '../sdk/problem.ts';
import { freshReactions, type ReactionCounts, ReactionSender } from '../sdk/reactions.ts';
import type { Servers } from '../sdk/servers.ts';

export type ReportKind = 'audio' | 'content' | 'other';

/** What it needs of the page's model. */
export interface AudiencePage {
	roomId: string;
	servers: Servers;
	captions: ReadonlySignal<readonly CaptionLine[]>;
	reactions: ReadonlySignal<ReactionCounts | null>;
}

export interface AudienceParts {
	guest: GuestPass;
	storage: Pick<Storage, 'getItem' | 'setItem'> | undefined;
}

/** One reaction on its way up the page. */
export interface Bubble {
	id: number;
	reaction: string;
	/** Where it begins, and how long it waits: 0 to 1. */
	place: number;
	delay: number;
}

const CAPTIONS_KEY = 'rostrum.captions';
/** Sums come once a second; more than this would say no more. */
const MOST_BUBBLES = 12;
const BUBBLE_MS = 3_500;

/** Reactions, captions, the guest's name and reports: what a listening page gives and gets besides sound. */
export class AudienceModel {
	readonly captionsOn = signal(true);
	/** As chosen; null: the page's own, as far as it is written. */
	readonly chosenLanguage = signal<string | null>(null);
	readonly name = signal('');
	readonly bubbles = signal<readonly Bubble[]>([]);
	readonly reactionProblem = signal<ProblemError | null>(null);
	readonly languages: ReadonlySignal<readonly string[]>;
	readonly captionLanguage: ReadonlySignal<string | null>;
	readonly lines: ReadonlySignal<readonly CaptionLine[]>;
	readonly page: AudiencePage;
	readonly #parts: AudienceParts;
	readonly #sender: ReactionSender;
	#before: ReactionCounts | null = null;
	#ids = 0;

	constructor(page: AudiencePage, parts: AudienceParts) {
		this.page = page;
		this.#parts = parts;
		this.#sender = new ReactionSender({ room: page.roomId, servers: page.servers, guest: parts.guest });
		this.captionsOn.value = this.#stored() !== 'off';
		this.languages = computed(() => captionLanguages(page.captions.value));
		this.captionLanguage = computed(() => this.chosenLanguage.value ?? captionLanguageFor([language.value, ...navigator.languages], this.languages.value));
		this.lines = computed(() => captionsIn(page.captions.value, this.captionLanguage.value));
		this.name.value = parts.guest.name;
		parts.guest.on('changed', ({ name }) => {
			this.name.value = name;
		});
		page.reactions.subscribe((reactions) => this.#reacted(reactions));
	}

	get personal(): boolean {
		return this.#parts.guest.personal;
	}

	setCaptions(on: boolean): void {
		this.captionsOn.value = on;
		try {
			this.#parts.storage?.setItem(CAPTIONS_KEY, on ? 'on' : 'off');
		} catch {
			// Lasts as long as the page, then.
		}
	}

	async react(reaction: string): Promise<void> {
		this.#rise([reaction]);
		try {
			await this.#sender.send(reaction);
			this.reactionProblem.value = null;
		} catch (error) {
			this.reactionProblem.value = asProblem(error);
		}
	}

	/** Empty: anonymous. Rejects with ProblemError. */
	rename(name: string): Promise<void> {
		return this.#parts.guest.rename(name);
	}

	/** Rejects with ProblemError. */
	async report(kind: ReportKind, text: string): Promise<void> {
		const { held } = this.#parts.guest;
		const { roomId, servers } = this.page;
		try {
			const response = await fetch(new URL(`/v1/rooms/${encodeURIComponent(roomId)}/reports`, servers.cursor().url), {
				method: 'POST',
				headers: { 'content-type': 'application/json', ...(held === undefined ? {} : { authorization: `Bearer ${held}` }) },
				body: JSON.stringify({ kind, ...(text.trim() === '' ? {} : { text: text.trim() }) }),
				cache: 'no-store',
			});
			if (!response.ok) {
				throw await problemOf(response);
			}
		} catch (error) {
			throw asProblem(error);
		}
	}

	#reacted(reactions: ReactionCounts | null): void {
		if (reactions !== null) {
			this.#rise(freshReactions(this.#before, reactions, MOST_BUBBLES));
			this.#before = reactions;
		}
	}

	#rise(reactions: readonly string[]): void {
		if (reactions.length === 0 || document.visibilityState !== 'visible') {
			return;
		}
		const fresh = reactions.map((reaction) => ({ id: ++this.#ids, reaction, place: Math.random(), delay: reactions.length === 1 ? 0 : Math.random() }));
		this.bubbles.value = [...this.bubbles.peek(), ...fresh].slice(-3 * MOST_BUBBLES);
		setTimeout(() => {
			this.bubbles.value = this.bubbles.peek().filter(({ id }) => !fresh.some((one) => one.id === id));
		}, BUBBLE_MS);
	}

	#stored(): string | null {
		try {
			return this.#parts.storage?.getItem(CAPTIONS_KEY) ?? null;
		} catch {
			return null;
		}
	}
}
