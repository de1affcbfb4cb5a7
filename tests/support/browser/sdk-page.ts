import path from 'node:path';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import type { ListenEvents, ListenSession, Servers } from '../../../server/web/browser/sdk/listen.ts';

/** The SDK as a site that embeds it has it. */
export interface SdkWindow {
	rostrum: { ListenSession: typeof ListenSession; Servers: typeof Servers };
	session: ListenSession;
	/** Every state that was announced, in order. */
	states: ListenEvents['state']['state'][];
	rejoined: number;
}

/** Opens an empty page of the server's own origin that has the SDK and nothing else. */
export async function openSdkPage(page: Page, serverUrl: string): Promise<void> {
	const { outputFiles } = await build({
		entryPoints: [path.resolve(import.meta.dirname, '../../../server/web/browser/sdk/listen.ts')],
		bundle: true,
		write: false,
		format: 'iife',
		globalName: 'rostrum',
		target: 'es2022',
	});
	const url = new URL('/sdk-page', serverUrl).href;
	await page.route(url, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>SDK</title>' }));
	await page.goto(url);
	await page.addScriptTag({ content: outputFiles[0]?.text ?? '' });
}
