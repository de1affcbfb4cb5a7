import { useSignal } from '@preact/signals';
import { segment } from '../api/admin-api.ts';
import type { AdminRoom } from '../api/admin-types.ts';
import { embedCode } from '../api/embed-code.ts';
import type { InviteRole } from '../api/rooms-api.ts';
import { formatInstant } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { fieldText } from '../ui/admin-form.ts';
import { Action } from '../ui/admin-ask.tsx';
import { CopyField } from '../ui/copy-field.tsx';
import { now } from '../ui/now.ts';
import { ROLE_TEXT } from '../ui/people.tsx';
import { tokenIdOf } from './admin-token-id.ts';
import { admin } from './admin-model.ts';
import { REVOCATIONS, revocations } from './admin-revocations.tsx';

const ROLES = ['host', 'cohost', 'speaker', 'listener'] as const satisfies readonly InviteRole[];
const LIFETIMES: readonly { seconds: number | undefined; text: TextKey }[] = [
	{ seconds: undefined, text: 'adminExpiresDefault' },
	{ seconds: 86_400, text: 'adminExpiresDay' },
	{ seconds: 7 * 86_400, text: 'adminExpiresWeek' },
	{ seconds: 30 * 86_400, text: 'adminExpiresMonth' },
];

interface MadeLink {
	name: string;
	role: InviteRole;
	url: string;
	expiresAt: string;
	/** Undefined: it cannot be revoked by itself. */
	tokenId: string | undefined;
}

/** Personal links, by role: made here, and taken back while they are on the page. */
export const LinksPanel = ({ room: { id, visibility, links } }: { room: AdminRoom }) => {
	const made = useSignal<readonly MadeLink[]>([]);
	const make = async (form: HTMLFormElement) => {
		const data = new FormData(form);
		const name = fieldText(data, 'name');
		const role = ROLES.find((known) => known === data.get('role')) ?? 'speaker';
		const subject = fieldText(data, 'subject');
		const expiresIn = Number(data.get('expiresIn'));
		const done = await admin.act(async (api) => {
			const body = { role, name, ...(subject === '' ? {} : { subject }), ...(expiresIn > 0 ? { expiresIn } : {}) };
			const { token, url, expiresAt } = await api.send<{ token: string; url: string; expiresAt: string }>('POST', `/v1/rooms/${segment(id)}/tokens`, body);
			made.value = [{ name, role, url, expiresAt, tokenId: tokenIdOf(token) }, ...made.value];
			return t('adminLinkMade');
		});
		if (done) {
			form.reset();
		}
	};
	const revoke = (link: MadeLink) =>
		admin.act(async (api) => {
			await api.send('POST', REVOCATIONS, { tokenId: link.tokenId, room: id });
			made.value = made.value.filter((other) => other !== link);
			return t('adminRevoked');
		}, revocations());
	return (
		<section class="card admin-panel" aria-labelledby="links-heading">
			<h2 id="links-heading">{t('adminLinks')}</h2>
			{visibility === 'public' && <CopyField label={t('listenLink')} value={links.listen} />}
			{visibility === 'public' && <CopyField label={t('embedCode')} value={embedCode(links.listen, id)} />}
			<form
				class="admin-panel"
				onSubmit={(event) => {
					event.preventDefault();
					void make(event.currentTarget);
				}}
			>
				<h3>{t('invite')}</h3>
				<p class="quiet">{t('inviteHelp')}</p>
				<div class="admin-pair">
					<label class="field">
						<span>{t('inviteName')}</span>
						<input name="name" type="text" required maxLength={100} autoComplete="off" dir="auto" />
					</label>
					<label class="field">
						<span>{t('inviteRole')}</span>
						<select name="role">
							{ROLES.map((role) => (
								<option key={role} value={role}>
									{t(ROLE_TEXT[role])}
								</option>
							))}
						</select>
					</label>
				</div>
				<div class="admin-pair">
					<label class="field">
						<span>{t('adminExpires')}</span>
						<select name="expiresIn">
							{LIFETIMES.map(({ seconds, text }) => (
								<option key={text} value={seconds ?? ''}>
									{t(text)}
								</option>
							))}
						</select>
					</label>
					<label class="field">
						<span>{t('adminSubject')}</span>
						<input name="subject" type="text" maxLength={200} pattern="[\x21-\x7e]+" dir="ltr" autoComplete="off" autoCapitalize="none" />
					</label>
				</div>
				<button type="submit" class="button">
					{t('inviteMake')}
				</button>
			</form>
			<ul class="admin-list">
				{made.value.map((link) => (
					<li key={link.url}>
						<CopyField label={t('adminLinkFor', { name: link.name, role: t(ROLE_TEXT[link.role]) })} value={link.url} />
						<div class="row wrap">
							<span class="quiet">{t('adminExpiresAt', { when: formatInstant(link.expiresAt, now.value) })}</span>
							{link.tokenId !== undefined && revocations().state.value !== 'missing' && (
								<Action
									act={() => revoke(link)}
									label={t('adminRevokeOf', { name: link.name })}
									question={{ text: t('adminRevokeQuestion', { name: link.name }), confirm: t('adminRevokeConfirm') }}
								>
									{t('adminRevoke')}
								</Action>
							)}
						</div>
					</li>
				))}
			</ul>
		</section>
	);
};
