import { renderMediaPlaylist } from './playlists.ts';
import { type Generation, nextPart, type Part, type Segment, SEGMENT_PARTS } from './segments.ts';

/** About 30 s. */
const WINDOW_SEGMENTS = 15;
/** What stopped for longer than this is not what a newcomer should begin with. */
export const STALE_MS = 15_000;

/** Where a stream stands: what the next home or the next start of it goes on from. */
export interface Position {
	msn: number;
	part: number;
	generation: string;
	discontinuity: number;
	/** End of the last part, of the epoch. */
	endMs: number;
}

/**
 * The last half minute of a room's overflow stream, in memory: parts, the segments they make up, and the playlist. The same at
 * the home, which fills it from the encoder, and at other nodes, which fill it from the home.
 */
export class StreamWindow {
	readonly #segments: Segment[] = [];
	readonly #generations = new Map<string, Generation>();
	#ended = false;
	#abandoned = false;
	#playlist: string | undefined;
	#changed = Promise.withResolvers<void>();
	#position: Position | undefined;

	get segments(): readonly Segment[] {
		return this.#segments;
	}
	get isEnded(): boolean {
		return this.#ended;
	}
	/** Also of what is not in the window any more. */
	get position(): Position | undefined {
		return this.#position;
	}
	/** Whether a player that knows no parts has something to begin with. */
	get isPlayable(): boolean {
		return this.#segments.some(({ complete }) => complete);
	}
	/** Held in memory. */
	get bytes(): number {
		return this.#segments.reduce((sum, { parts }) => sum + parts.reduce((of, { data }) => of + data.length, 0), 0);
	}

	/** Made once for each change. */
	get playlist(): string {
		return (this.#playlist ??= renderMediaPlaylist(this.#segments, this.#ended));
	}

	/** Goes on from where the stream was elsewhere; only while there is nothing here. */
	resume(position: Position): void {
		this.#position ??= position;
	}

	/** The part that the encoder has just made; numbers follow from what there was. */
	append(generation: Generation, { data, startMs, durationMs }: { data: Buffer; startMs: number; durationMs: number }, firstMsn: number): Part {
		const last = this.#position;
		const goesOn = last !== undefined && last.generation === generation.id && last.part < SEGMENT_PARTS - 1;
		const msn = last === undefined ? firstMsn : goesOn ? last.msn : last.msn + 1;
		const part = { msn, part: goesOn ? last.part + 1 : 0, generation: generation.id, startMs, durationMs, data };
		this.add(generation, part);
		return part;
	}

	/** A part with its numbers. One that is there already is left out; one that contradicts what is there takes its place. */
	add(generation: Generation, part: Part): void {
		const last = this.#segments.at(-1);
		if (last) {
			const known = this.#find(part.msn, part.generation);
			if (known && (part.part < known.parts.length || known.complete)) {
				return;
			}
			const follows = known ? known === last && part.part === known.parts.length : part.msn === last.msn + 1 && part.part === 0;
			const previousEndMs = this.#position?.endMs ?? part.startMs;
			if (!follows || part.startMs - previousEndMs > STALE_MS) {
				this.#clear();
			}
		}
		this.#place(generation, part);
		this.#position = { msn: part.msn, part: part.part, generation: part.generation, discontinuity: generation.discontinuity, endMs: part.startMs + part.durationMs };
		this.#tell();
	}

	/** Nothing will follow. */
	end(): void {
		if (!this.#ended) {
			this.#ended = true;
			const last = this.#segments.at(-1);
			if (last) {
				last.complete = true;
			}
			this.#tell();
		}
	}

	/** Nobody fills it any more: whoever waits for more is answered. */
	abandon(): void {
		this.#abandoned = true;
		this.#tell();
	}

	/** What came after this; everything there is when it is not known here, or nothing is given. */
	after(position: Pick<Position, 'msn' | 'part' | 'generation'> | undefined): { generations: Generation[]; parts: Part[] } {
		const known = position && this.#generations.has(position.generation) ? position : undefined;
		const parts = this.#segments.flatMap((segment) => segment.parts.filter(({ msn, part }) => !known || msn > known.msn || (msn === known.msn && part > known.part)));
		const ids = new Set(parts.map(({ generation }) => generation));
		return { generations: [...this.#generations.values()].filter(({ id }) => ids.has(id) && id !== known?.generation), parts };
	}

	/** Whether the playlist goes as far as this; without a part: the whole segment. */
	reaches(msn: number, part?: number): boolean {
		const last = this.#segments.at(-1);
		if (this.#ended || !last || last.msn > msn) {
			return this.#ended || last !== undefined;
		}
		return last.msn === msn && (last.complete || (part !== undefined && last.parts.length > part));
	}

	generation(id: string): Generation | undefined {
		return this.#generations.get(id);
	}

	init(generation: string): Buffer | undefined {
		return this.#generations.get(generation)?.init;
	}

	/** A segment that is complete. */
	segment(msn: number, generation: string): Buffer | undefined {
		const segment = this.#find(msn, generation);
		return segment?.complete ? (segment.whole ??= Buffer.concat(segment.parts.map(({ data }) => data))) : undefined;
	}

	part(msn: number, part: number, generation: string): Buffer | undefined {
		return this.#find(msn, generation)?.parts[part]?.data;
	}

	/** Whether that is the part that the playlist announces as the next. */
	announces(msn: number, part: number, generation: string): boolean {
		const next = nextPart(this.#segments);
		return !this.#ended && next !== undefined && next.msn === msn && next.part === part && next.generation === generation;
	}

	/** Resolves when it holds, which is looked at with each change, or when the time is up: whether it holds then. */
	async when(holds: () => boolean, timeoutMs: number): Promise<boolean> {
		const deadline = Promise.withResolvers<'late'>();
		const timer = setTimeout(() => deadline.resolve('late'), timeoutMs);
		for (let late = false; !late && !this.#abandoned && !holds(); ) {
			late = (await Promise.race([this.#changed.promise, deadline.promise])) === 'late';
		}
		clearTimeout(timer);
		return holds();
	}

	#find(msn: number, generation: string): Segment | undefined {
		return this.#segments.findLast((segment) => segment.msn === msn && segment.generation.id === generation);
	}

	#place(generation: Generation, part: Part): void {
		let segment = this.#find(part.msn, part.generation);
		if (!segment) {
			const before = this.#segments.at(-1);
			if (before) {
				before.complete = true;
			}
			this.#generations.set(generation.id, generation);
			segment = { msn: part.msn, generation, parts: [], complete: false, whole: undefined };
			this.#segments.push(segment);
			this.#trim();
		}
		segment.parts.push(part);
		segment.complete ||= segment.parts.length === SEGMENT_PARTS;
	}

	#trim(): void {
		this.#segments.splice(0, Math.max(0, this.#segments.length - WINDOW_SEGMENTS));
		for (const id of this.#generations.keys()) {
			if (!this.#segments.some(({ generation }) => generation.id === id)) {
				this.#generations.delete(id);
			}
		}
	}

	#clear(): void {
		this.#segments.length = 0;
		this.#generations.clear();
	}

	#tell(): void {
		this.#playlist = undefined;
		const changed = this.#changed;
		this.#changed = Promise.withResolvers();
		changed.resolve();
	}
}
