import fc from 'fast-check';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import type { Room } from '../../server/rooms/room.ts';
import { LinkFleet, type LinkFleetOptions } from '../support/cluster/link-fleet.ts';
import type { PeerRequestName } from '../../server/cluster/peer-protocol.ts';
import type { Passage } from '../support/cluster/link-network.ts';
import type { Fate } from '../support/fakes/fake-shards.ts';

const ROOM: Room = {
	id: 'a', title: 'a', voices: 3, packingMs: 20, visibility: 'public', record: false, state: 'live', createdAt: '2023-05-24T22:00:00Z', version: 1,
};
const LISTENER_SHARDS = [1, 2];
const NODES = 4;

const fleets: LinkFleet[] = [];
function start(options: Partial<LinkFleetOptions> = {}): LinkFleet {
	const fleet = new LinkFleet({ nodes: NODES, ...options });
	fleets.push(fleet);
	return fleet;
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
	for (const fleet of fleets.splice(0)) {
		fleet.close();
	}
	vi.useRealTimers();
});

type Step =
	| { do: 'join' | 'kill' | 'restart'; node: number }
	| { do: 'leave' | 'stall' | 'killShard' | 'reviveShard' | 'endEdge'; node: number; shard: number }
	| { do: 'home'; node: number; noticedAfterMs: number }
	| { do: 'cut'; node: number; other: number }
	| { do: 'heal' | 'reopen' }
	| { do: 'wait'; ms: number };

const node = fc.nat({ max: NODES - 1 });
const shard = fc.constantFrom(0, ...LISTENER_SHARDS);
const step: fc.Arbitrary<Step> = fc.oneof(
	{ weight: 6, arbitrary: fc.record({ do: fc.constant('join' as const), node }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constantFrom('kill' as const, 'restart' as const), node }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constantFrom('leave' as const, 'stall' as const, 'endEdge' as const), node, shard: fc.constantFrom(...LISTENER_SHARDS) }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constantFrom('killShard' as const, 'reviveShard' as const), node, shard }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant('home' as const), node, noticedAfterMs: fc.constantFrom(0, 0, 40, 600) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), node, other: node }) },
	{ weight: 1, arbitrary: fc.constant({ do: 'heal' as const }) },
	{ weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
	{ weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 6_000 })) }) },
);
const fate: fc.Arbitrary<Fate> = fc.record({
	afterMs: fc.nat({ max: 40 }),
	outcome: fc.oneof({ weight: 12, arbitrary: fc.constant('answered' as const) }, { weight: 1, arbitrary: fc.constantFrom('lost', 'failed') }),
});
const passage: fc.Arbitrary<Passage> = fc.record({
	afterMs: fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 700 })),
	outcome: fc.oneof({ weight: 9, arbitrary: fc.constant('arrives' as const) }, { weight: 1, arbitrary: fc.constantFrom('lost', 'unanswered', 'doubled') }),
});

function take(fleet: LinkFleet, now: Exclude<Step, { do: 'wait' }>, refusals: unknown[]): void {
	switch (now.do) {
		case 'join': {
			const { alive, programmes } = fleet.node(now.node);
			if (alive) {
				programmes.listen(ROOM, 'offer').catch((error: unknown) => refusals.push(error));
			}
			break;
		}
		case 'kill':
			if (fleet.living.length > 1) {
				fleet.kill(now.node);
			}
			break;
		case 'restart':
			fleet.restart(now.node);
			break;
		case 'leave':
			fleet.leave(now.node, now.shard, ROOM.id);
			break;
		case 'endEdge':
			fleet.node(now.node).programmes.programmeOf(ROOM.id)?.edges.end(now.shard, 'drained');
			break;
		case 'stall': {
			const { supervisor } = fleet.node(now.node);
			supervisor.emit('shardEvent', now.shard, 'link.stalled', { roomId: ROOM.id, linkId: supervisor.fakes[now.shard]?.edges.get(ROOM.id)?.current ?? '' });
			break;
		}
		case 'killShard':
			fleet.node(now.node).supervisor.kill(now.shard);
			break;
		case 'reviveShard':
			if (fleet.node(now.node).alive) {
				fleet.node(now.node).supervisor.revive(now.shard);
			}
			break;
		case 'home':
			fleet.moveHome(ROOM.id, now.node, now.noticedAfterMs);
			break;
		case 'cut':
			fleet.network.cut(`n${now.node}`, `n${now.other}`);
			break;
		case 'heal':
			fleet.network.heal();
			break;
		case 'reopen': {
			const home = fleet.nodes.findIndex((one) => one.alive && one === fleet.homeOf(ROOM.id));
			fleet.endRoom(ROOM.id);
			fleet.openRoom(ROOM, home >= 0 ? home : fleet.nodes.findIndex(({ alive }) => alive));
		}
	}
}

describe('links between nodes under deaths, cuts, lost messages and moving homes in any order', () => {
	it('make one tree from the one origin once it is quiet, and leave no half behind', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(step, { minLength: 5, maxLength: 60 }), fc.array(fate, { minLength: 1, maxLength: 30 }), fc.array(passage, { minLength: 1, maxLength: 30 }),
				async (steps, fates, passages) => {
					vi.clearAllTimers(); // Of a run that failed, while a smaller one like it is looked for.
					let asked = 0;
					let sent = 0;
					let quiet = false;
					const fleet = start({
						fate: (name) => {
							const { afterMs, outcome } = quiet ? { afterMs: 1, outcome: 'answered' as const } : fates[asked++ % fates.length]!;
							// Closing needs nobody's help, so a living shard always does it.
							return { afterMs, outcome: name.endsWith('.close') ? 'answered' : outcome };
						},
						passage: () => (quiet ? { afterMs: 1, outcome: 'arrives' } : passages[sent++ % passages.length]!),
					});
					const refusals: unknown[] = [];
					fleet.openRoom(ROOM, 0);
					for (const now of steps) {
						if (now.do === 'wait') {
							await vi.advanceTimersByTimeAsync(now.ms);
						} else {
							take(fleet, now, refusals);
						}
					}
					quiet = true;
					fleet.network.heal();
					for (const { alive, supervisor } of fleet.nodes) {
						for (const index of alive ? supervisor.fakes.keys() : []) {
							supervisor.revive(index);
						}
					}
					// Leases of 15 s, renewals every 5 s, and the linger of one relay after the other.
					await vi.advanceTimersByTimeAsync(40_000);
					expect(fleet.troubles(ROOM.id)).toEqual([]);
					const allowed = new Set(['no_capacity', 'media_unavailable', 'room_ended', 'shutting_down']);
					expect(refusals.filter((error) => !(error instanceof DomainError) || !allowed.has(error.code))).toEqual([]);

					fleet.endRoom(ROOM.id);
					await vi.advanceTimersByTimeAsync(1_000);
					expect([...fleet.shards()].filter(({ fake }) => fake.edges.size + fake.origins.size > 0)).toEqual([]);
					fleet.close();
					await vi.advanceTimersByTimeAsync(20);
					expect(vi.getTimerCount()).toBe(0);
				},
			),
			{ numRuns: Number(process.env['RUNS'] ?? 150) },
		);
	}, 120_000);
});

/** Listeners on every listener shard of these nodes (all, when not named), and time for links and books. */
async function fill(fleet: LinkFleet, nodes: readonly number[] = [...fleet.nodes.keys()]): Promise<void> {
	for (const index of nodes) {
		for (const _shard of LISTENER_SHARDS) {
			await Promise.all([fleet.node(index).programmes.listen(ROOM, 'offer'), vi.advanceTimersByTimeAsync(20)]);
		}
	}
	await vi.advanceTimersByTimeAsync(6_000);
	expect(fleet.troubles(ROOM.id)).toEqual([]);
}

/** Edges from which no chain of links leads to the home's origin. */
const deaf = (fleet: LinkFleet): string[] => fleet.troubles(ROOM.id).filter((trouble) => trouble.includes(' -> '));
const linkIds = (fleet: LinkFleet, index: number): string[] =>
	fleet.node(index).programmes.programmeOf(ROOM.id)?.edges.describe().flatMap(({ linkId }) => linkId ?? []) ?? [];
const allLinkIds = (fleet: LinkFleet): string[] => [...fleet.nodes.keys()].flatMap((index) => linkIds(fleet, index));
const everyRequest: PeerRequestName[] = ['findUpstream', 'openDownstream', 'closeDownstream', 'detachEdge', 'relink', 'renewEdges', 'renewLinks', 'openRelay'];

describe('a home that moves', () => {
	it('takes a hundred nodes along in tens of ms, and leaves alone what hangs on relays', async () => {
		const fleet = start({ nodes: 100, maxFanOut: 8 });
		fleet.openRoom(ROOM, 0);
		await fill(fleet);
		const before = Object.fromEntries(everyRequest.map((name) => [name, fleet.network.count(name)]));
		const had = new Set(allLinkIds(fleet));
		fleet.moveHome(ROOM.id, 50);
		await vi.advanceTimersByTimeAsync(40);
		expect(deaf(fleet)).toEqual([]);
		const sent = Object.fromEntries(everyRequest.map((name) => [name, fleet.network.count(name) - (before[name] ?? 0)]));
		// The origin's eight look for the new one; the others only say where they are.
		const kept = allLinkIds(fleet).filter((id) => had.has(id));
		expect(kept).toHaveLength(200 - 8);
		expect(sent).toMatchObject({ relink: 99, openRelay: 0 });
		expect(sent['findUpstream']).toBeLessThanOrEqual(16);
		expect(sent['openDownstream']).toBeLessThanOrEqual(8);
		expect(sent['renewEdges']).toBeLessThanOrEqual(200);
		await vi.advanceTimersByTimeAsync(6_000);
		expect(fleet.troubles(ROOM.id)).toEqual([]);
	});

	it('does not hear from the former one that nobody is known there, just when all say where they are', async () => {
		const fleet = start({ nodes: 20 });
		fleet.openRoom(ROOM, 0);
		await fill(fleet, [...fleet.nodes.keys()].slice(1));
		const home = fleet.node(0);
		fleet.moveHome(ROOM.id, 5);
		const { edges } = fleet.node(7).programmes.programmeOf(ROOM.id)!;
		const list = [...edges.links()].map(({ shard, upstream }) => ({ roomId: ROOM.id, edge: { nodeId: 'n7', shard }, upstream }));
		expect(list).toHaveLength(2);
		expect(await home.links.handlers.renewEdges({ edges: list }, 'n7')).toEqual({ unknown: [] });
		expect(home.programmes.programmeOf(ROOM.id)?.tree.size).toBe(0);
	});

	it('is believed before its heartbeat comes, and one that was replaced is not', async () => {
		const fleet = start();
		fleet.openRoom(ROOM, 0);
		await fill(fleet, [1, 2]);
		// Nobody's view changes any more: only the home's own word is left.
		for (const { links } of fleet.nodes) {
			vi.spyOn(links, 'homesChanged').mockImplementation(() => undefined);
		}
		fleet.moveHome(ROOM.id, 3);
		await vi.advanceTimersByTimeAsync(20);
		expect(deaf(fleet)).toEqual([]);
		const had = linkIds(fleet, 1);
		expect(fleet.edges(ROOM.id).filter(({ ref, upstream }) => ref.nodeId === 'n1' && upstream?.shard === 'origin')).not.toEqual([]);
		await fleet.node(1).links.handlers.relink({ roomId: ROOM.id, epoch: 1 }, 'n0');
		await vi.advanceTimersByTimeAsync(4_000);
		expect(linkIds(fleet, 1)).toEqual(had);
	});

	it.each([
		['as soon as it has said so itself', 'arrives' as const, 20],
		['else as soon as that is heard of', 'lost' as const, 20],
	])('has the edges of the former one with it, %s', async (_when, outcome, afterMs) => {
		const fleet = start({ roles: ['stage', 'listener'], passage: (name) => ({ afterMs: 1, outcome: name === 'relink' ? outcome : 'arrives' }) });
		fleet.openRoom(ROOM, 0);
		await vi.advanceTimersByTimeAsync(2_000);
		fleet.node(0).supervisor.kill(0);
		// Those that have an edge already are told; this one shall be.
		await Promise.all([fleet.node(0).programmes.listen(ROOM, 'offer'), vi.advanceTimersByTimeAsync(2_000)]);
		fleet.moveHome(ROOM.id, 1, 2_000);
		await vi.advanceTimersByTimeAsync(1_900);
		// It believes that it is the home, and that its origin's coming will link the edge.
		await fleet.node(0).programmes.endListeners(undefined, 'drained');
		void fleet.node(0).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(afterMs);
		expect(fleet.edges(ROOM.id).filter(({ ref }) => ref.nodeId === 'n0')).toMatchObject([{ upstream: { nodeId: 'n1' } }]);
	});

	it('links its own edges and all others after a death as soon as its origin is there', async () => {
		const fleet = start();
		fleet.openRoom(ROOM, 0);
		await fill(fleet);
		fleet.kill(0);
		await vi.advanceTimersByTimeAsync(2_350);
		expect(fleet.homeOf(ROOM.id)).toBe(fleet.node(1));
		expect(deaf(fleet)).toEqual([]);
	});
});

describe('a home that moves while messages are lost', () => {
	it('is found by its heartbeat when its own word was lost', async () => {
		const fleet = start({ passage: (name) => ({ afterMs: 1, outcome: name === 'relink' ? 'lost' : 'arrives' }) });
		fleet.openRoom(ROOM, 0);
		await fill(fleet, [1, 2]);
		fleet.moveHome(ROOM.id, 3);
		await vi.advanceTimersByTimeAsync(560);
		expect(deaf(fleet)).toEqual([]);
	});

	it('keeps no book of the time when it was home before', async () => {
		const fleet = start();
		fleet.openRoom(ROOM, 0);
		await fill(fleet);
		fleet.moveHome(ROOM.id, 1);
		expect(fleet.node(0).programmes.programmeOf(ROOM.id)?.tree.size).toBe(0);
	});
});

describe('an edge that is closed', () => {
	it('leaves the home\'s book at once, and who hung on it links anew', async () => {
		const fleet = start();
		fleet.openRoom(ROOM, 0);
		await fill(fleet);
		const relay = fleet.edges(ROOM.id).find(({ ref, children }) => children > 0 && ref.nodeId !== 'n0');
		expect(relay).toBeDefined();
		const { nodeId, shard: at } = relay!.ref;
		await fleet.nodes.find((one) => one.nodeId === nodeId)!.programmes.endListeners(at, 'drained');
		await vi.advanceTimersByTimeAsync(20);
		expect(fleet.troubles(ROOM.id)).toEqual([]);
	});
});

describe('an origin that comes back at its home', () => {
	it('is linked at once by those who had it, and by those who asked for it in vain', async () => {
		const fleet = start({ roles: ['stage', 'listener'] });
		fleet.openRoom(ROOM, 0);
		await Promise.all([fleet.node(1).programmes.listen(ROOM, 'offer'), vi.advanceTimersByTimeAsync(6_000)]);
		fleet.node(0).supervisor.kill(0);
		// Its attempts are 2 s apart by the end.
		await Promise.all([fleet.node(2).programmes.listen(ROOM, 'offer'), vi.advanceTimersByTimeAsync(8_300)]);
		fleet.node(0).supervisor.revive(0);
		await vi.advanceTimersByTimeAsync(20);
		expect(deaf(fleet)).toEqual([]);
	});

	it('does not disturb what hangs on relays, on its own node neither', async () => {
		const fleet = start();
		fleet.openRoom(ROOM, 0);
		await fill(fleet);
		const origin = fleet.node(0).programmes.programmeOf(ROOM.id)?.tree.children({ nodeId: 'n0', shard: 'origin' }) ?? [];
		expect(origin).toHaveLength(2);
		const all = allLinkIds(fleet);
		fleet.node(0).supervisor.kill(0);
		fleet.node(0).supervisor.revive(0);
		await vi.advanceTimersByTimeAsync(20);
		expect(deaf(fleet)).toEqual([]);
		const kept = new Set(allLinkIds(fleet));
		expect(all.filter((id) => !kept.has(id))).toHaveLength(2);
	});
});

describe('a join', () => {
	it('waits for nobody but its shard, whatever becomes of the other nodes', async () => {
		const fleet = start({ passage: () => ({ afterMs: 1, outcome: 'lost' }) });
		fleet.openRoom(ROOM, 0);
		await vi.advanceTimersByTimeAsync(1_000);
		const startedAt = performance.now();
		let tookMs = Infinity;
		void fleet.node(1).programmes.listen(ROOM, 'offer').then(() => (tookMs = performance.now() - startedAt));
		await vi.advanceTimersByTimeAsync(10);
		expect(tookMs).toBeLessThanOrEqual(4);
	});
});

describe('a link that cannot be made', () => {
	it('is told of once for each edge, however often it is tried', async () => {
		const warnings: string[] = [];
		const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push((JSON.parse(line) as { msg: string }).msg) });
		const fleet = start({ nodes: 2, linkLingerMs: 60_000, log, fate: (name) => ({ afterMs: 1, outcome: name === 'upstream.connect' ? 'failed' : 'answered' }) });
		fleet.openRoom(ROOM, 0);
		await vi.advanceTimersByTimeAsync(1_000);
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(20_000);
		expect(fleet.network.count('openDownstream')).toBeGreaterThan(5);
		// The second is of the relay that the home opened to help.
		expect(warnings).toEqual(['a link failed; making another', 'a link failed; making another']);
	});

	it('is made elsewhere without a pause when the upstream\'s node refuses connections', async () => {
		const fleet = start({ roles: ['stage', 'listener'] });
		fleet.openRoom(ROOM, 0);
		await Promise.all([...[1, 3].map((index) => fleet.node(index).programmes.listen(ROOM, 'offer')), vi.advanceTimersByTimeAsync(6_000)]);
		expect(fleet.edges(ROOM.id).map(({ upstream }) => upstream?.shard)).toEqual(['origin', 'origin']);
		// The home believes in the relay on n1 until its silence has been observed.
		fleet.kill(1);
		void fleet.node(2).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(60);
		expect(deaf(fleet)).toEqual([]);
	});

	it('leaves no sending half behind when the shard took too long and the word to close it was lost', async () => {
		const fates: Fate['outcome'][] = [];
		let lostWords = 2; // Of the two links that fail; whoever moves on afterwards says so and is heard.
		const fleet = start({
			roles: ['stage', 'listener'],
			maxFanOut: 3,
			fate: (name) => ({ afterMs: 1, outcome: name === 'downstream.create' ? (fates.shift() ?? 'answered') : 'answered' }),
			passage: (name) => ({ afterMs: 1, outcome: name === 'closeDownstream' && lostWords-- > 0 ? 'lost' : 'arrives' }),
		});
		fleet.openRoom(ROOM, 0);
		await vi.advanceTimersByTimeAsync(1_000);
		fates.push('lost', 'lost');
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(1_000);
		expect(deaf(fleet)).toEqual([]);
		expect(fleet.halves(ROOM.id)).toEqual([]);
	});

	it('is not made after all when it was closed while the relay was still being opened', async () => {
		const fleet = start({ roles: ['stage', 'listener'], fate: (name) => ({ afterMs: name === 'edge.open' ? 100 : 1, outcome: 'answered' }) });
		fleet.openRoom(ROOM, 0);
		await vi.advanceTimersByTimeAsync(2_000);
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		const { handlers } = fleet.node(1).links;
		const link = { roomId: ROOM.id, linkId: 'a-link-by-hand', upstream: { nodeId: 'n1', shard: 1 } };
		const outcome = handlers.openDownstream({ ...link, child: { nodeId: 'n2', shard: 1 }, remote: { ip: '127.0.0.1', port: 9 } }, 'n2').catch((error: unknown) => error);
		await handlers.closeDownstream(link, 'n2');
		await vi.advanceTimersByTimeAsync(200);
		expect(await outcome).toMatchObject({ code: 'upstream_unavailable' });
		expect(fleet.halves(ROOM.id)).toEqual([]);
	});

	it('was asked for twice: the half that is there is known, and closed when nobody renews it', async () => {
		const fleet = start({
			fate: (name) => ({ afterMs: name === 'downstream.create' ? 60 : 1, outcome: 'answered' }),
			passage: (name) => ({ afterMs: 10, outcome: name === 'openDownstream' ? 'doubled' : 'arrives' }),
		});
		fleet.openRoom(ROOM, 0);
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(5_000);
		fleet.kill(1);
		await vi.advanceTimersByTimeAsync(20_000);
		expect(fleet.halves(ROOM.id)).toEqual([]);
	});
});

describe('a link that is overtaken in its last step', () => {
	it('serves until its successor is there, and does not leave the edge without any', async () => {
		const connects: Fate[] = [];
		const finds: Passage[] = [];
		const fleet = start({
			roles: ['stage', 'listener'],
			fate: (name) => (name === 'upstream.connect' ? connects.shift() : undefined) ?? { afterMs: 1, outcome: 'answered' },
			passage: (name) => (name === 'findUpstream' ? finds.shift() : undefined) ?? { afterMs: 1, outcome: 'arrives' },
		});
		fleet.openRoom(ROOM, 0);
		await vi.advanceTimersByTimeAsync(2_000);
		connects.push({ afterMs: 30, outcome: 'answered' });
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(20);
		expect(connects).toEqual([]);
		finds.push({ afterMs: 500, outcome: 'arrives' });
		fleet.node(1).programmes.programmeOf(ROOM.id)?.edges.relink([1]);
		await vi.advanceTimersByTimeAsync(40);
		expect(deaf(fleet)).toEqual([]);
		const [first] = linkIds(fleet, 1);
		expect(first).toBeDefined();
		await vi.advanceTimersByTimeAsync(6_000);
		expect(fleet.troubles(ROOM.id)).toEqual([]);
		expect(linkIds(fleet, 1)).not.toEqual([first]);
	});
});

describe('a node that closes', () => {
	it('leaves no attempt to link behind', async () => {
		const fleet = start({ nodes: 2, fate: (name) => ({ afterMs: 1, outcome: name === 'upstream.create' ? 'failed' : 'answered' }) });
		fleet.openRoom(ROOM, 0);
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(5_000);
		fleet.close();
		await vi.advanceTimersByTimeAsync(20);
		expect(vi.getTimerCount()).toBe(0);
	});
});

describe('an edge that is closed and opened again while it is linked', () => {
	it('is not taken over by the link that was begun for the former one', async () => {
		let slowFind = false;
		const fleet = start({ roles: ['stage', 'listener'], passage: (name) => ({ afterMs: name === 'findUpstream' && slowFind ? 30 : 1, outcome: 'arrives' }) });
		fleet.openRoom(ROOM, 0);
		await vi.advanceTimersByTimeAsync(1_000);
		slowFind = true;
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(10);
		slowFind = false;
		await fleet.node(1).programmes.endListeners(undefined, 'drained');
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		const linked = vi.waitUntil(() => linkIds(fleet, 1).length > 0);
		await vi.advanceTimersByTimeAsync(40);
		await linked;
		const [first] = linkIds(fleet, 1);
		await vi.advanceTimersByTimeAsync(400);
		expect(deaf(fleet)).toEqual([]);
		expect(linkIds(fleet, 1)).toEqual([first]);
		expect(fleet.node(1).supervisor.fakes[1]?.asked.filter((name) => name === 'upstream.create')).toHaveLength(1);
	});
});

describe('a node that dies', () => {
	it('is sent nothing any more once that is noticed', async () => {
		const fleet = start({ roles: ['stage', 'listener'] });
		fleet.openRoom(ROOM, 0);
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(6_000);
		fleet.kill(1);
		expect(fleet.halves(ROOM.id)).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(2_600);
		expect(fleet.halves(ROOM.id)).toEqual([]);
	});
});

describe('a node that cannot reach the home', () => {
	it('is linked by way of another, to one that both can reach', async () => {
		const fleet = start({ roles: ['stage', 'listener'] });
		fleet.openRoom(ROOM, 0);
		fleet.network.cut('n0', 'n1');
		void fleet.node(1).programmes.listen(ROOM, 'offer');
		await vi.advanceTimersByTimeAsync(1_500);
		expect(fleet.edges(ROOM.id).find(({ ref }) => ref.nodeId === 'n1')?.upstream).toMatchObject({ nodeId: 'n2' });
		expect(deaf(fleet)).toEqual([]);
		await vi.advanceTimersByTimeAsync(60_000);
		expect(deaf(fleet)).toEqual([]);
	});

	it('gets the programme back although everybody, the home too, hangs on its own edges', async () => {
		const fleet = start({ nodes: 3 });
		fleet.openRoom(ROOM, 0);
		await vi.advanceTimersByTimeAsync(1_000); // All have heard where it lives.
		// Two links may begin at the origin, and this node has them both.
		for (const index of [1, 1, 2, 2, 0, 0]) {
			void fleet.node(index).programmes.listen(ROOM, 'offer');
			await vi.advanceTimersByTimeAsync(50);
		}
		expect(fleet.node(0).programmes.programmeOf(ROOM.id)?.tree.children({ nodeId: 'n0', shard: 'origin' }).map(({ nodeId }) => nodeId)).toEqual(['n1', 'n1']);
		fleet.network.cut('n0', 'n1');
		await vi.advanceTimersByTimeAsync(3_000);
		expect(deaf(fleet)).toEqual([]);
		await vi.advanceTimersByTimeAsync(60_000);
		expect(deaf(fleet)).toEqual([]);
		fleet.network.heal();
		await vi.advanceTimersByTimeAsync(30_000);
		expect(fleet.troubles(ROOM.id)).toEqual([]);
	});
});
