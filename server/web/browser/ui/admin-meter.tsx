import { formatPercent } from '../locale/format.ts';

interface MeterProps {
	label: string;
	/** 0 to 1; more is shown as full. */
	value: number;
	/** In place of the percentage. */
	text?: string;
	/** Whether it is something that comes to an end. */
	progress?: boolean;
}

/** A bar with its name and its figure, which say the same without it. */
export const Meter = ({ label, value, text = formatPercent(value), progress = false }: MeterProps) => {
	const shown = Math.max(0, Math.min(1, value));
	return (
		<div class="admin-meter">
			<div class="admin-meter-text">
				<span>{label}</span>
				<span class="admin-figure">{text}</span>
			</div>
			{progress ? (
				<progress aria-label={label} max={1} value={shown} />
			) : (
				// Browsers draw `<meter>` each in its own way, and Chromium at half its height.
				<div class="admin-bar" role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={1} aria-valuenow={shown} aria-valuetext={text} style={{ '--value': `${shown * 100}%` }} />
			)}
		</div>
	);
};
