// Runs in a page: a published WHIP and WHEP client, wired up the way its README does.
import { WHEPClient } from 'whip-whep/whep.js';
import { WHIPClient } from 'whip-whep/whip.js';

export interface ForeignPlayer {
	/** Plays what comes; `kinds` are the m-lines it offers, in order. */
	view(url: string, kinds: ('audio' | 'video')[]): Promise<void>;
	/** Sends this page's microphone. */
	publish(url: string, token: string): Promise<void>;
	/** Ends whichever was begun, by DELETE. */
	stop(): Promise<void>;
}

let client: WHEPClient | WHIPClient | undefined;

const player: ForeignPlayer = {
	async view(url, kinds) {
		const peer = new RTCPeerConnection();
		for (const kind of kinds) {
			peer.addTransceiver(kind, { direction: 'recvonly' });
		}
		peer.ontrack = ({ track }) => {
			const element = document.body.appendChild(document.createElement('audio'));
			element.srcObject = new MediaStream([track]);
			void element.play();
		};
		const whep = new WHEPClient();
		client = whep;
		await whep.view(peer, url);
	},
	async publish(url, token) {
		const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
		const peer = new RTCPeerConnection();
		for (const track of stream.getTracks()) {
			peer.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
		}
		const whip = new WHIPClient();
		client = whip;
		await whip.publish(peer, url, token);
	},
	async stop() {
		await client?.stop();
	},
};

Object.assign(globalThis, { foreign: player });
