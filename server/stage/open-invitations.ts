import type { Invitation } from '../rooms/hand-queue.ts';
import type { StageRoster } from '../rooms/stage-roster.ts';

/** Who is invited onto a stage and has not answered, by participant id. */
export type OpenInvitations = ReadonlyMap<string, Invitation>;

const NONE: OpenInvitations = new Map();

/** One that is over is there until its home says so: clocks of other nodes are not asked. */
export function openInvitations({ hands }: StageRoster): OpenInvitations {
	let open: Map<string, Invitation> | undefined;
	for (const { id, invitation } of hands ?? []) if (invitation) (open ??= new Map()).set(id, invitation);
	return open ?? NONE;
}

/** Whether the same people are invited as before, and as before. */
export function sameInvitations(a: StageRoster, b: StageRoster): boolean {
	if (a.hands === b.hands) return true;
	const [before, after] = [openInvitations(a), openInvitations(b)];
	if (before.size !== after.size) return false;
	for (const [id, { by, expiresAt }] of after) {
		const known = before.get(id);
		if (known?.by !== by || known.expiresAt !== expiresAt) return false;
	}
	return true;
}
