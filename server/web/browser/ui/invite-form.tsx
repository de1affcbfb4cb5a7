import { useSignal } from '@preact/signals';
import type { InviteRole } from '../api/rooms-api.ts';
import { t } from '../locale/language.ts';
import { CopyField } from './copy-field.tsx';
import { ROLE_TEXT } from './people.tsx';
import { problemText } from './problem-text.ts';

interface InviteFormProps {
	roles: readonly InviteRole[];
	invite: (role: InviteRole, name: string) => Promise<{ url: string }>;
	/** Of rooms that everybody may hear: their listening page, and what puts the player on another one. */
	open?: { listenUrl: string; embedCode: string } | undefined;
}

/** Role and name in, a personal link out. */
export const InviteForm = ({ roles, invite, open }: InviteFormProps) => {
	const name = useSignal('');
	const role = useSignal<InviteRole>(roles[0] ?? 'speaker');
	const links = useSignal<readonly { name: string; url: string }[]>([]);
	const failure = useSignal<unknown>(null);
	const submit = async () => {
		failure.value = null;
		const invited = name.value.trim();
		try {
			const { url } = await invite(role.value, invited);
			links.value = [{ name: invited, url }, ...links.value];
			name.value = '';
		} catch (error) {
			failure.value = error;
		}
	};
	return (
		<form
			class="invite"
			onSubmit={(event) => {
				event.preventDefault();
				void submit();
			}}
		>
			<h3>{t('invite')}</h3>
			<p class="quiet">{t('inviteHelp')}</p>
			<div class="row wrap fields">
				<label class="field grow">
					<span>{t('inviteName')}</span>
					<input
						type="text"
						required
						maxLength={100}
						autoComplete="off"
						dir="auto"
						value={name.value}
						onInput={(event) => {
							name.value = event.currentTarget.value;
						}}
					/>
				</label>
				<label class="field">
					<span>{t('inviteRole')}</span>
					<select
						value={role.value}
						onChange={(event) => {
							const chosen = event.currentTarget.value;
							role.value = roles.find((offered) => offered === chosen) ?? role.value;
						}}
					>
						{roles.map((offered) => (
							<option key={offered} value={offered}>
								{t(ROLE_TEXT[offered])}
							</option>
						))}
					</select>
				</label>
				<button type="submit" class="button">
					{t('inviteMake')}
				</button>
			</div>
			<div role="alert">{failure.value !== null && <p class="notice">{t('actionFailed', { reason: problemText(failure.value) })}</p>}</div>
			{links.value.map((link) => (
				<CopyField key={link.url} label={t('inviteFor', { name: link.name })} value={link.url} />
			))}
			{open !== undefined && (
				<>
					<CopyField label={t('listenLink')} value={open.listenUrl} />
					<CopyField label={t('embedCode')} value={open.embedCode} />
				</>
			)}
		</form>
	);
};
