import { segment } from '../api/admin-api.ts';
import { formatInstant } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import { fieldText } from '../ui/admin-form.ts';
import { Action } from '../ui/admin-ask.tsx';
import type { Live } from '../ui/admin-live.ts';
import { Panel } from '../ui/admin-live-view.tsx';
import { now } from '../ui/now.ts';
import { admin, CALM_MS } from './admin-model.ts';

/** Where tokens are revoked. */
export const REVOCATIONS = '/v1/admin/tokens/revoke';

interface Revocation {
	id?: string;
	tokenId?: string;
	subject?: string;
	room?: string;
	at?: string;
}

export const revocations = (): Live<{ revocations: readonly Revocation[] }> => admin.read(REVOCATIONS, CALM_MS);

/** Tokens that count no more, by their own id or by whose they are. */
export const RevocationsPanel = () => {
	const live = revocations();
	const revoke = async (form: HTMLFormElement) => {
		const data = new FormData(form);
		const room = fieldText(data, 'room');
		const by = data.get('by') === 'tokenId' ? { tokenId: fieldText(data, 'what') } : { subject: fieldText(data, 'what') };
		const done = await admin.act(async (api) => {
			await api.send('POST', REVOCATIONS, { ...by, ...(room === '' ? {} : { room }) });
			return t('adminRevoked');
		}, live);
		if (done) {
			form.reset();
		}
	};
	const undo = (id: string) =>
		admin.act(async (api) => {
			await api.send('DELETE', `${REVOCATIONS}/${segment(id)}`);
			return t('adminRevocationUndone');
		}, live);
	return (
		<Panel id="revocations" title={t('adminRevocations')} live={live}>
			{({ revocations: list }) => (
				<>
					<p class="quiet">{t('adminRevocationsHelp')}</p>
					<form
						class="admin-panel"
						onSubmit={(event) => {
							event.preventDefault();
							void revoke(event.currentTarget);
						}}
					>
						<div class="admin-pair is-wide">
							<label class="field">
								<span>{t('adminRevokeBy')}</span>
								<select name="by">
									<option value="subject">{t('adminSubjectOf')}</option>
									<option value="tokenId">{t('adminTokenId')}</option>
								</select>
							</label>
							<label class="field">
								<span>{t('adminRevokeWhat')}</span>
								<input name="what" type="text" required maxLength={200} dir="ltr" autoComplete="off" autoCapitalize="none" />
							</label>
						</div>
						<label class="field">
							<span>{t('adminRevokeRoom')}</span>
							<input name="room" type="text" maxLength={64} dir="ltr" autoComplete="off" autoCapitalize="none" />
						</label>
						<button type="submit" class="button">
							{t('adminRevoke')}
						</button>
					</form>
					<ul class="admin-list">
						{list.map(({ id, tokenId, subject, room, at }) => (
							<li key={id ?? tokenId ?? `${subject} ${room}`}>
								<p class="admin-long">
									<bdi>{tokenId ?? subject}</bdi>
								</p>
								<p class="quiet">
									{t(tokenId === undefined ? 'adminSubjectOf' : 'adminTokenId')}
									{room !== undefined && (
										<>
											{' · '}
											<bdi>{room}</bdi>
										</>
									)}
									{at !== undefined && ` · ${formatInstant(at, now.value)}`}
								</p>
								{id !== undefined && <Action act={() => undo(id)}>{t('adminUndoRevocation')}</Action>}
							</li>
						))}
					</ul>
				</>
			)}
		</Panel>
	);
};
