import { execFile } from 'node:child_process';

const TIMEOUT_MS = 10_000;

/** Why this ffmpeg cannot make overflow streams, for people; undefined when it can. Never rejects. */
export async function whyNoFfmpeg(ffmpegPath: string): Promise<string | undefined> {
	const encoders = await ask(ffmpegPath, ['-hide_banner', '-encoders']);
	if (encoders instanceof Error) {
		const { code } = encoders as NodeJS.ErrnoException;
		return code === 'ENOENT' ? `there is no ${ffmpegPath}` : `${ffmpegPath} cannot be run: ${code ?? encoders.message.split('\n')[0]}`;
	}
	if (!/^ \S+ aac /m.test(encoders)) {
		return `${ffmpegPath} cannot encode AAC`;
	}
	const filters = await ask(ffmpegPath, ['-hide_banner', '-filters']);
	return filters instanceof Error || !/ amix /.test(filters) || !/ alimiter /.test(filters) ? `${ffmpegPath} cannot mix` : undefined;
}

function ask(ffmpegPath: string, args: string[]): Promise<string | Error> {
	return new Promise((resolve) => {
		execFile(ffmpegPath, args, { timeout: TIMEOUT_MS, maxBuffer: 4 * 1024 * 1024 }, (error, stdout) => resolve(error ?? stdout));
	});
}
