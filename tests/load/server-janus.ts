// Another server to compare with: Janus from Debian's package, its streaming plugin with a mountpoint that takes plain RTP.
import { Janus } from './janus.ts';
import type { FromServer, ToServer } from './messages.ts';

const [port = 27_000, talkers = 1] = process.argv.slice(2).map(Number);
const janus = await Janus.start({ port, talkers });
const accepting = new Map<number, (answer: string) => Promise<void>>();
const tell = (message: FromServer): void => void process.send?.(message);

async function answerTo(message: Extract<ToServer, { kind: 'exchange' | 'accept' }>): Promise<void> {
	try {
		if (message.kind === 'exchange') {
			const { offer, accept } = await janus.invite();
			accepting.set(message.id, accept);
			tell({ kind: 'answer', id: message.id, answer: offer });
		} else {
			await accepting.get(message.of)?.(message.answer);
			accepting.delete(message.of);
			tell({ kind: 'answer', id: message.id, answer: '' });
		}
	} catch (error) {
		tell({ kind: 'refused', id: message.id, message: String(error) });
	}
}

const end = (): void => {
	janus.close();
	process.exit(0);
};
process.on('disconnect', end);
process.on('message', (message: ToServer) => {
	switch (message.kind) {
		case 'exchange':
		case 'accept':
			void answerTo(message);
			break;
		case 'status':
			tell({ kind: 'status', packingMs: 20 });
			break;
		case 'close':
			end();
	}
});
tell({
	kind: 'ready',
	processes: [
		{ name: 'janus', part: 'media', pid: janus.pid },
		{ name: 'control', part: 'control', pid: process.pid },
	],
	rtp: Array.from({ length: talkers }, (_, talker) => ({ port: janus.rtpPort(talker), ssrc: talker + 1 })),
});
