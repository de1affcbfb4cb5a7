import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ClusterNetwork } from '../support/cluster/network.ts';

const WHY_NOT = ClusterNetwork.whyNot();

describe.skipIf(WHY_NOT !== undefined)(`the network of hosts${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let network: ClusterNetwork;
	beforeAll(() => {
		network = ClusterNetwork.create({ hosts: ['a', 'b', 'c'] });
	});
	afterAll(() => network.close());
	beforeEach(() => network.restore());

	/** What a connection to a port where nobody listens ends with: a refusal is an answer, nothing at all is none. */
	async function answers(from: string, to: string): Promise<boolean> {
		const script = `require('net').connect({ host: '${network.address(to)}', port: 9 }).on('error', ({ code }) => process.exit(code === 'ECONNREFUSED' ? 0 : 3)); setTimeout(() => process.exit(2), 400)`;
		const child = spawn('ip', ['netns', 'exec', network.netns(from), process.execPath, '-e', script], { stdio: 'inherit' });
		const [code] = (await once(child, 'exit')) as [number];
		return code === 0;
	}
	const reached = async () => {
		const pairs = [['a', 'b'], ['b', 'a'], ['a', 'c'], ['b', 'c']] as const;
		return Object.fromEntries(await Promise.all(pairs.map(async ([from, to]) => [`${from}${to}`, await answers(from, to)] as const)));
	};

	it('joins all hosts', async () => {
		expect(await reached()).toEqual({ ab: true, ba: true, ac: true, bc: true });
	});

	it('cuts two hosts from each other, both ways, and nobody else', async () => {
		network.cut('a', 'b');
		expect(await reached()).toEqual({ ab: false, ba: false, ac: true, bc: true });
		network.heal('a', 'b');
		expect(await reached()).toEqual({ ab: true, ba: true, ac: true, bc: true });
	});

	it('takes a host off the network, and puts it back', async () => {
		network.isolate('b');
		expect(await reached()).toEqual({ ab: false, ba: false, ac: true, bc: false });
		network.rejoin('b');
		expect(await reached()).toEqual({ ab: true, ba: true, ac: true, bc: true });
	});

	it('knows who runs on a host, and leaves nobody behind', async () => {
		const other = ClusterNetwork.create({ hosts: ['x'] });
		const sleeper = spawn('ip', ['netns', 'exec', other.netns('x'), process.execPath, '-e', 'console.log(1); setInterval(() => {}, 1000)'], { stdio: ['ignore', 'pipe', 'inherit'] });
		await once(sleeper.stdout, 'data');
		expect(other.pids('x')).toEqual([sleeper.pid]);
		const gone = once(sleeper, 'exit');
		other.close();
		expect(await gone).toEqual([null, 'SIGKILL']);
	});
	it('is gone when the process that made it is killed', async () => {
		const module = path.resolve(import.meta.dirname, '../support/cluster/network.ts');
		const script = `const { ClusterNetwork } = await import(${JSON.stringify(module)}); console.log(ClusterNetwork.create({ hosts: ['x'] }).netns('x')); setInterval(() => {}, 1000)`;
		const maker = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
		const [name] = (await once(maker.stdout, 'data')) as [Buffer];
		const list = () => spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout;
		expect(list()).toContain(name.toString().trim());
		maker.kill('SIGKILL');
		await expect.poll(list, { timeout: 5_000 }).not.toContain(name.toString().trim());
	});
});
