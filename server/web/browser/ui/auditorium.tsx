import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { reducedMotion } from './motion.ts';

const ROWS = 6;
const CENTRE_X = 160;
const CENTRE_Y = 168;
const FIRST_RADIUS = 84;
const ROW_GAP = 14;

/** Half a circle from left to right, over the rostrum. */
const rowPath = (radius: number): string => `M${CENTRE_X - radius} ${CENTRE_Y}a${radius} ${radius} 0 0 1 ${2 * radius} 0`;

/** Dots about 13 units apart, so that both ends of the row get one. */
const rowDashes = (radius: number): string => {
	const length = Math.PI * radius;
	return `0 ${(length / Math.round(length / 13)).toFixed(3)}`;
};

/**
 * The rows of an auditorium around whatever stands at the rostrum. Loudness lights the rows from the front
 * to the back. For the eye only: what it shows is also said in words elsewhere.
 */
export const Auditorium = ({ level, children }: { level: (() => number) | null; children: ComponentChildren }) => {
	const rows = useRef<(SVGPathElement | null)[]>([]);
	useEffect(() => {
		const show = (lit: number) => {
			for (const [index, row] of rows.current.entries()) {
				row?.style.setProperty('--lit', Math.min(1, Math.max(0, lit - index)).toFixed(2));
			}
		};
		if (level === null) {
			show(0);
			return undefined;
		}
		let shown = 0;
		return eachFrame(() => {
			// Rises at once and falls slowly, as meters do; ordinary speech lies in the upper half of the decibel scale.
			const now = Math.max(0, (level() - 0.25) / 0.6) * ROWS;
			shown = Math.max(now, shown * 0.9);
			show(shown);
		});
	}, [level]);
	return (
		<div class="auditorium">
			<svg viewBox="0 0 320 176" aria-hidden="true" focusable="false">
				{Array.from({ length: ROWS }, (_, index) => {
					const radius = FIRST_RADIUS + index * ROW_GAP;
					return (
						<path
							key={radius}
							ref={(element) => {
								rows.current[index] = element;
							}}
							d={rowPath(radius)}
							stroke-dasharray={rowDashes(radius)}
						/>
					);
				})}
			</svg>
			{children}
		</div>
	);
};

/** Calls back with each frame, or four times a second for people who want less motion. Returns the end of it. */
const eachFrame = (show: () => void): (() => void) => {
	if (reducedMotion()) {
		const timer = setInterval(show, 250);
		return () => clearInterval(timer);
	}
	let frame = requestAnimationFrame(function next() {
		show();
		frame = requestAnimationFrame(next);
	});
	return () => cancelAnimationFrame(frame);
};
