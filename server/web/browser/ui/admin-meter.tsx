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
			{progress ? <progress aria-label={label} max={1} value={shown} /> : <meter aria-label={label} min={0} max={1} value={shown} />}
		</div>
	);
};
