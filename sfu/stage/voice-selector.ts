/** Level of a packet without audio, and where every smoothed level starts. */
const SILENCE_DBOV = -127;
/** A source whose packets stop for longer than this is heard as silent. */
const STALLED_MS = 60;
/** A single step of the smoothing never counts for more than this, however long a source paused. */
const MAX_SMOOTHING_STEP_MS = 100;
const MAX_VOICES = 8;

/** Every threshold of the selection, with its default. */
export interface VoiceSelectorOptions {
	/** Number of voices, 1…8. */
	readonly voices: number;
	/** Louder than this is talking. Default -50. */
	readonly talkDbov?: number;
	/** Louder than this is talking when the client's own detector says speech (V bit, RFC 6464). Default -60. */
	readonly speechDbov?: number;
	/** Talking ends this long after the last loud packet: a pause in a sentence does not give the voice away. Default 600. */
	readonly hangOverMs?: number;
	/** Level of a source that does not say its own, whenever it sends audio. Default -30. */
	readonly nominalDbov?: number;
	/** Time constant of the smoothed level while it rises. Default 40. */
	readonly attackMs?: number;
	/** Time constant of the smoothed level while it falls. Default 250. */
	readonly releaseMs?: number;
	/** By how much a challenger must be louder, smoothed. Default 6. */
	readonly challengeDb?: number;
	/** For how long. Default 400. */
	readonly challengeMs?: number;
	/** No voice is taken from a talker who has had it for less than this; the same for dominance. Default 1000. */
	readonly minHoldMs?: number;
	/**
	 * A talker quiet for longer than this pauses: as dominant speaker it gives way at once to the next who talks, and
	 * without a voice it waits for none. What it says next is a new phrase, with an onset of its own. Default 200.
	 */
	readonly pauseMs?: number;
}

/** What the selector announces, at the moment it decides. Handlers must not call back into the selector. */
export interface VoiceSelectorEvents<Owner> {
	/** A source begins a phrase, after silence or a pause; comes before any change of voices it causes. */
	phrase(contender: Contender<Owner>, nowMs: number): void;
	/** `voice` now belongs to `holder`, or to nobody. */
	voice(voice: number, holder: Contender<Owner> | undefined, nowMs: number): void;
	dominant(contender: Contender<Owner> | undefined, nowMs: number): void;
}

/** A source in the selector's eyes. Written by the selector alone. */
export class Contender<Owner> {
	readonly owner: Owner;
	talking = false;
	/** The voice it has, or -1. */
	voice = -1;
	smoothedDbov = SILENCE_DBOV;
	lastLoudMs = -Infinity;
	/** When the current phrase began. */
	phraseSinceMs = -Infinity;
	voiceSinceMs = -Infinity;
	lastVoice = -1;
	/** It has sent levels, so a packet without one says nothing. */
	sendsLevels = false;
	lastHeardMs = -Infinity;
	smoothedAtMs = -Infinity;
	/** Since when it has been louder than the weakest holder, or than the dominant speaker; Infinity while it is not. */
	louderThanHolderSinceMs = Infinity;
	louderThanDominantSinceMs = Infinity;

	constructor(owner: Owner) {
		this.owner = owner;
	}
}

/**
 * Decides who has which of the K voices, and who is the dominant speaker. Pure: time and levels come in, events go
 * out. While at most K sources talk, each has a voice from its first loud packet to the end of its hang-over; only
 * when more talk does loudness decide, and slowly.
 */
export class VoiceSelector<Owner> {
	readonly #options: Required<VoiceSelectorOptions>;
	readonly #events: VoiceSelectorEvents<Owner>;
	readonly #holders: (Contender<Owner> | undefined)[];
	/** When each voice became free; of several free ones the longest free is given first. */
	readonly #freeSinceMs: number[];
	readonly #talkers: Contender<Owner>[] = [];
	#dominant: Contender<Owner> | undefined = undefined;
	#dominantSinceMs = -Infinity;

	/** @throws RangeError when `voices` is not 1…8 */
	constructor(options: VoiceSelectorOptions, events: VoiceSelectorEvents<Owner>) {
		const { voices } = options;
		if (!Number.isInteger(voices) || voices < 1 || voices > MAX_VOICES) {
			throw new RangeError(`a room has 1 to ${MAX_VOICES} voices, not ${voices}`);
		}
		this.#options = {
			voices,
			talkDbov: options.talkDbov ?? -50,
			speechDbov: options.speechDbov ?? -60,
			hangOverMs: options.hangOverMs ?? 600,
			nominalDbov: options.nominalDbov ?? -30,
			attackMs: options.attackMs ?? 40,
			releaseMs: options.releaseMs ?? 250,
			challengeDb: options.challengeDb ?? 6,
			challengeMs: options.challengeMs ?? 400,
			minHoldMs: options.minHoldMs ?? 1000,
			pauseMs: options.pauseMs ?? 200,
		};
		this.#events = events;
		this.#holders = Array.from({ length: voices }, () => undefined);
		this.#freeSinceMs = Array.from({ length: voices }, () => -Infinity);
	}

	/** Sources that talk now, with and without a voice, in the order they began. */
	get talkers(): readonly Contender<Owner>[] {
		return this.#talkers;
	}

	get dominant(): Contender<Owner> | undefined {
		return this.#dominant;
	}

	holderOf(voice: number): Contender<Owner> | undefined {
		return this.#holders[voice];
	}

	add(owner: Owner): Contender<Owner> {
		return new Contender(owner);
	}

	/** The source is gone: its voice is free at once. */
	remove(contender: Contender<Owner>, nowMs: number): void {
		if (contender.talking) this.#stop(contender, nowMs);
	}

	/**
	 * One packet of a source.
	 * @param levelDbov - 0…-127, or undefined when the packet says none
	 * @param speech - the V bit (RFC 6464)
	 * @param silent - the packet carries no audio (DTX), whatever level it says
	 */
	hear(contender: Contender<Owner>, levelDbov: number | undefined, speech: boolean, silent: boolean, nowMs: number): void {
		const { talkDbov, speechDbov, hangOverMs, nominalDbov, pauseMs } = this.#options;
		contender.lastHeardMs = nowMs;
		let level = SILENCE_DBOV;
		if (levelDbov !== undefined) {
			contender.sendsLevels = true;
			if (!silent) level = levelDbov;
		} else if (!silent) {
			level = contender.sendsLevels ? contender.smoothedDbov : nominalDbov;
		}
		this.#smooth(contender, level, nowMs);

		const informs = levelDbov !== undefined || !contender.sendsLevels;
		const loud = !silent && informs && (level > talkDbov || (speech && level > speechDbov));
		if (loud) {
			const begins = nowMs - contender.lastLoudMs > pauseMs || !contender.talking;
			contender.lastLoudMs = nowMs;
			if (begins) this.#beginPhrase(contender, level, nowMs);
		} else if (contender.talking && nowMs - contender.lastLoudMs > hangOverMs) {
			this.#stop(contender, nowMs);
		}
		if (!contender.talking) return;
		if (nowMs - contender.lastLoudMs > pauseMs) {
			// A pause wins nothing, however loud it was before.
			contender.louderThanHolderSinceMs = Infinity;
			contender.louderThanDominantSinceMs = Infinity;
			return;
		}
		if (contender.voice < 0) {
			const free = loud ? this.#freeVoiceFor(contender) : -1;
			if (free >= 0) this.#give(free, contender, nowMs);
			else this.#contendForVoice(contender, nowMs);
		}
		if (contender !== this.#dominant) this.#contendForDominance(contender, loud, nowMs);
	}

	/** Ends hang-overs of sources whose packets have stopped. Call it about every 20 ms; nothing to do while nobody talks. */
	tick(nowMs: number): void {
		for (let index = this.#talkers.length - 1; index >= 0; index--) {
			const contender = this.#talkers[index]!;
			if (nowMs - contender.lastLoudMs > this.#options.hangOverMs) this.#stop(contender, nowMs);
			else if (nowMs - contender.lastHeardMs > STALLED_MS) this.#smooth(contender, SILENCE_DBOV, nowMs);
		}
	}

	#smooth(contender: Contender<Owner>, level: number, nowMs: number): void {
		const stepMs = Math.min(Math.max(nowMs - contender.smoothedAtMs, 1), MAX_SMOOTHING_STEP_MS);
		contender.smoothedAtMs = nowMs;
		const timeConstantMs = level > contender.smoothedDbov ? this.#options.attackMs : this.#options.releaseMs;
		contender.smoothedDbov += ((level - contender.smoothedDbov) * stepMs) / (timeConstantMs + stepMs);
	}

	#beginPhrase(contender: Contender<Owner>, level: number, nowMs: number): void {
		contender.phraseSinceMs = nowMs;
		if (!contender.talking) {
			contender.talking = true;
			// An onset counts in full: smoothing from silence would make every talker look weak at first.
			if (level > contender.smoothedDbov) contender.smoothedDbov = level;
			contender.louderThanHolderSinceMs = Infinity;
			contender.louderThanDominantSinceMs = Infinity;
			this.#talkers.push(contender);
		}
		this.#events.phrase(contender, nowMs);
	}

	#stop(contender: Contender<Owner>, nowMs: number): void {
		contender.talking = false;
		this.#talkers.splice(this.#talkers.indexOf(contender), 1);
		const { voice } = contender;
		if (voice >= 0) {
			this.#give(voice, this.#loudestWaiting(nowMs), nowMs);
		}
		if (contender === this.#dominant) this.#elect(nowMs);
	}

	#freeVoiceFor(contender: Contender<Owner>): number {
		const { lastVoice } = contender;
		if (lastVoice >= 0 && this.#holders[lastVoice] === undefined) return lastVoice;
		let longestFree = -1;
		for (let voice = 0; voice < this.#holders.length; voice++) {
			if (this.#holders[voice] !== undefined) continue;
			if (longestFree < 0 || this.#freeSinceMs[voice]! < this.#freeSinceMs[longestFree]!) longestFree = voice;
		}
		return longestFree;
	}

	#give(voice: number, holder: Contender<Owner> | undefined, nowMs: number): void {
		const former = this.#holders[voice];
		if (former !== undefined) {
			former.voice = -1;
			former.louderThanHolderSinceMs = Infinity;
		}
		this.#holders[voice] = holder;
		if (holder === undefined) {
			this.#freeSinceMs[voice] = nowMs;
		} else {
			holder.voice = voice;
			holder.lastVoice = voice;
			holder.voiceSinceMs = nowMs;
		}
		this.#events.voice(voice, holder, nowMs);
	}

	/** The loudest talker without a voice; one that pauses has no use for it now, and takes a free one when it goes on. */
	#loudestWaiting(nowMs: number): Contender<Owner> | undefined {
		let loudest: Contender<Owner> | undefined;
		for (const talker of this.#talkers) {
			const waits = talker.voice < 0 && nowMs - talker.lastLoudMs <= this.#options.pauseMs;
			if (waits && (loudest === undefined || talker.smoothedDbov > loudest.smoothedDbov)) loudest = talker;
		}
		return loudest;
	}

	/** Only when more than K talk: a source without a voice takes the weakest holder's, if it is clearly louder for long enough. */
	#contendForVoice(contender: Contender<Owner>, nowMs: number): void {
		let weakest: Contender<Owner> | undefined;
		for (const holder of this.#holders) {
			// A free voice is not worth a contest: it is there at the next loud packet.
			if (holder === undefined) return;
			if (weakest === undefined || holder.smoothedDbov < weakest.smoothedDbov) weakest = holder;
		}
		const { challengeDb, challengeMs, minHoldMs } = this.#options;
		if (weakest === undefined || contender.smoothedDbov < weakest.smoothedDbov + challengeDb) {
			contender.louderThanHolderSinceMs = Infinity;
			return;
		}
		if (contender.louderThanHolderSinceMs === Infinity) contender.louderThanHolderSinceMs = nowMs;
		if (nowMs - contender.louderThanHolderSinceMs >= challengeMs && nowMs - weakest.voiceSinceMs >= minHoldMs) {
			this.#give(weakest.voice, contender, nowMs);
		}
	}

	#contendForDominance(contender: Contender<Owner>, loud: boolean, nowMs: number): void {
		const dominant = this.#dominant;
		const { challengeDb, challengeMs, minHoldMs, pauseMs } = this.#options;
		if (dominant === undefined || nowMs - dominant.lastLoudMs > pauseMs) {
			if (loud) this.#elect(nowMs);
			return;
		}
		if (contender.smoothedDbov < dominant.smoothedDbov + challengeDb) {
			contender.louderThanDominantSinceMs = Infinity;
			return;
		}
		if (contender.louderThanDominantSinceMs === Infinity) contender.louderThanDominantSinceMs = nowMs;
		if (nowMs - contender.louderThanDominantSinceMs >= challengeMs && nowMs - this.#dominantSinceMs >= minHoldMs) {
			this.#setDominant(contender, nowMs);
		}
	}

	/** The loudest of those who are not just in their hang-over. */
	#elect(nowMs: number): void {
		let loudest: Contender<Owner> | undefined;
		for (const talker of this.#talkers) {
			if (nowMs - talker.lastLoudMs > this.#options.pauseMs) continue;
			if (loudest === undefined || talker.smoothedDbov > loudest.smoothedDbov) loudest = talker;
		}
		this.#setDominant(loudest, nowMs);
	}

	#setDominant(contender: Contender<Owner> | undefined, nowMs: number): void {
		if (contender === this.#dominant) return;
		for (const talker of this.#talkers) talker.louderThanDominantSinceMs = Infinity;
		this.#dominant = contender;
		this.#dominantSinceMs = nowMs;
		this.#events.dominant(contender, nowMs);
	}
}
