import type { Static } from 'typebox';
import type { Drain } from '../../http/schemas.ts';
import { CliFailure } from './api-client.ts';
import type { CliWorld } from './cli-context.ts';

type DrainState = Static<typeof Drain>;

export interface DrainWatchOptions {
	world: Pick<CliWorld, 'err' | 'terminal' | 'sleep'>;
	/** Of what is drained. */
	name: string;
	/** No progress is shown. */
	quiet: boolean;
}

const EVERY_MS = 500;
const BAR = 24;
/** A node that does not answer for so long while it is drained is not going to. */
const SILENT_QUESTIONS = 20;

/** Follows a drain to its end: a bar on a terminal, a line for each change elsewhere. */
export class DrainWatch {
	readonly #options: DrainWatchOptions;
	#shown = '';

	constructor(options: DrainWatchOptions) {
		this.#options = options;
	}

	/**
	 * @param ask undefined: it is not being drained
	 * @returns how it ended; `gone`: the node has ended after it had begun to drain
	 */
	async until(begun: DrainState, ask: () => Promise<DrainState | undefined>): Promise<DrainState | 'gone' | 'called off'> {
		let state: DrainState | undefined = begun;
		for (let silent = 0; ; ) {
			if (state === undefined || state.state === 'active') return this.#end('called off');
			this.#show(state);
			if (state.state === 'drained') return this.#end(state);
			await this.#options.world.sleep(EVERY_MS);
			try {
				state = await ask();
				silent = 0;
			} catch (error) {
				if (!(error instanceof CliFailure)) throw error;
				if (error.code === 'node_not_found') return this.#end('gone');
				// Busy nodes answer late; refusals of another kind do not get better.
				if ((error.code !== undefined && error.code !== 'peer_unreachable') || ++silent >= SILENT_QUESTIONS) throw error;
			}
		}
	}

	#end<T>(result: T): T {
		if (this.#options.world.terminal && this.#shown !== '') this.#options.world.err('\n');
		return result;
	}

	#show({ listenersAtStart, listenersNow, homesLeft, waiting }: DrainState): void {
		const { world, name, quiet } = this.#options;
		const done = listenersAtStart === 0 ? 1 : Math.max(0, 1 - listenersNow / listenersAtStart);
		const filled = Math.round(done * BAR);
		const words = `${name}: ${listenersNow} of ${listenersAtStart} listeners left${homesLeft > 0 ? `, ${homesLeft} rooms` : ''}${waiting === undefined ? '' : ` (${waiting})`}`;
		if (quiet || words === this.#shown) return;
		world.err(world.terminal ? `\r\u001b[K[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${words}` : `${words}\n`);
		this.#shown = words;
	}
}
