import type { Principal } from '../../auth/claims.ts';
import { DomainError } from '../errors.ts';
import type { StageMethod, StageParams } from '../stage/protocol.ts';
import type { AuditAct } from './audit-entry.ts';

/**
 * What each request on the stage's WebSocket is in the audit log. Null: it concerns the asker alone, or changes nothing.
 * Every method is here, or this does not compile: a new one cannot be forgotten.
 */
export const STAGE_ACTS: Record<StageMethod, string | null> = {
	'transport.create': null,
	'transport.connect': null,
	'transport.restartIce': null,
	produce: null,
	consume: null,
	mute: null,
	unmute: null,
	leave: null,
	'room.command': 'room',
	'participant.mute': 'participant.mute',
	'participant.muteAll': 'participant.mute-all',
	'participant.kick': 'participant.kick',
	'participant.ban': 'participant.ban',
	'participant.invite': 'participant.invite',
	'participant.promote': 'participant.promote',
	'participant.demote': 'participant.demote',
	'participant.unmute': 'participant.unmute',
	'hand.lower': 'hand.lower',
	'hands.list': null,
	'stage.set': 'stage.set',
};

/** Who asks, on which stage, from where. */
export interface StageActor {
	principal: Pick<Principal, 'subject' | 'role' | 'name'> & { tokenId?: string | undefined };
	roomId: string;
	ip: string;
	requestId: string;
}

/** The entry for a request that was carried out, or refused with `error`; undefined when none is kept of it. */
export function stageAct<M extends StageMethod>(actor: StageActor, method: M, params: StageParams<M>, error?: DomainError): AuditAct | undefined {
	const act = STAGE_ACTS[method];
	if (act === null) return undefined;
	const { participantId, command, ...detail } = params as { participantId?: string; command?: string };
	const { subject, role, name, tokenId } = actor.principal;
	return {
		actor: { subject, role, ...(tokenId === undefined ? {} : { tokenId }), ...(name === '' ? {} : { name }) },
		action: command === undefined ? act : `${act}.${command}`,
		room: actor.roomId,
		...(participantId === undefined ? {} : { target: participantId }),
		...(Object.keys(detail).length === 0 ? {} : { detail }),
		ip: actor.ip,
		via: 'stage',
		requestId: actor.requestId,
		outcome: error === undefined ? 'done' : error.status >= 500 ? 'failed' : 'refused',
		...(error === undefined ? {} : { code: error.code }),
	};
}
