import { RecordingsApi } from '../api/recordings-api.ts';
import { t } from '../locale/language.ts';
import { confirmed } from './confirm.tsx';

interface RecordingControlsProps {
	roomId: string;
	token: string;
	/** As the stage says. */
	recording: boolean;
	/** Shows why something did not work. */
	attempt: (work: Promise<unknown>) => void;
}

/** For hosts: what is said is kept from now on, or not any more. */
export const RecordingControls = ({ roomId, token, recording, attempt }: RecordingControlsProps) => {
	const api = new RecordingsApi(roomId, token);
	return recording ? (
		<button type="button" class="button" onClick={() => void confirmed(t('recordStopQuestion'), t('recordStop')).then((yes) => yes && attempt(api.stop()))}>
			{t('recordStop')}
		</button>
	) : (
		<button type="button" class="button" title={t('recordHelp')} onClick={() => attempt(api.start())}>
			{t('recordStart')}
		</button>
	);
};
