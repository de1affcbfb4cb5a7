/**
 * Which characters a TrueType font has and how wide they are: enough to break lines. It knows nothing of kerning and of how
 * letters join; Arabic comes out a little wider than it is drawn, never narrower.
 *
 * OpenType specification 1.9: table directory, `head`, `hhea`, `hmtx`, `cmap` format 12.
 */
export class FontMetrics {
	/** Code point → width in em. */
	readonly #widths: ReadonlyMap<number, number>;

	/** @throws Error when the file is not such a font */
	static read(font: Buffer): FontMetrics {
		const tables = tablesOf(font);
		const table = (tag: string) => {
			const found = tables.get(tag);
			if (!found) {
				throw new Error(`the font has no table ${tag}`);
			}
			return found;
		};
		const unitsPerEm = table('head').readUInt16BE(18);
		const hmtx = table('hmtx');
		const metrics = table('hhea').readUInt16BE(34);
		const widths = new Map<number, number>();
		for (const [codePoint, glyph] of glyphsOf(table('cmap'))) {
			widths.set(codePoint, hmtx.readUInt16BE(4 * Math.min(glyph, metrics - 1)) / unitsPerEm);
		}
		return new FontMetrics(widths);
	}

	private constructor(widths: ReadonlyMap<number, number>) {
		this.#widths = widths;
	}

	has(character: string): boolean {
		return this.#widths.has(character.codePointAt(0) ?? 0);
	}

	/** In em. */
	widthOf(text: string): number {
		let width = 0;
		for (const character of text) {
			width += this.#widths.get(character.codePointAt(0) ?? 0) ?? 0;
		}
		return width;
	}
}

function tablesOf(font: Buffer): Map<string, Buffer> {
	const tables = new Map<string, Buffer>();
	const count = font.readUInt16BE(4);
	for (let at = 12; at < 12 + 16 * count; at += 16) {
		const offset = font.readUInt32BE(at + 8);
		tables.set(font.toString('latin1', at, at + 4), font.subarray(offset, offset + font.readUInt32BE(at + 12)));
	}
	return tables;
}

/** All of Unicode: the subtable of format 12. */
function* glyphsOf(cmap: Buffer): Iterable<[codePoint: number, glyph: number]> {
	const subtables = Array.from({ length: cmap.readUInt16BE(2) }, (_, index) => cmap.subarray(cmap.readUInt32BE(4 + 8 * index + 4)));
	const full = subtables.find((subtable) => subtable.readUInt16BE(0) === 12);
	if (!full) {
		throw new Error('the font has no character map of format 12');
	}
	const groups = full.readUInt32BE(12);
	for (let at = 16; at < 16 + 12 * groups; at += 12) {
		const first = full.readUInt32BE(at);
		const last = full.readUInt32BE(at + 4);
		const glyph = full.readUInt32BE(at + 8);
		for (let codePoint = first; codePoint <= last; codePoint++) {
			yield [codePoint, glyph + codePoint - first];
		}
	}
}
