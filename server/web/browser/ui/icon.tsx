import type { ComponentChildren } from 'preact';

export const Icon = ({ children }: { children: ComponentChildren }) => (
	<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
		{children}
	</svg>
);
