import { type Check, failed, ok, warning } from './check.ts';
import type { Reached } from './reach.ts';

/** What it means for an event that this node reaches others so. */
export function reachChecks(reached: readonly Reached[]): Check[] {
	return reached.flatMap((each) => [mediaCheck(each), linkCheck(each)].map((check) => ({ ...check, target: each.nodeId })));
}

function mediaCheck({ nodeId, announced, shards, udp, tcp }: Reached): Check {
	const check = 'media_reachable';
	const missing = (there: readonly number[]) => shards.filter((shard) => !there.includes(shard));
	if (shards.length === 0) {
		return failed(check, `No shard of ${nodeId} showed a media port.`, `See the log of ${nodeId}: its shards do not live.`);
	}
	if (missing(udp).length > 0) {
		const gone = missing(udp).length === shards.length ? 'no media port' : `not the media ports of shards ${missing(udp).join(', ')}`;
		const said = `Of ${nodeId}, ${gone} can be reached from here by UDP${missing(tcp).length === 0 ? '; TCP passes' : ''}.`;
		if (announced && udp.length === 0) {
			return warning(check, said, `${nodeId} announces another address than its own, which may not be reached from within: check from outside that UDP passes to it.`);
		}
		return failed(check, said, `Let UDP and TCP pass to ${nodeId} at its media ports (ROSTRUM_MEDIA_PORT and on, one a shard), and check ROSTRUM_MEDIA_ADDRESS there.`);
	}
	return missing(tcp).length > 0
		? warning(
				check,
				`Media ports of ${nodeId} are reached by UDP, but not by TCP (shards ${missing(tcp).join(', ')}).`,
				`Let TCP pass, too: people behind firewalls that block UDP have nothing else.`,
			)
		: ok(check, `${shards.length} media ports of ${nodeId} answer, by UDP and TCP.`);
}

function linkCheck({ nodeId, link }: Reached): Check {
	const check = 'links_reachable';
	if (link === undefined) {
		return failed(check, `${nodeId} could open none of its link ports.`, 'See who holds them there (ss -lunp), or give links another range: sfu.linkPortMin and sfu.linkPortMax.');
	}
	return link
		? ok(check, `A link port of ${nodeId} answers.`)
		: failed(
				check,
				`Packets to a link port of ${nodeId} do not come back: a room there cannot be carried here, but by way of a third node.`,
				`Let UDP pass between the nodes at ROSTRUM_SFU_LINK_PORT_MIN to _MAX, and check ROSTRUM_INTERNAL_ADDRESS of ${nodeId}.`,
			);
}
