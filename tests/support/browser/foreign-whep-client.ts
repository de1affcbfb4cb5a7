// Runs in a page: a WHEP client by hand, which does what players seldom do. It shares nothing with our own pages.
export interface HandMadeWhep {
	/** POSTs an offer with one audio section, before any candidate is known. @param tcpOnly forgets the answer's UDP candidates */
	join(url: string, tcpOnly: boolean): Promise<{ sessionUrl: string; etag: string | null; patchable: string | null }>;
	/** PATCHes every candidate by itself, and the end of candidates; the statuses of the answers. */
	trickle(): Promise<number[]>;
	/** New credentials for both sides, on the same session. @param pathAlso use the candidates of the answer, too */
	restart(pathAlso: boolean): Promise<Restarted>;
	/** DELETEs the session and leaves the connection as it is, so that its end can be seen to come from the server. */
	leave(): Promise<number>;
	/** The path that media take now. */
	path(): Promise<MediaPath>;
}

export interface Restarted {
	status: number;
	etag: string | null;
	ufrag: { old: string; new: string };
}

export interface MediaPath {
	protocol: string | null;
	/** Of the pair that carries media: the server's part of the user name that its checks prove. */
	remoteUfrag: string | null;
	/** Closed as soon as the other side says so; the connection's own state takes until ICE has missed it. */
	dtls: RTCDtlsTransportState | null;
}

const FRAGMENT = 'application/trickle-ice-sdpfrag';
const UDP_CANDIDATE = /^a=candidate:\S+ \d+ udp .*\r\n/gim;
const CANDIDATE = /^a=candidate:.*\r\n/gm;

let peer: RTCPeerConnection;
let sessionUrl = '';
let etag: string | null = null;
let candidates: (RTCIceCandidate | null)[] = [];
let wake: () => void = () => undefined;

const attribute = (sdp: string, name: string): string => new RegExp(`^a=${name}:(.*)\r$`, 'm').exec(sdp)?.[1] ?? '';

/** @param version for If-Match */
const patch = (body: string, version: string | null): Promise<Response> =>
	fetch(sessionUrl, { method: 'PATCH', headers: { 'content-type': FRAGMENT, ...(version === null ? {} : { 'if-match': version }) }, body });

const credentialsOf = (sdp: string): string => `a=ice-ufrag:${attribute(sdp, 'ice-ufrag')}\r\na=ice-pwd:${attribute(sdp, 'ice-pwd')}\r\n`;

const fragmentOf = (sdp: string, lines: string): string =>
	`${credentialsOf(sdp)}m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:${attribute(sdp, 'mid')}\r\n${lines}`;

const client: HandMadeWhep = {
	async join(url, tcpOnly) {
		peer = new RTCPeerConnection();
		peer.onicecandidate = ({ candidate }) => {
			candidates.push(candidate);
			wake();
		};
		peer.addTransceiver('audio', { direction: 'recvonly' });
		peer.ontrack = ({ track }) => {
			const element = document.body.appendChild(document.createElement('audio'));
			element.srcObject = new MediaStream([track]);
			void element.play();
		};
		await peer.setLocalDescription();
		const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: peer.localDescription?.sdp ?? '' });
		const answer = await response.text();
		if (response.status !== 201) {
			throw new Error(`${response.status} ${answer}`);
		}
		sessionUrl = new URL(response.headers.get('location') ?? '', response.url).href;
		etag = response.headers.get('etag');
		await peer.setRemoteDescription({ type: 'answer', sdp: tcpOnly ? answer.replace(UDP_CANDIDATE, '') : answer });
		return { sessionUrl, etag, patchable: response.headers.get('accept-patch') };
	},

	async trickle() {
		const statuses: number[] = [];
		for (;;) {
			const candidate = candidates.shift();
			if (candidate === undefined) {
				await new Promise<void>((resolve) => (wake = resolve));
				continue;
			}
			if (candidate?.candidate === '') {
				continue; // Only the end of one interface's.
			}
			const line = candidate === null ? 'a=end-of-candidates\r\n' : `a=${candidate.candidate}\r\n`;
			statuses.push((await patch(fragmentOf(peer.localDescription?.sdp ?? '', line), etag)).status);
			if (candidate === null) {
				return statuses;
			}
		}
	},

	async restart(pathAlso) {
		const remote = peer.remoteDescription?.sdp ?? '';
		candidates = [];
		peer.restartIce();
		await peer.setLocalDescription();
		const response = await patch(credentialsOf(peer.localDescription?.sdp ?? ''), '*');
		const body = await response.text();
		if (response.status !== 200) {
			throw new Error(`${response.status} ${body}`);
		}
		const ufrag = attribute(body, 'ice-ufrag');
		let answer = remote.replace(/^a=ice-ufrag:.*\r$/gm, `a=ice-ufrag:${ufrag}\r`).replace(/^a=ice-pwd:.*\r$/gm, `a=ice-pwd:${attribute(body, 'ice-pwd')}\r`);
		if (pathAlso) {
			const theirs = body.match(CANDIDATE) ?? [];
			answer = answer.replace(CANDIDATE, '').replace(/^(a=ice-ufrag:.*\r\n)/m, `${theirs.join('')}$1`);
		}
		await peer.setRemoteDescription({ type: 'answer', sdp: answer });
		etag = response.headers.get('etag');
		return { status: response.status, etag, ufrag: { old: attribute(remote, 'ice-ufrag'), new: ufrag } };
	},

	async leave() {
		return (await fetch(sessionUrl, { method: 'DELETE' })).status;
	},

	async path() {
		const report = await peer.getStats();
		const transport = [...report.values()].find(({ type }) => type === 'transport');
		const pair = report.get(transport?.selectedCandidatePairId ?? '');
		const remote = report.get(pair?.remoteCandidateId ?? '');
		return { protocol: remote?.protocol ?? null, remoteUfrag: remote?.usernameFragment ?? null, dtls: peer.getReceivers()[0]?.transport?.state ?? null };
	},
};

Object.assign(globalThis, { foreign: client });
