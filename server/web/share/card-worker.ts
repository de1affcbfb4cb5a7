// A thread that draws share cards: 50 to 100 ms of pure work each, which the node's own thread must not do.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parentPort } from 'node:worker_threads';
import { Resvg } from '@resvg/resvg-js';
import { CARD_FONT, cardSvg } from './card-svg.ts';
import { FontMetrics } from './font-metrics.ts';
import type { ShareFacts } from './share-facts.ts';

export interface CardOrder {
	order: number;
	facts: ShareFacts;
}
export type CardAnswer = { order: number } & ({ png: Uint8Array<ArrayBuffer> } | { error: string });

const fontFile = (name: string): string => fileURLToPath(import.meta.resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`));
const files = { regular: fontFile('DejaVuSans'), bold: fontFile('DejaVuSans-Bold') };
const fonts = { regular: FontMetrics.read(readFileSync(files.regular)), bold: FontMetrics.read(readFileSync(files.bold)) };

const port = parentPort;
port?.on('message', ({ order, facts }: CardOrder) => {
	try {
		const drawing = new Resvg(cardSvg(facts, fonts), {
			font: { loadSystemFonts: false, fontFiles: [files.regular, files.bold], defaultFontFamily: CARD_FONT },
			logLevel: 'off',
		});
		const png = new Uint8Array(drawing.render().asPng());
		port.postMessage({ order, png } satisfies CardAnswer, [png.buffer]);
	} catch (error) {
		port.postMessage({ order, error: String(error) } satisfies CardAnswer);
	}
});
