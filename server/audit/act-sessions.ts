import type { AuditAct } from './audit-entry.ts';

/** Acts that people do over and over for hours: one entry tells that they began, and one now and then that they went on. */
const REPEATED: ReadonlySet<string> = new Set(['caption.write']);
/** Who has done nothing for so long has stopped; whoever begins again is written down again. */
const QUIET_MS = 15 * 60_000;
/** Who goes on is written down this often, with how much it was. */
const GOING_ON_MS = 3_600_000;
/** At once; beyond that the one who has been quiet for longest is forgotten, and written down sooner than need be. */
const MAX_SESSIONS = 1_000;

interface Session {
	saidAtMs: number;
	lastAtMs: number;
	/** Acts since the last entry. */
	count: number;
}

/**
 * Makes entries about whole stretches of what is done line by line. A captioner of three hours is four entries, not ten thousand:
 * who it was, in which room, with which token, from where and from when on, and for each further hour how many lines.
 */
export class ActSessions {
	readonly #now: () => number;
	readonly #sessions = new Map<string, Session>();

	/** @param now milliseconds since the epoch */
	constructor(now: () => number) {
		this.#now = now;
	}

	/** The entry to write; undefined when an earlier one tells of it. What was refused, or failed, is not what they do over and over. */
	admit(act: AuditAct): AuditAct | undefined {
		if (!REPEATED.has(act.action) || act.outcome !== 'done') {
			return act;
		}
		const nowMs = this.#now();
		// With another token or from somewhere else it may be somebody else.
		const key = JSON.stringify([act.action, act.room, act.actor.subject, act.actor.role, act.actor.tokenId, act.ip]);
		const known = this.#sessions.get(key);
		const goesOn = known !== undefined && nowMs - known.lastAtMs <= QUIET_MS;
		const count = goesOn ? known.count + 1 : 1;
		const isSaid = goesOn && nowMs - known.saidAtMs < GOING_ON_MS;
		this.#sessions.delete(key);
		this.#sessions.set(key, { saidAtMs: isSaid ? known.saidAtMs : nowMs, lastAtMs: nowMs, count: isSaid ? count : 0 });
		for (const oldest of this.#sessions.size > MAX_SESSIONS ? this.#sessions.keys() : []) {
			this.#sessions.delete(oldest);
			break;
		}
		if (isSaid) {
			return undefined;
		}
		// What the first line was about says nothing about the others.
		const { detail: _detail, ...rest } = act;
		return goesOn ? { ...rest, detail: { acts: count, since: new Date(known.saidAtMs).toISOString() } } : rest;
	}
}
