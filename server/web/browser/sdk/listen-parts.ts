import { LevelMeter } from './level-meter.ts';
import { ListenConnection } from './listen-connection.ts';
import { OverflowPlayer } from './overflow-player.ts';
import { type PageEvents, watchPage } from './page-watch.ts';
import { VoicePlayers } from './voice-players.ts';

/** What of a class others can see: something else can then stand in for it. */
type Face<T> = Pick<T, keyof T>;

export type Connection = Face<ListenConnection>;

/** All that a `ListenSession` needs of a browser. */
export interface ListenParts {
	connect(voices: number, token: string | undefined): Connection;
	players(onBlocked: () => void): Face<VoicePlayers>;
	meter(): Face<LevelMeter>;
	overflow(random: () => number): Face<OverflowPlayer>;
	/** @returns stops watching */
	watchPage(events: PageEvents): () => void;
}

export const browserParts: ListenParts = {
	connect: (voices, token) => ListenConnection.create(voices, token),
	players: (onBlocked) => new VoicePlayers(onBlocked),
	meter: () => new LevelMeter(),
	overflow: (random) => new OverflowPlayer(random),
	watchPage,
};
