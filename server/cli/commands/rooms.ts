import type { Command } from 'commander';
import type { Static } from 'typebox';
import type { RoomResource } from '../../http/schemas.ts';
import { segment } from './api-client.ts';
import { type CliContext, instant, orMissing, table, wholeNumber, WrongUse } from './cli-context.ts';

type Room = Static<typeof RoomResource>;

const STATES = ['scheduled', 'open', 'live', 'ended'] as const;
const PACKINGS = ['auto', '20', '40', '60', '120'] as const;
const path = (id: string): string => `/v1/rooms/${segment(id)}`;

interface Settings {
	title?: string;
	description?: string;
	at?: string;
	doors?: string;
	ends?: string;
	timeZone?: string;
	expect?: number;
	max?: number;
	voices?: number;
	packing?: string;
	private?: boolean;
	public?: boolean;
	record?: boolean;
}

/** rostrum room …: everything about rooms. */
export function addRooms(program: Command, context: CliContext): void {
	const room = program.command('room').description('make, list, change, open, start, end and delete rooms');

	withSettings(room.command('create').description('make a room').requiredOption('--title <title>', 'what it is called').option('--id <id>', 'its part of the link; made up when absent')).action(
		async (options: Settings & { id?: string }) => {
			const made = await context.api.send<Room>('POST', '/v1/rooms', { ...(options.id === undefined ? {} : { id: options.id }), ...settingsOf(options) });
			context.show(made, () => describe(made));
		},
	);

	withSettings(room.command('edit <room>').description('change a room').option('--title <title>', 'what it is called')).action(async (id: string, options: Settings) => {
		const settings = settingsOf(options);
		if (Object.keys(settings).length === 0) throw new WrongUse('say what is to be changed');
		const changed = await context.api.send<Room>('PATCH', path(id), settings);
		context.show(changed, () => describe(changed));
	});

	room
		.command('list')
		.description('all rooms')
		.option('--state <state>', STATES.join(', '))
		.action(async ({ state }: { state?: string }) => {
			if (state !== undefined && !STATES.some((known) => known === state)) throw new WrongUse(`--state is one of ${STATES.join(', ')}`);
			const rooms: Room[] = [];
			for (let after: string | undefined; ; ) {
				const page = await context.api.get<{ rooms: Room[]; next?: string }>(`/v1/rooms?limit=100${state === undefined ? '' : `&state=${state}`}${after === undefined ? '' : `&after=${segment(after)}`}`);
				rooms.push(...page.rooms);
				if (page.next === undefined) break;
				after = page.next;
			}
			context.show({ rooms }, () =>
				rooms.length === 0 ? 'No rooms.' : table(['ID', 'STATE', 'LISTENERS', 'STARTS', 'TITLE'], rooms.map((each) => [each.id, each.state, String(each.listenerCount), each.scheduledAt ?? '-', each.title])),
			);
		});

	room
		.command('show <room>')
		.description('one room, with who is on stage')
		.action(async (id: string) => {
			const found = await context.api.get<Room>(path(id));
			context.show(found, () => describe(found));
		});

	for (const [name, words, done] of [
		['open', 'open the doors: people may connect and wait', 'The doors are open.'],
		['start', 'go live', 'Live.'],
		['end', 'end it for everybody, for good', 'Ended.'],
	] as const) {
		room
			.command(`${name} <room>`)
			.description(words)
			.action(async (id: string) => {
				const changed = await context.api.send<Room>('POST', `${path(id)}/${name}`);
				context.show(changed, () => done);
			});
	}

	room
		.command('cancel <room>')
		.description('end a room that was never on air, and say why')
		.option('--reason <text>', 'shown to those who come')
		.action(async (id: string, { reason }: { reason?: string }) => {
			const changed = await context.api.send<Room>('POST', `${path(id)}/cancel`, reason === undefined ? {} : { reason }).catch(orMissing('cancelling'));
			context.show(changed, () => 'Cancelled.');
		});

	room
		.command('delete <room>')
		.description('end it and remove it')
		.action(async (id: string) => {
			await context.api.send<undefined>('DELETE', path(id));
			context.show({ deleted: id }, () => 'Deleted.');
		});

	room
		.command('placement <room>')
		.description('where it lives, and through which tree of links it reaches its listeners')
		.action(async (id: string) => {
			const placement = await context.api.get<Placement>(`/v1/admin/rooms/${segment(id)}/placement`);
			context.show(placement, () => drawPlacement(placement));
		});
}

interface Placement {
	home: { node: string; epoch: number } | null;
	originShard: number | null;
	listeners: Record<string, number>;
	edges: { node: string; shard: number; depth: number | null; children: number }[];
}

function drawPlacement({ home, originShard, listeners, edges }: Placement): string {
	return [
		home === null ? 'It lives on no node yet.' : `origin: ${home.node}, shard ${originShard ?? '-'} (epoch ${home.epoch})`,
		...edges.map(({ node, shard, depth, children }) => `${'  '.repeat(depth ?? 1)}${depth === null ? '(has lost its upstream) ' : ''}${node}, shard ${shard}${children > 0 ? ' (relay)' : ''}`),
		...Object.entries(listeners).map(([node, count]) => `${node}: ${count} listening`),
	].join('\n');
}

function withSettings(command: Command): Command {
	return command
		.option('--description <text>')
		.option('--at <time>', 'when it starts, such as 2026-05-24T18:00:00+02:00', instant('--at'))
		.option('--doors <time>', 'when the doors open', instant('--doors'))
		.option('--ends <time>', 'when it ends by itself', instant('--ends'))
		.option('--time-zone <zone>', 'in which it is announced, such as Europe/Berlin')
		.option('--expect <listeners>', 'how many will come', wholeNumber('--expect'))
		.option('--max <listeners>', 'how many may come', wholeNumber('--max'))
		.option('--voices <number>', 'who are heard at the same time (1 to 8)', wholeNumber('--voices'))
		.option('--packing <ms>', `speech in a packet: ${PACKINGS.join(', ')}`)
		.option('--private', 'only with a link')
		.option('--public', 'everybody may listen')
		.option('--record', 'record when it goes live');
}

function settingsOf({ title, description, at, doors, ends, timeZone, expect, max, voices, packing, private: isPrivate, public: isPublic, record }: Settings): object {
	if (packing !== undefined && !PACKINGS.some((known) => known === packing)) throw new WrongUse(`--packing is one of ${PACKINGS.join(', ')}`);
	if (isPrivate === true && isPublic === true) throw new WrongUse('--private or --public, not both');
	const settings = {
		title,
		description,
		scheduledAt: at,
		doorsOpenAt: doors,
		endsAt: ends,
		timeZone,
		expectedListeners: expect,
		maxListeners: max,
		voices,
		packingMs: packing === undefined || packing === 'auto' ? packing : Number(packing),
		visibility: isPrivate === true ? 'private' : isPublic === true ? 'public' : undefined,
		record,
	};
	return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function describe(room: Room): string {
	const lines: (readonly [string, string | undefined])[] = [
		['id', room.id],
		['title', room.title],
		['state', room.state],
		['doors open', room.doorsOpenAt],
		['starts', room.scheduledAt],
		['listeners', `${room.listenerCount}${room.maxListeners === undefined ? '' : ` of at most ${room.maxListeners}`}`],
		['who may listen', room.visibility === 'private' ? 'with a link' : 'everybody'],
		['listen', room.links.listen],
		...room.stage.map(({ name, role, muted, connected, id }) => ['on stage', `${name} (${role}${muted ? ', muted' : ''}${connected ? '' : ', reconnecting'})${id === undefined ? '' : `  ${id}`}`] as const),
	];
	const width = Math.max(...lines.map(([name]) => name.length));
	return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(width)}  ${value}`])).join('\n');
}
