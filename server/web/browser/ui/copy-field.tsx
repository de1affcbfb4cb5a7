import { useSignal } from '@preact/signals';
import { t } from '../locale/language.ts';

/** A link that can be copied with one press, and by hand where the browser forbids that. */
export const CopyField = ({ label, value }: { label: string; value: string }) => {
	const copied = useSignal(false);
	const copy = async (field: HTMLInputElement | null) => {
		field?.select();
		try {
			await navigator.clipboard.writeText(value);
			copied.value = true;
			setTimeout(() => {
				copied.value = false;
			}, 2_000);
		} catch {
			// Left selected: the person can copy it themselves.
		}
	};
	return (
		<label class="copy">
			<span class="copy-label">{label}</span>
			<span class="copy-row">
				<input type="text" readOnly dir="ltr" value={value} onFocus={(event) => event.currentTarget.select()} />
				<button
					type="button"
					class="button"
					onClick={(event) => void copy(event.currentTarget.parentElement?.querySelector('input') ?? null)}
				>
					{copied.value ? t('copied') : t('copy')}
				</button>
			</span>
			<span class="hidden" role="status">
				{copied.value ? t('linkCopied') : ''}
			</span>
		</label>
	);
};
