import { type Check, failed, number, ok, warning } from './check.ts';
import type { NodeCheck, PreflightCapacity } from './preflight-report.ts';

export interface Words {
	capacity: PreflightCapacity;
	nodes: number;
	/** Whether shards under pressure pack this room more. */
	packsMore: boolean;
}

/** The answer to the question an operator has, in plain sentences. */
export function summaryOf(words: Words, checks: readonly NodeCheck[]): string {
	const { capacity } = words;
	const failures = checks.filter(({ status, check }) => status === 'failed' && check !== 'capacity').length;
	const warnings = checks.filter(({ status, check }) => status === 'warning' && check !== 'capacity').length;
	return [
		holds(words),
		expectation(words),
		...(capacity.nodes.some(({ calibration }) => calibration.source === 'defaults') ? ['Some of this rests on figures of another machine: calibrate this one.'] : []),
		failures > 0 ? `${failures} ${failures === 1 ? 'check' : 'checks'} failed.` : 'No check failed.',
		...(warnings > 0 ? [`${warnings} ${warnings === 1 ? 'thing is' : 'things are'} worth a look.`] : []),
	].join(' ');
}

export function capacityCheck(words: Words): Check {
	const { capacity } = words;
	const said = `${holds(words)} ${expectation(words)}`;
	if (capacity.expectedListeners === undefined || capacity.enough) {
		return capacity.capacity === 0 ? failed('capacity', said, 'No listener shard takes people: see whether nodes are drained.') : ok('capacity', said);
	}
	const advice = `${capacity.moreNodes === undefined ? 'Add nodes' : `Add ${nodes(capacity.moreNodes)} like these`}, or let the rest hear the HLS stream.`;
	// Whoever only waits hears the HLS stream meanwhile, and then the room.
	return capacity.overflowShare > 0 ? failed('capacity', said, advice) : warning('capacity', said, advice);
}

function holds({ capacity, nodes: count }: Words): string {
	return `This fleet of ${nodes(count)} holds ${number(capacity.capacity)} listeners at ${capacity.packingMs} ms and admits ${number(capacity.joinsPerSecond)} a second.`;
}

function expectation({ capacity, packsMore }: Words): string {
	const { expectedListeners, withinSeconds, enough, moreNodes, overflowShare, lastWaitSeconds, present } = capacity;
	if (expectedListeners === undefined) {
		return 'Say how many you expect (expectedListeners) to know whether that is enough.';
	}
	const expect = `You expect ${number(expectedListeners)} within ${number(withinSeconds)} s${present > 0 ? `, beside ${number(present)} who are there` : ''}`;
	if (enough) {
		return `${expect}: that is enough${lastWaitSeconds !== null && lastWaitSeconds > 1 ? `; the last one waits ${number(lastWaitSeconds)} s` : ''}.`;
	}
	const need = moreNodes === undefined ? 'You need other nodes' : `You need ${moreNodes} more ${moreNodes === 1 ? 'node' : 'nodes'} like these`;
	if (overflowShare > 0) {
		const pressed = capacity.byPacking[120] - present;
		const packed = packsMore && pressed > capacity.capacity - present ? ` Packed to 120 ms under pressure the fleet holds ${number(capacity.byPacking[120])}.` : '';
		return `${expect}. ${need}, or ${percent(overflowShare)} will hear the HLS stream.${packed}`;
	}
	return `${expect}: there is a place for everybody, but the last one waits ${lastWaitSeconds === null ? 'for ever' : `${number(lastWaitSeconds)} s`} for it and hears the HLS stream meanwhile. ${need} to admit them in time.`;
}

const nodes = (count: number) => `${number(count)} ${count === 1 ? 'node' : 'nodes'}`;
const percent = (share: number) => `${share < 0.01 ? 'less than 1' : Math.round(share * 100)} %`;
