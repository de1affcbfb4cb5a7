export { PlayIcon } from './icons.tsx';

export const PauseIcon = () => (
	<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
		<rect x="6" y="5" width="4.2" height="14" rx="1.4" fill="currentColor" />
		<rect x="13.8" y="5" width="4.2" height="14" rx="1.4" fill="currentColor" />
	</svg>
);
