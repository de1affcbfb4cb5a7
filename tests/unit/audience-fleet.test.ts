import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { Audience } from '../../server/audience/audience.ts';
import { CaptionLog } from '../../server/audience/caption-log.ts';
import type { ClusterViewEvents, RoomHome } from '../../server/cluster/cluster-view.ts';
import type { HomesEvents } from '../../server/cluster/homes.ts';
import type { NodeReport } from '../../server/cluster/node-report.ts';
import type { Peers } from '../../server/cluster/peer-protocol.ts';
import { DomainError } from '../../server/errors.ts';
import type { Room } from '../../server/rooms/room.ts';
import { aRoom } from '../support/rooms.ts';
import { seeded } from '../support/seeded.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const HALL = aRoom({ id: 'hall', state: 'live' });
/** As large as they are. */
const EPOCH = 59_703_024_804;
const log = pino({ level: 'silent' });

class FleetView extends EventEmitter<ClusterViewEvents> {
	readonly nodeId: string;
	readonly #fleet: Fleet;
	constructor(fleet: Fleet, nodeId: string) {
		super();
		this.#fleet = fleet;
		this.nodeId = nodeId;
	}
	nodes(): NodeReport[] {
		return [...this.#fleet.nodes.values()].filter(({ alive }) => alive).map(({ nodeId }) => ({ nodeId, draining: false }) as NodeReport);
	}
	homeOf(): RoomHome | undefined {
		const { home } = this.#fleet;
		return home && this.#fleet.nodes.get(home.nodeId)?.alive ? home : undefined;
	}
}

class FleetHomes extends EventEmitter<HomesEvents> {
	epoch: number | undefined;
	epochOf(): number | undefined {
		return this.epoch;
	}
}

class FleetRooms extends EventEmitter<{ removed: [Room]; changed: [Room, Room | undefined] }> {
	list(): Room[] {
		return [HALL];
	}
}

class FleetNode {
	readonly nodeId: string;
	readonly homes = new FleetHomes();
	readonly rooms = new FleetRooms();
	readonly view: FleetView;
	readonly audience: Audience;
	readonly told: string[] = [];
	alive = true;

	constructor(fleet: Fleet, nodeId: string) {
		this.nodeId = nodeId;
		this.view = new FleetView(fleet, nodeId);
		this.audience = Audience.create({
			reactions: ['👏', '🔥'],
			captions: new CaptionLog({ now: () => Date.parse('2026-06-01T18:00:00.000Z') + fleet.clock.nowMs() }),
			rooms: this.rooms,
			view: this.view,
			homes: this.homes,
			peers: fleet.peersOf(nodeId),
			clock: fleet.clock,
			randomId: () => `a run of ${nodeId}`,
			log,
		});
		this.audience.on('reactions', () => this.told.push(`${fleet.clock.nowMs()}: ${this.audience.reactionsIn('hall').total}`));
	}

	get lines(): string[] {
		return this.audience.captionsIn('hall').items.map(({ text }) => text);
	}
	get counts(): Record<string, number> {
		return this.audience.reactionsIn('hall').counts;
	}
}

/** Nodes whose network and clock are the test's. */
class Fleet {
	readonly clock = new VirtualClock();
	readonly nodes = new Map<string, FleetNode>();
	home: RoomHome | undefined;
	requests = 0;
	/** How long a message is on its way; undefined: no time at all. */
	delayMs: (() => number) | undefined;
	/** Answers of these are lost on their way back. */
	deafTo: string | undefined;

	constructor(...names: string[]) {
		for (const name of names) this.nodes.set(name, new FleetNode(this, name));
	}

	node(name: string): FleetNode {
		return this.nodes.get(name)!;
	}

	peersOf(from: string): Peers {
		return {
			request: async (to, name, params) => {
				this.requests++;
				const target = this.nodes.get(to);
				const gone = () => new DomainError('peer_unreachable', `${to} does not answer`);
				if (!target?.alive || !this.nodes.get(from)?.alive) throw gone();
				const handlers = target.audience.handlers as unknown as Record<string, (params: unknown, from: string) => Promise<unknown>>;
				await this.#onItsWay();
				const answer: unknown = await handlers[name]!(JSON.parse(JSON.stringify(params)), from);
				await this.#onItsWay();
				if (!target.alive || this.deafTo === to) throw gone();
				return JSON.parse(JSON.stringify(answer)) as never;
			},
		};
	}

	async #onItsWay(): Promise<void> {
		if (this.delayMs === undefined) return;
		const { promise, resolve } = Promise.withResolvers<void>();
		this.clock.schedule(resolve, this.delayMs());
		await promise;
	}

	settle(name: string, epoch: number): void {
		const before = this.home && this.node(this.home.nodeId);
		if (before?.homes.epoch !== undefined) {
			const old = before.homes.epoch;
			before.homes.epoch = undefined;
			if (before.alive) before.homes.emit('lost', 'hall', old, 'released');
		}
		this.home = { nodeId: name, epoch };
		const node = this.node(name);
		node.homes.epoch = epoch;
		node.homes.emit('gained', 'hall', epoch, before !== undefined);
	}

	async pass(ms: number): Promise<void> {
		for (let left = ms; left > 0; left -= 10) {
			await turn();
			this.clock.advance(10);
			if (this.clock.nowMs() % 500 === 0) for (const { view, alive } of this.nodes.values()) if (alive) view.emit('beat');
		}
		await turn();
	}
}

let fleet: Fleet;
beforeEach(async () => {
	fleet = new Fleet('a', 'b', 'c');
	fleet.settle('a', EPOCH);
	await fleet.pass(50);
});

describe('an audience on several nodes', () => {
	it('counts reactions wherever they arrive, and tells their sums everywhere, at most once a second', async () => {
		for (const { audience } of fleet.nodes.values()) audience.watch('hall');
		await fleet.pass(100);
		const tellings = fleet.node('a').told.length;
		for (let round = 0; round < 30; round++) {
			for (const { audience } of fleet.nodes.values()) audience.react('hall', '👏');
			fleet.node('b').audience.react('hall', '🔥');
			await fleet.pass(100);
		}
		await fleet.pass(2_000);
		for (const { counts } of fleet.nodes.values()) expect(counts).toEqual({ '👏': 90, '🔥': 30 });
		for (const { told } of fleet.nodes.values()) expect(told.length - tellings).toBeLessThanOrEqual(6);
	});

	it('refuses what nobody may react with', () => {
		expect(() => fleet.node('b').audience.react('hall', '💣')).toThrow(expect.objectContaining({ code: 'invalid_request' }));
	});

	it('reads elsewhere what is written at the home, within 200 ms, and only there may it be written', async () => {
		fleet.node('b').audience.watch('hall');
		await fleet.pass(500);
		await fleet.node('a').audience.caption('hall', { text: 'Good', final: false });
		await fleet.pass(200);
		expect(fleet.node('b').lines).toEqual(['Good']);
		await fleet.node('a').audience.caption('hall', { text: 'Good evening.' });
		await fleet.pass(200);
		expect(fleet.node('b').lines).toEqual(['Good evening.']);
		await expect(fleet.node('b').audience.caption('hall', { text: 'No.' })).rejects.toMatchObject({ code: 'not_home' });
	});

	it('counts a reaction once although the answer to its telling is lost', async () => {
		fleet.node('b').audience.watch('hall');
		await fleet.pass(500);
		fleet.deafTo = 'a';
		fleet.node('b').audience.react('hall', '👏');
		await fleet.pass(3_000);
		expect(fleet.node('a').counts['👏']).toBe(1);
		fleet.deafTo = undefined;
		await fleet.pass(3_000);
		fleet.node('b').audience.react('hall', '👏');
		await fleet.pass(3_000);
		expect(fleet.node('a').counts['👏']).toBe(2);
		expect(fleet.node('b').counts['👏']).toBe(2);
	});

	it('asks the home one question at a time, which waits while there is nothing to tell', async () => {
		fleet.node('b').audience.watch('hall');
		await fleet.pass(1_000);
		const before = fleet.requests;
		await fleet.pass(20_000);
		// Two nodes follow at most: one with readers, one that stands by.
		expect(fleet.requests - before).toBeLessThanOrEqual(2 * 6);
	});

	it('hands everything on when the home moves, and goes on counting and reading', async () => {
		fleet.node('c').audience.watch('hall');
		fleet.node('a').audience.react('hall', '👏');
		for (const text of ['one', 'two']) await fleet.node('a').audience.caption('hall', { text });
		await fleet.pass(1_500);
		// The very last news have reached nobody when it moves.
		await fleet.node('a').audience.caption('hall', { text: 'three' });
		fleet.node('a').audience.react('hall', '🔥');
		fleet.settle('b', EPOCH + 2);
		const four = fleet.node('b').audience.caption('hall', { text: 'four' });
		await fleet.pass(2_000);
		await four;
		fleet.node('c').audience.react('hall', '👏');
		await fleet.pass(2_500);
		expect(fleet.node('b').audience.captions.of('hall').map(({ text }) => text)).toEqual(['one', 'two', 'three', 'four']);
		expect(fleet.node('c').lines).toEqual(['two', 'three', 'four']);
		for (const { counts } of fleet.nodes.values()) expect(counts).toEqual({ '👏': 2, '🔥': 1 });
	});

	it('loses nothing that had a second to travel when the home dies, although nobody followed elsewhere', async () => {
		fleet.node('a').audience.watch('hall');
		for (const text of ['one', 'two', 'three', 'four']) await fleet.node('a').audience.caption('hall', { text });
		fleet.node('a').audience.react('hall', '👏');
		await fleet.pass(1_600);
		fleet.node('a').alive = false;
		await fleet.pass(1_000);
		// Whichever takes it over: one of the two stood by, and the other asks it.
		fleet.settle('b', EPOCH + 2);
		await fleet.pass(1_000);
		expect(fleet.node('b').audience.captions.of('hall').map(({ text }) => text)).toEqual(['one', 'two', 'three', 'four']);
		expect(fleet.node('b').counts['👏']).toBe(1);
	});

	it('keeps what was given while the room has no home, and tells the next one', async () => {
		fleet.node('c').audience.watch('hall');
		await fleet.pass(1_000);
		fleet.node('a').alive = false;
		fleet.node('c').audience.react('hall', '🔥');
		await fleet.pass(2_000);
		fleet.settle('b', EPOCH + 2);
		await fleet.pass(3_000);
		expect(fleet.node('b').counts['🔥']).toBe(1);
		expect(fleet.node('c').counts['🔥']).toBe(1);
	});

	it('forgets a room that is removed', async () => {
		const { audience, rooms } = fleet.node('a');
		await fleet.pass(500);
		audience.react('hall', '👏');
		await audience.caption('hall', { text: 'one' });
		await fleet.pass(2_000);
		rooms.emit('removed', HALL);
		expect(audience.reactionsIn('hall').total).toBe(0);
		expect(audience.captionsIn('hall').items).toEqual([]);
	});

	it.each([1, 2, 3, 4, 5, 6, 7, 8])('tells everybody everything in the end, whatever overtakes what (%i)', async (seed) => {
		const random = seeded(seed);
		fleet.delayMs = () => Math.floor(random() * 80);
		const names = [...fleet.nodes.keys()];
		const pick = () => names[Math.floor(random() * names.length)]!;
		const given: Record<string, number> = { '👏': 0, '🔥': 0 };
		const written: string[] = [];
		const writing: Promise<unknown>[] = [];
		let epoch = EPOCH;
		for (let round = 0; round < 150; round++) {
			const what = random();
			if (what < 0.3) {
				const reaction = random() < 0.5 ? '👏' : '🔥';
				given[reaction]!++;
				fleet.node(pick()).audience.react('hall', reaction);
			} else if (what < 0.6) {
				const text = `line ${round}`;
				written.push(text);
				writing.push(fleet.node(fleet.home!.nodeId).audience.caption('hall', { text }));
			} else if (what < 0.8) fleet.node(pick()).audience.watch('hall');
			else if (what < 0.9) fleet.node(pick()).audience.unwatch('hall');
			else if (what < 0.93) {
				// Politely: what was begun is finished first.
				await fleet.pass(1_500);
				await Promise.all(writing);
				fleet.settle(pick(), ++epoch);
				await fleet.pass(2_000);
			}
			await fleet.pass(Math.floor(random() * 10) * 10);
		}
		for (const { audience } of fleet.nodes.values()) audience.watch('hall');
		await fleet.pass(5_000);
		await Promise.all(writing);
		for (const { audience, lines, counts } of fleet.nodes.values()) {
			expect(lines).toEqual(written.slice(-3));
			expect(counts).toEqual(given);
			expect(audience.captions.of('hall').length).toBeGreaterThan(0);
		}
		expect(fleet.node(fleet.home!.nodeId).audience.captions.of('hall').map(({ text }) => text)).toEqual(written);
		// News still come quickly.
		await fleet.node(fleet.home!.nodeId).audience.caption('hall', { text: 'the very last' });
		await fleet.pass(500);
		for (const { lines } of fleet.nodes.values()) expect(lines).toContain('the very last');
	});

	it('leaves no timer behind', async () => {
		for (const { audience } of fleet.nodes.values()) audience.watch('hall');
		fleet.node('a').audience.react('hall', '👏');
		fleet.node('a').audience.react('hall', '👏');
		await fleet.pass(100);
		for (const { audience } of fleet.nodes.values()) audience.close();
		await turn();
		expect(fleet.clock.pendingTimers).toBe(0);
	});
});
