import { type Browser, type BrowserContext, chromium } from 'playwright-core';

export interface ChromiumOptions {
	/** A WAV file that the fake microphone plays in a loop; without it there is a fake microphone that beeps. */
	microphone?: string;
	headless?: boolean;
}

/** Debian's Chromium with a fake microphone, nothing fetched from outside, and sound that may start without a click. */
export function launchChromium({ microphone }: ChromiumOptions = {}): Promise<Browser> {
	return chromium.launch({
		executablePath: process.env['CHROMIUM_BIN'] ?? '/usr/bin/chromium',
		headless: true,
		args: [
			'--no-sandbox',
			'--disable-gpu',
			'--disable-quic',
			'--no-first-run',
			'--disable-background-networking',
			'--disable-component-update',
			'--disable-sync',
			'--use-fake-ui-for-media-stream',
			'--use-fake-device-for-media-stream',
			...(microphone === undefined ? [] : [`--use-file-for-fake-audio-capture=${microphone}`]),
			'--autoplay-policy=no-user-gesture-required',
		],
	});
}

/** The sizes and languages that every page is looked at in. */
export const VIEWS = [
	{ name: 'phone', viewport: { width: 390, height: 844 }, isMobile: true, deviceScaleFactor: 2 },
	{ name: 'desktop', viewport: { width: 1280, height: 800 }, isMobile: false, deviceScaleFactor: 1 },
] as const;
export const LANGUAGES = ['en', 'ar'] as const;

export async function closeAll(...things: (Browser | BrowserContext | undefined)[]): Promise<void> {
	await Promise.allSettled(things.flatMap((thing) => (thing ? [thing.close()] : [])));
}
