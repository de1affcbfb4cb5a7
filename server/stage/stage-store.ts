import { EventEmitter } from 'node:events';
import type { Homes, HomesEvents } from '../cluster/homes.ts';
import type { StageRoster, StageState } from '../rooms/stage-roster.ts';

/** Where rosters outlive their home. */
export interface StageStore {
	/** Resolves once it is kept. Rejects with DomainError `not_home` when a later home has written, or the epoch is not held. */
	saveStage(roomId: string, epoch: number, roster: StageRoster): Promise<void>;
	/** What was saved last, by whichever home; undefined when nothing was. */
	loadStage(roomId: string): Promise<StageState | undefined>;
	/** The same as far as it is known here, from memory. */
	stageOf?(roomId: string): StageState | undefined;
}

/** What the stage needs to know of who lives here. */
export type StageHomes = Pick<Homes, 'epochOf'> & Pick<EventEmitter<HomesEvents>, 'on' | 'off'>;

/** For a node without others: every room lives here for good. */
export function alwaysHome(): StageHomes {
	return Object.assign(new EventEmitter<HomesEvents>(), { epochOf: () => 1 });
}

/** For a node whose stages end with it: people are back on them within seconds of its return. */
export const FORGETFUL_STAGE_STORE: StageStore = {
	saveStage: async () => {},
	loadStage: async () => undefined,
};
