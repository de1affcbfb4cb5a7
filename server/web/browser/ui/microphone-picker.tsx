import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import type { AirModel, MicrophoneState } from '../pages/air-model.ts';
import { MicrophoneIcon } from './icons.tsx';
import { LevelBar } from './level-bar.tsx';

export const MICROPHONE_TEXT: Partial<Record<MicrophoneState, TextKey>> = {
	asking: 'microphoneAsking',
	denied: 'microphoneDenied',
	none: 'microphoneNone',
	busy: 'microphoneBusy',
	insecure: 'microphoneInsecure',
	failed: 'microphoneFailed',
	gone: 'microphoneGone',
};

/** Which microphone, and how loud it is; or why there is none. */
export const MicrophonePicker = ({ model }: { model: AirModel }) => {
	const state = model.microphoneState.value;
	const text = MICROPHONE_TEXT[state];
	return (
		<div class="microphone">
			{state === 'open' ? (
				<>
					<label class="field">
						<span>{t('microphone')}</span>
						<select value={model.deviceId.value ?? ''} onChange={(event) => void model.openMicrophone(event.currentTarget.value)}>
							{model.devices.value.map(({ deviceId, label }, index) => (
								<option key={deviceId} value={deviceId}>
									{label === '' ? t('microphoneDefault', { number: String(index + 1) }) : label}
								</option>
							))}
						</select>
					</label>
					<LevelBar label={t('microphoneLevel')} level={model.level} />
				</>
			) : (
				<>
					{text !== undefined && (
						<p class={state === 'asking' ? 'quiet' : 'notice'} role={state === 'asking' ? 'status' : 'alert'}>
							{t(text)}
						</p>
					)}
					{state !== 'asking' && (
						<button type="button" class="button" onClick={() => void model.openMicrophone()}>
							<MicrophoneIcon />
							{t(state === 'closed' ? 'microphoneAllow' : 'tryAgain')}
						</button>
					)}
				</>
			)}
		</div>
	);
};
