// Of people's hands and places on stage; apart from the icons that the listening page begins with.
import { Icon } from './icon.tsx';

export const HandIcon = () => (
	<Icon>
		<path
			d="M8 12.5V6.2a1.4 1.4 0 0 1 2.8 0v5M10.8 11V4.4a1.4 1.4 0 0 1 2.8 0V11M13.6 11.2V5.6a1.4 1.4 0 0 1 2.8 0v6.2M16.4 12V8.4a1.4 1.4 0 0 1 2.8 0V14c0 4.2-2.6 7-6.4 7-3 0-4.7-1.2-6.2-3.9l-2.3-4.2c-.9-1.7 1.3-2.9 2.4-1.4L8 13.6"
			class="stroke"
		/>
	</Icon>
);
export const MoreIcon = () => (
	<Icon>
		<circle cx="5.5" cy="12" r="2" fill="currentColor" />
		<circle cx="12" cy="12" r="2" fill="currentColor" />
		<circle cx="18.5" cy="12" r="2" fill="currentColor" />
	</Icon>
);
export const RecordingIcon = () => (
	<Icon>
		<circle cx="12" cy="12" r="8.5" class="stroke" />
		<circle cx="12" cy="12" r="4.5" fill="currentColor" />
	</Icon>
);
export const LockIcon = () => (
	<Icon>
		<rect x="5" y="10.5" width="14" height="10" rx="2.5" fill="currentColor" />
		<path d="M8 10.5V8a4 4 0 0 1 8 0v2.5" class="stroke" />
	</Icon>
);
export const UpIcon = () => (
	<Icon>
		<path d="M12 19V5M6 11l6-6 6 6" class="stroke" />
	</Icon>
);
export const DownIcon = () => (
	<Icon>
		<path d="M12 5v14M6 13l6 6 6-6" class="stroke" />
	</Icon>
);
