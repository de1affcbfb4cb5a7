import type { RostrumProcess } from '../process/rostrum-process.ts';
import { RtcSpeaker } from '../rtc/speaker.ts';
import { tone } from '../speech/speech.ts';

/** A live room in which a steady tone is heard. */
export async function toneRoom(server: RostrumProcess, id: string, title: string): Promise<RtcSpeaker> {
	await server.room({ id, title });
	const { token } = await server.token(id, 'speaker', 'Tone');
	const speaker = await RtcSpeaker.publish(async (offer) => {
		const response = await fetch(new URL(`/v1/rooms/${id}/publish`, server.url), { method: 'POST', headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` }, body: offer });
		return response.text();
	});
	speaker.talk(await tone(440, 5));
	return speaker;
}
