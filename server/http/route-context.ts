import type { BanList } from './ban-list.ts';
import type { AppDeps } from './deps.ts';
import type { Links } from './links.ts';

/** What every route file is given. */
export interface RouteContext {
	readonly deps: AppDeps;
	readonly links: Links;
	readonly bans: BanList;
}
