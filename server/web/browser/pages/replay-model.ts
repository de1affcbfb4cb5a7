import { batch, computed, signal } from '@preact/signals';
import { takeLinkToken } from '../api/link-token.ts';
import { type RecordingSummary, RecordingsApi, type Replay } from '../api/recordings-api.ts';
import { asProblem, type ProblemError } from '../sdk/problem.ts';
import { roomFromPath } from './room-path.ts';

/** A caption as it is shown. */
export interface ReplayCue {
	startMs: number;
	endMs: number;
	speaker: string;
	text: string;
}

/** A replay that is being mixed is asked for this often. */
const ASK_AGAIN_MS = 3_000;
const SPEEDS = [0.75, 1, 1.25, 1.5, 2] as const;

/** What the replay page shows: the recordings of a room, the one that is heard, and where in it. */
export class ReplayModel {
	readonly roomId = roomFromPath();
	readonly list = signal<readonly RecordingSummary[] | null>(null);
	readonly replay = signal<Replay | null>(null);
	readonly problem = signal<ProblemError | null>(null);
	readonly cues = signal<readonly ReplayCue[]>([]);
	readonly playing = signal(false);
	readonly waiting = signal(false);
	readonly broken = signal(false);
	readonly positionMs = signal(0);
	readonly speed = signal(1);
	readonly speeds = SPEEDS;
	/** Index; -1 before the first. */
	readonly chapter = computed(() => this.replay.value?.chapters.findLastIndex(({ startMs }) => startMs <= this.positionMs.value) ?? -1);
	/** Numbers of those who speak at this place. */
	readonly speaking = computed(() => {
		const at = this.positionMs.value;
		return (this.replay.value?.speakers ?? []).filter(({ turns }) => turns.some(([fromMs, toMs]) => fromMs <= at && at < toMs)).map(({ number }) => number);
	});
	readonly cue = computed(() => this.cues.value.findLast(({ startMs, endMs }) => startMs <= this.positionMs.value && this.positionMs.value < endMs) ?? null);
	readonly api: RecordingsApi;
	#audio: HTMLAudioElement | null = null;

	constructor() {
		this.api = new RecordingsApi(this.roomId, takeLinkToken(this.roomId));
		void this.#load(new URLSearchParams(location.search).get('recording'));
	}

	/** The element that plays; the page's own controls drive it. */
	readonly attach = (audio: HTMLAudioElement | null): void => {
		this.#audio = audio;
		const track = audio?.textTracks[0];
		if (audio && track) {
			// Shown by the page itself: an audio element shows nothing.
			track.mode = 'hidden';
		}
	};

	readonly readCues = (): void => {
		const cues = this.#audio?.textTracks[0]?.cues;
		this.cues.value = [...(cues ?? [])].flatMap((cue) => (cue instanceof VTTCue ? [cueOf(cue)] : []));
	};

	readonly followAudio = (): void => {
		const audio = this.#audio;
		if (audio) {
			batch(() => {
				this.playing.value = !audio.paused && !audio.ended;
				this.positionMs.value = Math.round(audio.currentTime * 1_000);
			});
		}
	};

	toggle(): void {
		const audio = this.#audio;
		if (!audio) {
			return;
		}
		if (audio.paused) {
			// It says by events how that went; a refusal leaves it paused.
			audio.play().catch(() => this.followAudio());
		} else {
			audio.pause();
		}
	}

	seek(ms: number): void {
		const audio = this.#audio;
		const durationMs = this.replay.value?.durationMs ?? 0;
		if (audio) {
			this.positionMs.value = Math.min(Math.max(0, ms), durationMs);
			audio.currentTime = this.positionMs.value / 1_000;
		}
	}

	skip(ms: number): void {
		this.seek(this.positionMs.value + ms);
	}

	/** To a chapter's beginning, and plays on from there. */
	playFrom(ms: number): void {
		this.seek(ms);
		if (this.#audio?.paused === true) {
			this.toggle();
		}
	}

	/** The next chapter, or the one before. */
	turn(by: 1 | -1): void {
		const chapters = this.replay.value?.chapters ?? [];
		const next = chapters[Math.max(0, this.chapter.value + by)];
		if (next) {
			this.playFrom(next.startMs);
		}
	}

	setSpeed(speed: number): void {
		this.speed.value = speed;
		if (this.#audio) {
			this.#audio.playbackRate = speed;
		}
	}

	async #load(wanted: string | null): Promise<void> {
		try {
			const list = await this.api.list();
			const chosen = list.find(({ id }) => id === wanted) ?? list.find(({ state }) => state === 'ready') ?? list[0];
			const replay = chosen && (await this.api.read(chosen.id).catch(() => null));
			batch(() => {
				this.problem.value = null;
				this.list.value = list;
				this.replay.value = replay?.state === 'ready' ? replay : null;
			});
			if (chosen && chosen.state !== 'ready' && chosen.state !== 'failed') {
				setTimeout(() => void this.#load(wanted), ASK_AGAIN_MS);
			}
		} catch (error) {
			this.problem.value = asProblem(error);
		}
	}
}

function cueOf(cue: VTTCue): ReplayCue {
	const speaker = /^<v(?:\.[^ >]*)? ([^>]*)>/.exec(cue.text)?.[1] ?? '';
	return { startMs: Math.round(cue.startTime * 1_000), endMs: Math.round(cue.endTime * 1_000), speaker: plain(speaker), text: cue.getCueAsHTML().textContent ?? '' };
}

const plain = (text: string): string => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
