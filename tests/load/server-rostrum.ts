// The server under test: Rostrum without its HTTP layer, one stage shard and one listener shard.
import pino from 'pino';
import type { PackingMs } from '../../sfu/contract/media-types.ts';
import { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { Room } from '../../server/rooms/room.ts';
import { programmesAlone } from '../support/alone.ts';
import { loopbackShards } from '../support/supervisor-options.ts';
import { type FromServer, REHEARSAL_JOINS, type ServerProcess, type ToServer } from './messages.ts';

const [mediaPort = 26_000, talkers = 1, packing = 0, spareTransports = 0] = process.argv.slice(2).map(Number);
const speakerOf = (talker: number): string => `speaker-${talker + 1}`;
const log = pino({ level: 'warn' }, pino.destination(2));
const supervisor = await Supervisor.start({ ...loopbackShards(mediaPort), connectTimeoutMs: 20_000, maxListenersPerShard: 5_000, requestTimeoutMs: 20_000, rehearsalJoins: REHEARSAL_JOINS, spareTransports, log });
await supervisor.rehearsed();
const programmes = programmesAlone({
	supervisor,
	maxListenersPerShard: 5_000,
	autoPacking: { thresholdListeners: 200, smallMs: 20, largeMs: 60 },
	log,
});
const room: Room = {
	id: 'bench',
	title: 'Bench',
	voices: 3,
	packingMs: packing > 0 ? (packing as PackingMs) : 'auto',
	visibility: 'public',
	record: false,
	state: 'live',
	createdAt: '2023-05-24T22:00:00Z',
	version: 1,
};
await programmes.roomChanged(room);
for (let talker = 0; talker < talkers; talker++) {
	await programmes.addSpeaker(room, speakerOf(talker), talker + 1);
}

const tell = (message: FromServer): void => void process.send?.(message);

async function exchange({ id, what, offer, talker = 0 }: Extract<ToServer, { kind: 'exchange' }>): Promise<void> {
	try {
		const { sdp } = await (what === 'listen' ? programmes.listen(room, offer) : programmes.publish(room, speakerOf(talker), offer));
		tell({ kind: 'answer', id, answer: sdp });
	} catch (error) {
		tell({ kind: 'refused', id, message: String(error) });
	}
}

process.on('disconnect', () => process.exit(0)); // Shards leave when their node does.
process.on('message', (message: ToServer) => {
	switch (message.kind) {
		case 'exchange':
			void exchange(message);
			break;
		case 'accept':
			break; // Clients offer.
		case 'status':
			tell({
				kind: 'status',
				packingMs: programmes.describe(room.id)?.packingMs ?? 0,
				spareTransports: supervisor.shards().reduce((sum, { stats }) => sum + (stats?.spareTransports ?? 0), 0),
			});
			break;
		case 'close':
			programmes.close('the benchmark is over');
			void supervisor.close('the benchmark is over', 5_000).then(() => process.exit(0));
	}
});

const processes = supervisor.shards().flatMap(({ assignment, pid = 0, workerPid = 0 }): ServerProcess[] => {
	const part = assignment?.role === 'listener' ? 'media' : 'stage';
	return [
		{ name: `${assignment?.role} shard`, part, pid },
		{ name: `${assignment?.role} worker`, part, pid: workerPid },
	];
});
tell({ kind: 'ready', processes: [{ name: 'node', part: 'control', pid: process.pid }, ...processes] });
