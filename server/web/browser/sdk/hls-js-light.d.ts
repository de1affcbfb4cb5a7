// The light build has the same interface, less of what an audio stream never needs, and no types of its own.
declare module 'hls.js/light' {
	export { default as Hls } from 'hls.js';
}
