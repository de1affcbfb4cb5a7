import { Icon } from './icon.tsx';

export const PlayIcon = () => (
	<Icon>
		<path d="M8 5.2v13.6c0 .8.9 1.3 1.6.8l10-6.8c.6-.4.6-1.2 0-1.6l-10-6.8C8.9 3.9 8 4.4 8 5.2Z" fill="currentColor" />
	</Icon>
);
export const StopIcon = () => (
	<Icon>
		<rect x="6" y="6" width="12" height="12" rx="2.5" fill="currentColor" />
	</Icon>
);
const microphone = (
	<>
		<rect x="9" y="3" width="6" height="11" rx="3" fill="currentColor" />
		<path d="M5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21" class="stroke" />
	</>
);
export const MicrophoneIcon = () => <Icon>{microphone}</Icon>;
export const MutedIcon = () => (
	<Icon>
		{microphone}
		<path d="M4 4l16 16" class="stroke strike-gap" />
		<path d="M4 4l16 16" class="stroke" />
	</Icon>
);
export const SoundIcon = () => (
	<Icon>
		<path d="M4 9.5v5h3.5L12 19V5L7.5 9.5H4Z" fill="currentColor" />
		<path d="M15.5 8.5a5 5 0 0 1 0 7M18 6a8.5 8.5 0 0 1 0 12" class="stroke" />
	</Icon>
);
export const SilentIcon = () => (
	<Icon>
		<path d="M4 9.5v5h3.5L12 19V5L7.5 9.5H4Z" fill="currentColor" />
		<path d="M16 9.5l5 5M21 9.5l-5 5" class="stroke" />
	</Icon>
);
export const ShareIcon = () => (
	<Icon>
		<path d="M12 15V4M8 7.5 12 3.5l4 4M5.5 12v6a2 2 0 0 0 2 2h9a2 2 0 0 0 2-2v-6" class="stroke" />
	</Icon>
);
export const CalendarIcon = () => (
	<Icon>
		<path d="M5 6.5h14v13H5zM5 11h14M8.5 3.5v5M15.5 3.5v5" class="stroke" />
	</Icon>
);
export const PeopleIcon = () => (
	<Icon>
		<circle cx="9" cy="8.5" r="3.5" fill="currentColor" />
		<path d="M2.5 19.5a6.5 6.5 0 0 1 13 0Z" fill="currentColor" />
		<path d="M16 5.4a3.5 3.5 0 0 1 0 6.2M18 14.2a6.5 6.5 0 0 1 3.5 5.3" class="stroke" />
	</Icon>
);
export const RemoveIcon = () => (
	<Icon>
		<path d="M6 6l12 12M18 6 6 18" class="stroke" />
	</Icon>
);

/** One to three bars. */
export const SignalIcon = ({ bars }: { bars: 1 | 2 | 3 }) => (
	<Icon>
		{[1, 2, 3].map((bar) => (
			<rect key={bar} x={bar * 6 - 3} y={19 - bar * 4.5} width="4" height={bar * 4.5} rx="1.2" fill="currentColor" opacity={bar <= bars ? 1 : 0.25} />
		))}
	</Icon>
);

/** The mark: a rostrum and the rows before it. */
export const Mark = () => (
	<svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
		<circle cx="16" cy="25" r="4" fill="currentColor" />
		<path d="M6.5 25a9.5 9.5 0 0 1 19 0" class="mark-row" />
		<path d="M1.9 25a14.1 14.1 0 0 1 28.2 0" class="mark-row far" />
	</svg>
);
