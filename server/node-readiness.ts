import type { Supervisor } from '../sfu/supervisor/supervisor.ts';
import type { Membership } from './cluster/membership.ts';
import type { ReadinessState } from './http/deps.ts';
import type { Overflow } from './overflow/overflow.ts';
import type { Recordings } from './recording/recordings.ts';

export interface NodeReadinessOptions {
	supervisor: Pick<Supervisor, 'slots'>;
	shuttingDown: boolean;
	draining: boolean;
	/** Undefined for a node that is alone. */
	membership: Pick<Membership, 'view' | 'store'> | undefined;
	overflow?: Pick<Overflow, 'whyNot' | 'isEnabled'>;
	recordings?: Pick<Recordings, 'whyNot' | 'isEnabled'>;
}

/**
 * Whether new people should be sent here, and what is not as it should be. Redis away is told and no reason to stay away:
 * it is away for all nodes alike, and what they carry goes on.
 */
export function nodeReadiness({ supervisor, shuttingDown, draining, membership, overflow, recordings }: NodeReadinessOptions): ReadinessState {
	const count = (role: 'stage' | 'listener') => {
		const slots = supervisor.slots.filter((slot) => slot.role === role);
		const alive = slots.filter((slot) => slot.alive).length;
		return { name: `${role} shards`, ready: alive > 0, detail: `${alive} of ${slots.length}` };
	};
	const refusing = shuttingDown ? 'shutting down' : draining ? 'draining' : undefined;
	const needed = [count('stage'), count('listener'), { name: 'admission', ready: refusing === undefined, ...(refusing ? { detail: refusing } : {}) }];
	return { ready: needed.every(({ ready }) => ready), components: [...needed, ...(membership ? clusterComponents(membership) : []), ...(overflow ? [ffmpegComponent('overflow', overflow)] : []), ...(recordings ? [ffmpegComponent('recording', recordings)] : [])] };
}

/** No reason to stay away either: whoever finds a place here needs no overflow, and an event goes on unrecorded. */
function ffmpegComponent(name: string, { whyNot, isEnabled }: Pick<Overflow, 'whyNot' | 'isEnabled'>): ReadinessState['components'][number] {
	return { name, ready: whyNot === undefined || !isEnabled, ...(whyNot === undefined ? {} : { detail: whyNot }) };
}

function clusterComponents({ view, store }: Pick<Membership, 'view' | 'store'>): ReadinessState['components'] {
	const unsaved = store.unsaved.length;
	const away = `does not answer: rooms known here go on, changes are kept here and saved later${unsaved > 0 ? ` (${unsaved} rooms wait)` : ''}`;
	return [
		{ name: 'redis', ready: view.redisAnswers, ...(view.redisAnswers ? {} : { detail: away }) },
		{ name: 'cluster', ready: true, detail: `${view.nodes().length} nodes` },
	];
}
