import { segment } from '../api/admin-api.ts';
import { formatNumber } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import { Action } from '../ui/admin-ask.tsx';
import { LiveView } from '../ui/admin-live-view.tsx';
import { admin, CALM_MS } from './admin-model.ts';

interface Settings {
	locked: boolean;
	maxSize: number;
}

/** Whether anybody may come on stage, and how many. */
export const StageSettings = ({ roomId, taken }: { roomId: string; taken: number }) => {
	const path = `/v1/rooms/${segment(roomId)}/stage`;
	const live = admin.read<Settings>(`${path}/settings`, CALM_MS);
	const set = (change: Partial<Settings>, done: string) =>
		admin.act(async (api) => {
			await api.send('PUT', path, change);
			return done;
		}, live);
	return (
		<LiveView live={live}>
			{({ locked, maxSize }) => (
				<div class="row wrap stage-settings">
					<Action act={() => set({ locked: !locked }, t(locked ? 'adminStageUnlocked' : 'adminStageLocked'))}>{t(locked ? 'adminUnlockStage' : 'adminLockStage')}</Action>
					<label class="field stage-size">
						<span>{t('stageSize')}</span>
						<input
							// A new one when somebody else has set another size; what is typed stays until then.
							key={maxSize}
							type="number"
							min="1"
							max="500"
							required
							inputMode="numeric"
							dir="ltr"
							defaultValue={String(maxSize)}
							aria-describedby="stage-taken"
							onChange={(event) => {
								if (event.currentTarget.reportValidity()) {
									void set({ maxSize: event.currentTarget.valueAsNumber }, t('adminSaved'));
								}
							}}
						/>
					</label>
					<p id="stage-taken" class="quiet">
						{t('stageSizeOf', { taken: formatNumber(taken), places: formatNumber(maxSize) })}
					</p>
					{locked && <p class="quiet">{t('stageIsLocked')}</p>}
				</div>
			)}
		</LiveView>
	);
};
