// A node process to be killed: runs a media plane with a live room until then.
import { MediaPlane } from './media-plane.ts';

const plane = await MediaPlane.start({ mediaPort: Number(process.argv[2]), listenerShards: 2, spareShards: 1 });
const room = await plane.room();
await plane.listen(room);
while (plane.supervisor.readySpares < 1) {
	await new Promise((resolve) => setTimeout(resolve, 10));
}
process.send?.('ready');
