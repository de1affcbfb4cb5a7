import { useEffect, useRef } from 'preact/hooks';

const REFRESH_MS = 80;

/** One's own loudness, with a label. Screen readers get the value when they ask, not with every change. */
export const LevelBar = ({ label, level }: { label: string; level: () => number }) => {
	const bar = useRef<HTMLDivElement>(null);
	useEffect(() => {
		let shown = 0;
		const timer = setInterval(() => {
			shown = Math.max(level(), shown * 0.85);
			bar.current?.style.setProperty('--level', shown.toFixed(3));
			bar.current?.setAttribute('aria-valuenow', String(Math.round(shown * 100)));
		}, REFRESH_MS);
		return () => clearInterval(timer);
	}, [level]);
	return <div ref={bar} class="level" role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={0} />;
};
