/** What a subscriber has: the sequence numbers of each kind of state it was sent last; 0: none. */
export interface SeenVersions {
	room: number;
	stage: number;
	count: number;
	move: number;
	caption: number;
	reaction: number;
}

const FORM = /^([\w-]{1,64})\.(\d{1,15})\.(\d{1,15})\.(\d{1,15})\.(\d{1,15})\.(\d{1,15})\.(\d{1,15})$/;

/** The `id:` of an event (WHATWG HTML, server-sent events). @param instanceId of this hub: numbers of another one mean nothing here */
export function formatEventId(instanceId: string, seen: Readonly<SeenVersions>): string {
	return `${instanceId}.${seen.room}.${seen.stage}.${seen.count}.${seen.move}.${seen.caption}.${seen.reaction}`;
}

/** What a `Last-Event-ID` says; nothing if it is garbage or another instance's. */
export function parseEventId(instanceId: string, id: string | undefined): SeenVersions {
	const [, instance, room, stage, count, move, caption, reaction] = (id === undefined ? null : FORM.exec(id)) ?? [];
	if (instance !== instanceId) return { room: 0, stage: 0, count: 0, move: 0, caption: 0, reaction: 0 };
	return { room: Number(room), stage: Number(stage), count: Number(count), move: Number(move), caption: Number(caption), reaction: Number(reaction) };
}
