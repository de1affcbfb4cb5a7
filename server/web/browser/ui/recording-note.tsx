import { t } from '../locale/language.ts';
import { RecordingIcon } from './stage-icons.tsx';

/** That what is said is kept. @param consent before one speaks: whoever goes on agrees to it */
export const RecordingNote = ({ consent }: { consent: boolean }) => (
	<p class="recording" role="status">
		<RecordingIcon />
		{t(consent ? 'recordingConsent' : 'recordingNow')}
	</p>
);
