import type { Registry } from '@prometheus-io/client';
import type { JoinQueue } from '../placement/admission/join-queue.ts';
import { addFigure, one } from './figure.ts';

export type AdmissionSource = Pick<JoinQueue, 'joinsPerSecond' | 'waiting' | 'inLine' | 'totals' | 'paces'>;

/** Who is let in, who waits, and at what pace. */
export function addAdmissionFigures(registers: Registry[], source: () => AdmissionSource): void {
	const totals = () => source().totals;
	addFigure(registers, { name: 'rostrum_admission_joins_per_second', help: 'Joins a second that this node holds as things stand, over all shards with places left', kind: 'gauge', read: () => one(source().joinsPerSecond) });
	addFigure(registers, {
		name: 'rostrum_admission_waiting', help: 'Listeners who wait to be let in: in line here (line), or told to come back and still expected (away)', kind: 'gauge', labels: ['where'],
		read: () => {
			const { inLine, waiting } = source();
			return [[{ where: 'line' }, inLine], [{ where: 'away' }, waiting - inLine]];
		},
	});
	addFigure(registers, { name: 'rostrum_admission_admitted_total', help: 'Joins that were let in', kind: 'counter', read: () => one(totals().admitted) });
	addFigure(registers, {
		name: 'rostrum_admission_refused_total', kind: 'counter', labels: ['reason'],
		help: 'Joins that were told to come back: no place left (full), or more at once than the pace allows (paced)',
		read: () => Object.entries(totals().refused).map(([reason, count]) => [{ reason }, count]),
	});
	addFigure(registers, { name: 'rostrum_admission_left_total', help: 'Clients that left while they waited in line', kind: 'counter', read: () => one(totals().left) });
	addFigure(registers, { name: 'rostrum_admission_wait_seconds_total', help: 'Time that those who were let in had waited in line, all together', kind: 'counter', read: () => one(totals().waitedMs / 1000) });
	addFigure(registers, {
		name: 'rostrum_shard_pace_joins_per_second', help: 'Joins a second that the shard holds as things stand', kind: 'gauge', labels: ['shard'],
		read: () => Array.from(source().paces, ([shard, { perSecond }]) => [{ shard }, perSecond]),
	});
	addFigure(registers, {
		name: 'rostrum_shard_joins_under_way', help: 'Joins the shard works on (now), and how many it takes at once (limit)', kind: 'gauge', labels: ['shard', 'stat'],
		read: () => Array.from(source().paces).flatMap(([shard, { underWay, limit }]) => [[{ shard, stat: 'now' }, underWay] as const, [{ shard, stat: 'limit' }, limit] as const]),
	});
}
