import type { BanList } from './ban-list.ts';
import type { AppDeps } from './deps.ts';
import type { Links } from './links.ts';
import type { JoinLimit } from './plugins/join-limits.ts';

/** What every route file is given. */
export interface RouteContext {
	readonly deps: AppDeps;
	readonly links: Links;
	readonly bans: BanList;
	/** Of the listen route; absent: joins are not limited. */
	readonly limitJoin?: JoinLimit;
}
