import { execFile } from 'node:child_process';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import { isLoopbackHost } from '../../config/checks.ts';
import type { Config } from '../../config/schema.ts';
import { type Check, failed, ok, warning } from './check.ts';

const FFMPEG_MS = 5_000;

/** Whether ffmpeg can make the stream for those for whom there is no place. */
export async function overflowCheck({ enabled, ffmpegPath }: Pick<Config['overflow'], 'enabled' | 'ffmpegPath'>): Promise<Check> {
	const check = 'overflow';
	if (!enabled) {
		return warning(check, 'HLS is switched off: who finds no place hears nothing.', 'Set overflow.enabled, unless that is meant.');
	}
	const advice = 'Install ffmpeg on this node (apt-get install -y ffmpeg), or say where it is: overflow.ffmpegPath. Until then, who finds no place can only wait for one.';
	try {
		const { stdout } = await promisify(execFile)(ffmpegPath, ['-hide_banner', '-encoders'], { timeout: FFMPEG_MS, maxBuffer: 1 << 20 });
		return /^\s*A\S*\s+aac\s/m.test(stdout) ? ok(check, 'ffmpeg is there and encodes AAC.') : warning(check, 'This ffmpeg has no AAC encoder.', advice);
	} catch (error) {
		const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
		return warning(check, missing ? `There is no program "${ffmpegPath}".` : `"${ffmpegPath}" does not run.`, advice);
	}
}

/** The addresses people get: links, and where their media goes. */
export function addressChecks(publicUrl: string | undefined, mediaAddresses: readonly { ip: string; announcedAddress?: string }[]): Check[] {
	const told = mediaAddresses.map(({ ip, announcedAddress }) => announcedAddress ?? ip);
	return [urlCheck(publicUrl), mediaAddressCheck(told, publicUrl)];
}

function urlCheck(publicUrl: string | undefined): Check {
	const check = 'public_url';
	if (publicUrl === undefined) {
		return warning(check, 'No public URL is set: links lead to the address this node listens on.', 'Set ROSTRUM_PUBLIC_URL to the address people type, such as https://rooms.example.org.');
	}
	const { protocol, hostname } = new URL(publicUrl);
	if (isInside(hostname) && !isLoopbackHost(hostname)) {
		return warning(check, `${publicUrl} is an address of an inner network.`, 'Fine within that network; people elsewhere need a public name in ROSTRUM_PUBLIC_URL.');
	}
	if (protocol !== 'https:' && !isLoopbackHost(hostname)) {
		return warning(check, `${publicUrl} is not https: browsers give no microphone to its pages, so nobody can speak there.`, 'Put a TLS proxy in front and set ROSTRUM_PUBLIC_URL to its https:// address.');
	}
	return isLoopbackHost(hostname)
		? warning(check, `${publicUrl} leads people to their own machine.`, 'Set ROSTRUM_PUBLIC_URL to the address people type, such as https://rooms.example.org.')
		: ok(check, `Links begin with ${publicUrl}.`);
}

function mediaAddressCheck(told: readonly string[], publicUrl: string | undefined): Check {
	const check = 'media_address';
	const list = told.join(', ');
	const isPublic = publicUrl !== undefined && !isInside(new URL(publicUrl).hostname);
	if (told.every(isLoopbackHost)) {
		const said = `Media is received on this machine alone (${list}).`;
		const advice = 'Set ROSTRUM_MEDIA_ADDRESS=auto, and ROSTRUM_ANNOUNCED_ADDRESS behind NAT.';
		return isPublic ? failed(check, said, advice) : warning(check, said, advice);
	}
	return isPublic && told.every(isInside)
		? warning(check, `Browsers are told to send media to ${list}: addresses of an inner network.`, 'Set ROSTRUM_ANNOUNCED_ADDRESS to the public address of this node.')
		: ok(check, `Browsers are told to send media to ${list}.`);
}

/** Loopback, link-local, or an address of a network that is not the internet (RFC 1918, RFC 6598, RFC 4193). Names count as outside. */
function isInside(host: string): boolean {
	const address = host.replace(/^\[(.*)\]$/, '$1');
	return isLoopbackHost(address) || (isIP(address) !== 0 && /^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|f[cd][0-9a-f]{2}:|fe80:)/i.test(address));
}
