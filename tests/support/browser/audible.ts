import type { Page } from 'playwright-core';

/** One hand-over from one set of players to another, as the page's own clock of sound has it. */
export interface AudibleReport {
	/** The longest time without a sound from any player that may be heard, where one player takes over from another. */
	handOverGapMs: number;
	/** The same at all other times: what machine, microphone and network do by themselves. */
	otherGapMs: number;
	/** The longest time in which the same voice was heard from two players. */
	longestDoubleMs: number;
	/** How often a player began to be heard. */
	beginnings: number;
	/** Players that were not running at the moment they began to be heard. */
	coldBeginnings: number;
	measuredMs: number;
}

/** A gap this short is less than what a browser holds back, and any break before the new session is made is longer. */
export const UNHEARD_MS = 150;

/** No stall of a busy machine is that long: such a gap is ours, wherever it is. */
export const NO_STALL_MS = 500;

/** A hand-over's bar on a machine which by itself made those gaps at other times, or to others at the same time. */
export const tolerableGapMs = (barMs: number, ...reports: readonly AudibleReport[]): number => barMs + Math.max(...reports.map(({ otherGapMs }) => otherGapMs));

interface AudibleWindow {
	rostrumAudible: { start(): Promise<void>; stop(): Promise<AudibleReport> };
}

/**
 * Lets a test find out what of a steady sound the page's `<audio>` elements let through: their tracks' samples, in
 * blocks of 128, while the element is neither muted nor without a stream; of one that plays an address (HLS), what it
 * decodes. Call before `goto`.
 */
export async function measureAudible(page: Page): Promise<void> {
	await page.addInitScript(() => {
		const BLOCK = 128;
		/** In samples: a gap within these of a beginning belongs to the hand-over. */
		const [BEFORE, BEHIND] = [0.3 * 48_000, 48_000];
		const worklet = `registerProcessor('loud', class extends AudioWorkletProcessor {
			process([input]) {
				let loud = false;
				for (const sample of input[0] ?? []) if (Math.abs(sample) > 0.003) { loud = true; break; }
				this.port.postMessage([currentFrame, loud]);
				return true;
			}
		});`;
		const elements: HTMLMediaElement[] = [];
		const NativeAudio = globalThis.Audio;
		globalThis.Audio = class extends NativeAudio {
			constructor(...args: ConstructorParameters<typeof Audio>) {
				super(...args);
				elements.push(this);
			}
		};

		let context: AudioContext;
		/** Track id → first samples of its loud blocks. */
		let loud: Map<string, Set<number>>;
		/** Who may be heard from which moment on, in samples. */
		let log: { atSample: number; heard: string[]; cold: number }[];
		const watched = new Set<string>();
		/** What an element that plays an address lets through. */
		const captured = new WeakMap<HTMLMediaElement, MediaStream>();
		const capture = (element: HTMLMediaElement): MediaStream => {
			const stream = captured.get(element) ?? (element as unknown as { captureStream(): MediaStream }).captureStream();
			captured.set(element, stream);
			return stream;
		};
		const trackOf = (element: HTMLMediaElement) =>
			(element.srcObject instanceof MediaStream ? element.srcObject : element.src === '' ? undefined : capture(element))?.getAudioTracks()[0];
		const note = () => {
			const heard = elements.filter((element) => !element.muted && element.volume > 0);
			const ids = heard.flatMap((element) => trackOf(element)?.id ?? []);
			const last = log.at(-1);
			if (last && last.heard.join() === ids.join()) {
				return;
			}
			const begun = heard.filter((element) => !last?.heard.includes(trackOf(element)?.id ?? ''));
			const cold = begun.filter((element) => element.paused || element.readyState < HTMLMediaElement.HAVE_CURRENT_DATA).length;
			log.push({ atSample: context.currentTime * context.sampleRate, heard: ids, cold });
		};
		const watch = (element: HTMLMediaElement) => {
			const track = trackOf(element);
			if (!track || watched.has(track.id)) {
				return;
			}
			watched.add(track.id);
			const node = new AudioWorkletNode(context, 'loud');
			context.createMediaStreamSource(new MediaStream([track])).connect(node);
			node.port.addEventListener('message', ({ data: [frame, isLoud] }: MessageEvent<[number, boolean]>) => {
				if (isLoud) {
					const blocks = loud.get(track.id) ?? new Set();
					loud.set(track.id, blocks.add(frame));
				}
			});
			node.port.start();
		};
		let running = false;
		for (const name of ['srcObject', 'muted', 'volume'] as const) {
			const native = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, name) as Required<PropertyDescriptor>;
			Object.defineProperty(HTMLMediaElement.prototype, name, {
				...native,
				set(this: HTMLMediaElement, value: unknown) {
					native.set.call(this, value);
					if (running) {
						watch(this);
						// All changes of one turn are one change.
						queueMicrotask(note);
					}
				},
			});
		}
		(globalThis as unknown as AudibleWindow).rostrumAudible = {
			async start() {
				context = new AudioContext({ sampleRate: 48_000 });
				await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: 'text/javascript' })));
				[loud, log] = [new Map(), []];
				// Their nodes belong to the context of an earlier measurement.
				watched.clear();
				running = true;
				for (const element of elements) {
					watch(element);
				}
				note();
			},
			async stop() {
				await new Promise((resolve) => setTimeout(resolve, 200));
				running = false;
				const blocks = [...loud.values()].flatMap((set) => [...set]);
				const [first, last] = [Math.min(...blocks), Math.max(...blocks)];
				const begins = log.slice(1).map(({ atSample }) => atSample);
				let [gap, handOverGap, otherGap, double, longestDouble, state] = [0, 0, 0, 0, 0, 0];
				for (let block = first; block <= last; block += BLOCK) {
					while ((log[state + 1]?.atSample ?? Number.POSITIVE_INFINITY) <= block) {
						state++;
					}
					const sounding = (log[state]?.heard ?? []).filter((id) => loud.get(id)?.has(block)).length;
					gap = sounding === 0 ? gap + BLOCK : 0;
					double = sounding > 1 ? double + BLOCK : 0;
					if (begins.some((at) => block >= at - BEFORE && block - gap <= at + BEHIND)) {
						handOverGap = Math.max(handOverGap, gap);
					} else {
						otherGap = Math.max(otherGap, gap);
					}
					longestDouble = Math.max(longestDouble, double);
				}
				void context.close();
				const ms = (samples: number) => Math.round(samples / 4.8) / 10;
				return {
					handOverGapMs: ms(handOverGap),
					otherGapMs: ms(otherGap),
					longestDoubleMs: ms(longestDouble),
					beginnings: log.length - 1,
					coldBeginnings: log.reduce((sum, { cold }) => sum + cold, 0),
					measuredMs: ms(last - first),
				};
			},
		};
	});
}

/** Begins to measure: something must be heard already. */
export const startMeasuring = (page: Page): Promise<void> => page.evaluate(() => (globalThis as unknown as AudibleWindow).rostrumAudible.start());

export const stopMeasuring = (page: Page): Promise<AudibleReport> => page.evaluate(() => (globalThis as unknown as AudibleWindow).rostrumAudible.stop());
