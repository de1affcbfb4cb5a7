import { EventEmitter, once } from 'node:events';
import { RTCPeerConnection, useOPUS } from 'werift';
import type { Exchange } from './peer.ts';
import { type HeardPacket, VoiceRecord } from './voice-record.ts';

export interface WeriftListenerOptions {
	/** UDP candidates are taken out of what the server says: ICE-TCP remains. */
	tcpOnly?: boolean;
}

interface WeriftListenerEvents {
	packet: [voice: number, packet: HeardPacket];
	connected: [];
}

const VOICES = 3;
const WAIT_MS = 10_000;

/**
 * A WHEP listener with werift's WebRTC stack (TypeScript throughout), for what libdatachannel cannot do: ICE restarts,
 * and ICE-TCP, which in libdatachannel 0.24 writes the frame length twice when two packets meet.
 */
export class WeriftListener extends EventEmitter<WeriftListenerEvents> {
	readonly voices: readonly VoiceRecord[] = Array.from({ length: VOICES }, () => new VoiceRecord());
	readonly #connection: RTCPeerConnection;
	readonly #tcpOnly: boolean;
	#answer = '';

	static async join(exchange: Exchange, options: WeriftListenerOptions = {}): Promise<WeriftListener> {
		const listener = new WeriftListener(options);
		try {
			await listener.#connect(exchange);
			return listener;
		} catch (error) {
			await listener.close();
			throw error;
		}
	}

	private constructor({ tcpOnly = false }: WeriftListenerOptions) {
		super();
		this.#tcpOnly = tcpOnly;
		this.#connection = new RTCPeerConnection({
			iceServers: [],
			iceAdditionalHostAddresses: ['127.0.0.1'],
			iceUseIpv6: false,
			iceUseTcp: tcpOnly,
			iceTcpPassive: false,
			codecs: { audio: [useOPUS({ payloadType: 111 })], video: [] },
		});
		for (const [index, record] of this.voices.entries()) {
			this.#connection.addTransceiver('audio', { direction: 'recvonly' }).onTrack.subscribe((track) => {
				track.onReceiveRtp.subscribe((rtp) => {
					const packet = record.onMessage(rtp.serialize(), performance.now());
					if (packet) {
						this.emit('packet', index, packet);
					}
				});
			});
		}
		this.#connection.connectionStateChange.subscribe((state) => {
			if (state === 'connected') {
				this.emit('connected');
			}
		});
	}

	get state(): string {
		return this.#connection.connectionState;
	}

	/** Of the pair of candidates that media flow over: `udp` or `tcp`. */
	get transport(): string | undefined {
		return this.#connection.iceTransports[0]?.connection.nominated?.remoteCandidate.transport;
	}

	/** Audio of this speaker from now on. */
	async heard(csrc: number): Promise<HeardPacket> {
		const signal = AbortSignal.timeout(WAIT_MS);
		for (;;) {
			const [, packet] = (await once(this, 'packet', { signal })) as WeriftListenerEvents['packet'];
			if (packet.csrc === csrc && !packet.dtx) {
				return packet;
			}
		}
	}

	/**
	 * An ICE restart as a WHEP client does it (RFC 9725 §4.3.3): new credentials as a fragment out, the server's back.
	 * @param patch - PATCHes the fragment and brings back the answer's body
	 */
	async restartIce(patch: (fragment: string) => Promise<string>): Promise<{ before: string; after: string }> {
		const before = this.#remoteUfrag();
		const offer = await this.#connection.createOffer({ iceRestart: true });
		await this.#connection.setLocalDescription(offer);
		const [ufrag, pwd] = credentialsOf(this.#connection.localDescription?.sdp ?? '');
		const fragment = await patch(`a=ice-ufrag:${ufrag}\r\na=ice-pwd:${pwd}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=end-of-candidates\r\n`);
		const [newUfrag, newPwd] = credentialsOf(fragment);
		await this.#takeAnswer(
			this.#answer.replaceAll(/a=ice-ufrag:.*\r\n/g, `a=ice-ufrag:${newUfrag}\r\n`).replaceAll(/a=ice-pwd:.*\r\n/g, `a=ice-pwd:${newPwd}\r\n`),
		);
		return { before, after: this.#remoteUfrag() };
	}

	async close(): Promise<void> {
		await this.#connection.close();
	}

	async #connect(exchange: Exchange): Promise<void> {
		await this.#connection.setLocalDescription(await this.#connection.createOffer());
		const connected = once(this, 'connected', { signal: AbortSignal.timeout(WAIT_MS) });
		connected.catch(() => undefined); // If the exchange fails first, that is the error to tell.
		const answer = await exchange(this.#connection.localDescription?.sdp ?? '');
		await this.#takeAnswer(this.#tcpOnly ? answer.replaceAll(/a=candidate:\S+ 1 udp .*\r\n/gi, '') : answer);
		await connected;
	}

	async #takeAnswer(sdp: string): Promise<void> {
		this.#answer = sdp;
		await this.#connection.setRemoteDescription({ type: 'answer', sdp });
	}

	#remoteUfrag(): string {
		return credentialsOf(this.#connection.remoteDescription?.sdp ?? '')[0];
	}
}

function credentialsOf(sdp: string): [ufrag: string, pwd: string] {
	return [/a=ice-ufrag:(\S+)/.exec(sdp)?.[1] ?? '', /a=ice-pwd:(\S+)/.exec(sdp)?.[1] ?? ''];
}
