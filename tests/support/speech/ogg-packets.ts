/**
 * The packets of an Ogg file with one stream (RFC 3533), lacing undone. Enough for what ffmpeg writes.
 * @throws RangeError when it is not Ogg
 */
export function oggPackets(file: Buffer): Buffer[] {
	const packets: Buffer[] = [];
	let unfinished: Buffer[] = [];
	for (let page = 0; page < file.length; ) {
		if (file.toString('latin1', page, page + 4) !== 'OggS') {
			throw new RangeError(`no Ogg page at byte ${page}`);
		}
		const segments = file[page + 26] ?? 0;
		let body = page + 27 + segments;
		for (let segment = 0; segment < segments; segment++) {
			const bytes = file[page + 27 + segment] ?? 0;
			unfinished.push(file.subarray(body, body + bytes));
			body += bytes;
			// A full segment says that the packet goes on in the next one.
			if (bytes < 255) {
				packets.push(Buffer.concat(unfinished));
				unfinished = [];
			}
		}
		page = body;
	}
	return packets;
}

/** The Opus packets of an Ogg Opus file, without its two headers (RFC 7845). */
export const opusPacketsOf = (file: Buffer): Buffer[] => oggPackets(file).slice(2);
