// Every figure that the dashboard and the alerts ask for is told by real nodes: one alone, and one of a cluster.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/cluster/until.ts';
import { metricsIn, queries } from '../support/monitoring/monitoring.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { samplesOf } from '../support/scrape.ts';
import { Receiver } from '../support/webhooks/receiver.ts';

/** Of Prometheus itself, and of the scrape. */
const FOREIGN_LABELS = new Set(['job', 'instance', 'le', 'app']);
/** What nodes tell only as members of a cluster. */
const CLUSTER_ONLY = [
	'rostrum_cluster_nodes', 'rostrum_forwarded_requests_total', 'rostrum_home_changes_total', 'rostrum_homes', 'rostrum_redis_commands_total', 'rostrum_redis_up',
	'rostrum_relayed_stage_sockets', 'rostrum_rooms_unsaved',
];

interface Told {
	/** By TYPE line: there from the start, samples or not. */
	families: Map<string, string>;
	samples: Map<string, number>;
}

let redis: RedisServer;
let alone: RostrumProcess;
let member: RostrumProcess;
let told: { alone: Told; member: Told };

beforeAll(async () => {
	redis = await RedisServer.start();
	[alone, member] = await Promise.all([
		RostrumProcess.start({ mediaPort: 28_800, env: { ROSTRUM_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES: 'true', ROSTRUM_WEBHOOKS_FIRST_RETRY_MS: '50' } }),
		RostrumProcess.start({ mediaPort: 28_900, env: { REDIS_URL: redis.url, ROSTRUM_CLUSTER_SECRET: ADMIN_TOKEN, ROSTRUM_NODE_ID: 'node-a', ROSTRUM_INTERNAL_PORT: '28899' } }),
	]);
	for (const node of [alone, member]) {
		await node.room({ id: 'hall' });
		const listener = await RtcListener.join(async (offer) => (await fetch(`${node.url}/v1/rooms/hall/listen`, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: offer })).text());
		listener.close();
	}
	told = { alone: await scrape(alone), member: await scrape(member) };
}, 90_000);
afterAll(async () => {
	await Promise.all([alone?.stop(), member?.stop()]);
	await redis?.stop();
});

async function scrape({ url }: RostrumProcess): Promise<Told> {
	const text = await (await fetch(`${url}/metrics`)).text();
	return { families: new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type = '']) => [name, type])), samples: samplesOf(text) };
}

/** Whether a scrape has what a query calls by this name. */
function has({ families }: Told, name: string): boolean {
	const ofHistogram = name.replace(/_(bucket|count|sum)$/, '');
	return families.has(name) || (ofHistogram !== name && families.get(ofHistogram) === 'histogram');
}

const asked = queries().flatMap((query) => metricsIn(query));

describe('figures that are asked for', () => {
	it('are many, and all told by a member of a cluster', () => {
		expect(new Set(asked.map(({ name }) => name)).size).toBeGreaterThan(45);
		expect([...new Set(asked.map(({ name }) => name))].filter((name) => !has(told.member, name))).toEqual([]);
	});

	it('are told by a node alone, too, but for those of a cluster', () => {
		const missing = [...new Set(asked.map(({ name }) => name))].filter((name) => !has(told.alone, name));
		expect(missing.toSorted()).toEqual(CLUSTER_ONLY);
	});

	it('have the labels that they are asked by', () => {
		const wrong = asked.flatMap(({ name, labels }) => {
			const samples = [...told.member.samples.keys()].filter((sample) => sample === name || sample.startsWith(`${name}{`));
			const known = new Set(samples.flatMap((sample) => [...sample.matchAll(/[{,](\w+)="/g)].map(([, label]) => label)));
			return samples.length === 0 ? [] : labels.filter((label) => !FOREIGN_LABELS.has(label) && !known.has(label)).map((label) => `${name}{${label}}`);
		});
		expect(wrong).toEqual([]);
	});

	it('are not told under a name that nothing asks for by mistake: a histogram’s own name is no figure', () => {
		const histograms = new Set([...told.member.families].filter(([, type]) => type === 'histogram').map(([name]) => name));
		expect(asked.filter(({ name }) => histograms.has(name))).toEqual([]);
		expect(has(told.member, 'rostrum_no_such_thing')).toBe(false);
	});
});

it('a join is counted where the dashboard looks for it', () => {
	for (const { samples } of [told.alone, told.member]) {
		expect(samples.get('rostrum_join_duration_seconds_count{kind="listen",outcome="joined"}')).toBe(1);
		expect(samples.get('rostrum_admission_admitted_total')).toBe(1);
	}
});

it('webhooks: what was delivered, what failed and was given up, and for how long the oldest has been waiting', async () => {
	const receiver = await Receiver.start();
	try {
		const figures = async () => {
			const { samples } = await scrape(alone);
			const of = (name: string) => samples.get(`rostrum_webhook_${name}`);
			return { delivered: of('attempts_total{outcome="delivered"}'), failed: of('attempts_total{outcome="failed"}'), dead: of('dead_total'), lost: of('lost_total'), waiting: of('deliveries{state="pending"}'), oldest: of('oldest_seconds') ?? -1 };
		};
		expect(await figures()).toEqual({ delivered: 0, failed: 0, dead: 0, lost: 0, waiting: 0, oldest: 0 });
		await alone.json('POST', '/v1/admin/webhooks', { url: receiver.url, events: ['room.created'] });
		const tell = async (id: string) => {
			await alone.room({ id }, 'scheduled');
			await receiver.next(({ data }) => data['room'] === id);
		};
		await tell('delivered');
		await until('it is counted', 5_000, async () => (await figures()).delivered === 1);
		receiver.answer = () => ({ status: 503, headers: { 'retry-after': '600' } });
		await tell('waiting');
		await until('the failure is counted, and it waits', 5_000, async () => {
			const { failed, waiting, oldest } = await figures();
			return failed === 1 && waiting === 1 && oldest > 0.5 && oldest < 60;
		});
		// A receiver that is gone for good ends it: what waits for it is nobody's delay.
		receiver.answer = () => 410;
		await tell('gone');
		await until('it is given up', 5_000, async () => (await figures()).dead === 1);
		await until('nobody waits', 5_000, async () => (await figures()).oldest === 0);
		expect(await figures()).toMatchObject({ delivered: 1, failed: 2, lost: 0 });
	} finally {
		await receiver.stop();
	}
});

it('the audit log: what is written', async () => {
	const written = async () => (await scrape(member)).samples.get('rostrum_audit_entries_total') ?? -1;
	const before = await written();
	await member.token('hall', 'listener', 'Lou');
	expect(await written()).toBe(before + 1);
	expect((await scrape(member)).samples.get('rostrum_audit_lost_total')).toBe(0);
});

it('series of a node are bounded by what it is made of: few enough to be scraped every second', () => {
	expect(told.member.samples.size).toBeLessThan(1_500);
});
