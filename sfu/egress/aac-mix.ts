/** Options of ffmpeg for a mix that is listened to while it is made. */
export interface AacMix {
	inputOptions: readonly string[];
	outputOptions: readonly string[];
}

export const AAC_SAMPLE_RATE = 48_000;
const AAC_FRAME_SAMPLES = 1_024;
const FRAMES_PER_FRAGMENT = 24;
/** 512 ms: whole AAC frames, so that every fragment is equally long. */
export const FRAGMENT_SAMPLES = AAC_FRAME_SAMPLES * FRAMES_PER_FRAGMENT;

/**
 * All inputs together as AAC-LC, one channel, in fragmented MP4 with a fragment each 512 ms. `normalize=0`: who speaks is not made
 * quieter because others could; a limiter catches what they do together.
 */
export function aacMix(inputs: number, bitrateKbps: number): AacMix {
	const mix = inputs === 1 ? '' : `amix=inputs=${inputs}:duration=longest:dropout_transition=0:normalize=0,`;
	const labels = Array.from({ length: inputs }, (_, index) => `[${index}:a]`).join('');
	return {
		// The header says all there is to know: ffmpeg must not wait for more before it begins.
		inputOptions: ['-f', 'ogg', '-probesize', '2048', '-analyzeduration', '0', '-fflags', '+nobuffer', '-thread_queue_size', '512'],
		outputOptions: [
			'-filter_complex', `${labels}${mix}aformat=channel_layouts=mono:sample_rates=${AAC_SAMPLE_RATE},alimiter=limit=0.95:level=disabled[out]`,
			'-map', '[out]',
			'-c:a', 'aac', '-profile:a', 'aac_low', '-b:a', `${bitrateKbps}k`, '-ac', '1', '-ar', String(AAC_SAMPLE_RATE),
			'-threads', '1', '-flush_packets', '1', '-max_delay', '0',
			'-f', 'mp4', '-movflags', '+empty_moov+default_base_moof', '-frag_duration', '500000',
			'pipe:1',
		],
	};
}
