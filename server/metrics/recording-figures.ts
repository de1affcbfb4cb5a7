import type { Registry } from '@prometheus-io/client';
import type { RecordingFigures } from '../recording/recordings.ts';
import { addFigure, one } from './figure.ts';

/** What is recorded here, what hinders it, and the disk it goes to. */
export function addRecordingFigures(registers: Registry[], figures: () => RecordingFigures): void {
	addFigure(registers, { name: 'rostrum_recordings_running', help: 'Rooms that this node records', kind: 'gauge', read: () => one(figures().running) });
	addFigure(registers, { name: 'rostrum_recordings_paused', help: 'Of those: rooms of which nothing is recorded at present', kind: 'gauge', read: () => one(figures().paused) });
	addFigure(registers, {
		name: 'rostrum_recordings_waiting', help: 'Recordings on this node that are over and no replay yet, by what hinders them (none: their turn comes)', kind: 'gauge', labels: ['problem'],
		read: () => Object.entries({ none: 0, ...figures().waiting }).map(([problem, count]) => [{ problem }, count]),
	});
	addFigure(registers, {
		name: 'rostrum_recording_problems_total', help: 'How often something began to hinder a recording', kind: 'counter', labels: ['problem'],
		read: () => Object.entries(figures().problems).map(([problem, count]) => [{ problem }, count]),
	});
	const ofDisk = (name: string, help: string, value: (disk: NonNullable<RecordingFigures['disk']>) => number) =>
		addFigure(registers, {
			name, help, kind: 'gauge',
			read: () => {
				const { disk } = figures();
				return disk ? one(value(disk)) : [];
			},
		});
	ofDisk('rostrum_recording_disk_free_bytes', 'Free on the disk that recordings go to', ({ freeBytes }) => freeBytes);
	ofDisk('rostrum_recording_disk_bytes', 'Size of that disk', ({ totalBytes }) => totalBytes);
	ofDisk('rostrum_recording_disk_reserve_bytes', 'So much of it recordings leave free', ({ reserveBytes }) => reserveBytes);
}
