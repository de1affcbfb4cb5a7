import { useSignal } from '@preact/signals';
import { t } from '../locale/language.ts';
import type { AudienceModel } from '../pages/audience-model.ts';
import { problemText } from './problem-text.ts';

/** Under which name a guest raises a hand or comes on stage; without one, anonymous. */
export const GuestName = ({ model }: { model: AudienceModel }) => {
	const open = useSignal(false);
	const name = useSignal('');
	const busy = useSignal(false);
	const failure = useSignal('');
	if (model.personal) {
		return null;
	}
	const keep = async (chosen: string) => {
		busy.value = true;
		failure.value = '';
		try {
			await model.rename(chosen.trim());
			open.value = false;
		} catch (error) {
			failure.value = t('actionFailed', { reason: problemText(error) });
		}
		busy.value = false;
	};
	if (!open.value) {
		return (
			<p class="guest-name" role="status">
				<span>{model.name.value === '' ? t('guestAnonymous') : t('guestKnownAs', { name: model.name.value })}</span>{' '}
				<button
					type="button"
					class="link-button"
					onClick={() => {
						name.value = model.name.value;
						open.value = true;
					}}
				>
					{t(model.name.value === '' ? 'guestChooseName' : 'guestChangeName')}
				</button>
			</p>
		);
	}
	return (
		<form
			class="guest-form"
			onSubmit={(event) => {
				event.preventDefault();
				void keep(name.value);
			}}
		>
			<label class="field">
				<span>{t('guestName')}</span>
				<input
					type="text"
					maxLength={60}
					dir="auto"
					autoComplete="nickname"
					value={name.value}
					onInput={(event) => {
						name.value = event.currentTarget.value;
					}}
				/>
			</label>
			<div class="row wrap">
				<button type="submit" class="button strong" disabled={busy.value || name.value.trim() === ''}>
					{t('guestKeepName')}
				</button>
				{model.name.value !== '' && (
					<button type="button" class="button" disabled={busy.value} onClick={() => void keep('')}>
						{t('guestStayAnonymous')}
					</button>
				)}
				<button
					type="button"
					class="button"
					onClick={() => {
						open.value = false;
					}}
				>
					{t('cancel')}
				</button>
			</div>
			<p role="alert">{failure.value}</p>
		</form>
	);
};
