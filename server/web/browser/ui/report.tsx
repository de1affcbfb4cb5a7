import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import type { AudienceModel, ReportKind } from '../pages/audience-model.ts';
import { problemText } from './problem-text.ts';

const KINDS: readonly { kind: ReportKind; text: TextKey }[] = [
	{ kind: 'audio', text: 'reportAudio' },
	{ kind: 'content', text: 'reportContent' },
	{ kind: 'other', text: 'reportOther' },
];

/** Tells those who run the server that something is wrong with the room. */
export const Report = ({ model }: { model: AudienceModel }) => {
	const dialog = useRef<HTMLDialogElement>(null);
	const kind = useSignal<ReportKind>('audio');
	const text = useSignal('');
	const busy = useSignal(false);
	const failure = useSignal('');
	const sent = useSignal(false);
	const send = async () => {
		busy.value = true;
		failure.value = '';
		try {
			await model.report(kind.value, text.value);
			text.value = '';
			sent.value = true;
			dialog.current?.close();
		} catch (error) {
			failure.value = t('actionFailed', { reason: problemText(error) });
		}
		busy.value = false;
	};
	return (
		<div class="report">
			<button
				type="button"
				class="link-button"
				onClick={() => {
					sent.value = false;
					dialog.current?.showModal();
				}}
			>
				{t('reportProblem')}
			</button>{' '}
			<span role="status">{sent.value ? t('reportSent') : ''}</span>
			<dialog ref={dialog} class="confirm report-dialog" aria-labelledby="report-heading">
				<form
					onSubmit={(event) => {
						event.preventDefault();
						void send();
					}}
				>
					<h2 id="report-heading">{t('reportProblem')}</h2>
					<fieldset class="report-kinds">
						<legend class="hidden">{t('reportKind')}</legend>
						{KINDS.map((one) => (
							<label key={one.kind}>
								<input
									type="radio"
									name="report-kind"
									checked={kind.value === one.kind}
									onChange={() => {
										kind.value = one.kind;
									}}
								/>
								<span>{t(one.text)}</span>
							</label>
						))}
					</fieldset>
					<label class="field">
						<span>{t('reportText')}</span>
						<textarea
							rows={4}
							maxLength={1_000}
							dir="auto"
							value={text.value}
							onInput={(event) => {
								text.value = event.currentTarget.value;
							}}
						/>
					</label>
					<p role="alert">{failure.value}</p>
					<div class="row end">
						<button type="button" class="button" onClick={() => dialog.current?.close()}>
							{t('cancel')}
						</button>
						<button type="submit" class="button strong" disabled={busy.value}>
							{t('reportSend')}
						</button>
					</div>
				</form>
			</dialog>
		</div>
	);
};
