import { useSignal } from '@preact/signals';
import { formatInstant } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { Action } from './admin-ask.tsx';
import { CopyField } from './copy-field.tsx';
import { now } from './now.ts';

const OVERLAPS: readonly { seconds: number; text: TextKey }[] = [
	{ seconds: 86_400, text: 'adminOverlapDay' },
	{ seconds: 3_600, text: 'adminOverlapHour' },
	{ seconds: 7 * 86_400, text: 'adminOverlapWeek' },
	{ seconds: 0, text: 'adminOverlapNone' },
];

/** A secret, this once. */
export const ShownSecret = ({ secret }: { secret: string | null }) => (
	<div role="status">
		{secret !== null && (
			<>
				<p>{t('adminWebhookSecretHelp')}</p>
				<CopyField label={t('adminWebhookSecret')} value={secret} />
			</>
		)}
	</div>
);

interface RotateSecretProps {
	url: string;
	/** Until then the secret before the present one signs, too; absent: it does not. */
	previousUntil: string | undefined;
	/** The new secret; undefined when it was not made. */
	rotate: (overlapSeconds: number) => Promise<string | undefined>;
}

/** Another signing secret, with a time in which both are good. */
export const RotateSecret = ({ url, previousUntil, rotate }: RotateSecretProps) => {
	const overlap = useSignal(OVERLAPS[0]?.seconds ?? 0);
	const secret = useSignal<string | null>(null);
	return (
		<div class="admin-fields">
			<p class="quiet">{t('adminNewSecretHelp')}</p>
			<label class="field">
				<span>{t('adminOverlap')}</span>
				<select
					value={String(overlap.value)}
					onChange={(event) => {
						overlap.value = Number(event.currentTarget.value);
					}}
				>
					{OVERLAPS.map(({ seconds, text }) => (
						<option key={seconds} value={String(seconds)}>
							{t(text)}
						</option>
					))}
				</select>
			</label>
			<Action
				act={async () => {
					secret.value = (await rotate(overlap.value)) ?? secret.value;
				}}
				question={{ text: t('adminRotateSecretQuestion', { url }), confirm: t('adminRotateConfirm') }}
			>
				{t('adminRotateSecret')}
			</Action>
			<ShownSecret secret={secret.value} />
			{previousUntil !== undefined && <p>{t('adminPreviousUntil', { when: formatInstant(previousUntil, now.value) })}</p>}
		</div>
	);
};
