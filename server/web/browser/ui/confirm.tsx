import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../locale/language.ts';

const asked = signal<{ question: string; confirm: string; answer: (yes: boolean) => void } | null>(null);

/** Asks before something that cannot be undone; the page must show a `<ConfirmDialog/>`. */
export const confirmed = (question: string, confirm: string): Promise<boolean> =>
	new Promise((resolve) => {
		asked.value?.answer(false);
		asked.value = { question, confirm, answer: resolve };
	});

export const ConfirmDialog = () => {
	const dialog = useRef<HTMLDialogElement>(null);
	const open = asked.value;
	useEffect(() => {
		if (open === null) {
			dialog.current?.close();
		} else {
			dialog.current?.showModal();
		}
	}, [open]);
	const answer = (yes: boolean) => {
		dialog.current?.close();
		asked.value = null;
		open?.answer(yes);
	};
	return (
		<dialog ref={dialog} class="confirm" aria-labelledby="confirm-question" onCancel={() => answer(false)}>
			<p id="confirm-question">{open?.question}</p>
			<div class="row end">
				<button type="button" class="button" onClick={() => answer(false)}>
					{t('cancel')}
				</button>
				<button type="button" class="button strong" onClick={() => answer(true)}>
					{open?.confirm}
				</button>
			</div>
		</dialog>
	);
};
