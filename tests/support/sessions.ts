import type { RostrumProcess } from './process/rostrum-process.ts';
import { RtcListener } from './rtc/listener.ts';

export interface IssuedToken {
	token: string;
	tokenId: string;
	subject: string;
}

/** `{tokenId}` or `{subject, room?}`. */
export const revoke = (server: RostrumProcess, what: object) => server.json<{ id: string }>('POST', '/v1/admin/tokens/revoke', what);

export const issueToken = (server: RostrumProcess, room: string, role: string, subject: string) =>
	server.json<IssuedToken>('POST', `/v1/rooms/${room}/tokens`, { role, name: subject, subject });

/** Why a token may not read a room; `ok` when it may. */
export async function refusalOf(server: RostrumProcess, room: string, token: string): Promise<string> {
	const response = await server.call('GET', `/v1/rooms/${room}`, undefined, token);
	return response.ok ? 'ok' : ((await response.json()) as { code: string }).code;
}

/** An event stream: when something came, and all that came until its end, however it ended. */
export async function followRoom(server: RostrumProcess, room: string, token: string): Promise<{ opened: Promise<void>; ended: Promise<string> }> {
	const response = await server.call('GET', `/v1/rooms/${room}/events`, undefined, token);
	if (response.status !== 200 || !response.body) throw new Error(`${response.status} ${await response.text()}`);
	const opened = Promise.withResolvers<void>();
	const body = response.body.pipeThrough(new TextDecoderStream());
	const read = async (): Promise<string> => {
		let text = '';
		try {
			for await (const chunk of body) {
				text += chunk;
				opened.resolve();
			}
		} catch {
			text += '(cut off)';
		}
		return text;
	};
	return { opened: opened.promise, ended: read() };
}

/** WHEP with a token. */
export const listenTo = (server: RostrumProcess, room: string, token: string) =>
	RtcListener.join(async (offer) => {
		const response = await fetch(`${server.url}/v1/rooms/${room}/listen`, { method: 'POST', body: offer, headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` } });
		if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
		return await response.text();
	});
