import { segment } from '../api/admin-api.ts';
import { formatInstant } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import { Action } from '../ui/admin-ask.tsx';
import type { Live } from '../ui/admin-live.ts';
import { Panel } from '../ui/admin-live-view.tsx';
import { now } from '../ui/now.ts';
import { admin, CALM_MS } from './admin-model.ts';

interface Ban {
	subject: string;
	name?: string;
	bannedAt?: string;
	bannedBy?: string;
}

const pathOf = (roomId: string): string => `/v1/rooms/${segment(roomId)}/bans`;

export const bans = (roomId: string): Live<{ bans: readonly Ban[] }> => admin.read(pathOf(roomId), CALM_MS);

/** Who may not come into the room any more, and how they may again. */
export const BansPanel = ({ id }: { id: string }) => {
	const live = bans(id);
	const lift = (subject: string) =>
		admin.act(async (api) => {
			await api.send('DELETE', `${pathOf(id)}/${segment(subject)}`);
			return t('adminBanLifted');
		}, live);
	return (
		<Panel id="bans" title={t('adminBans')} live={live}>
			{({ bans: list }) =>
				list.length === 0 ? (
					<p class="quiet">{t('adminNoBans')}</p>
				) : (
					<ul class="admin-list">
						{list.map(({ subject, name, bannedAt, bannedBy }) => (
							<li key={subject}>
								<p>
									<bdi>{name ?? subject}</bdi>{' '}
									<span class="quiet">
										{name !== undefined && <bdi>{subject}</bdi>}
										{bannedAt !== undefined && ` · ${formatInstant(bannedAt, now.value)}`}
										{bannedBy !== undefined && <> · {t('adminBy', { name: bannedBy })}</>}
									</span>
								</p>
								<Action act={() => lift(subject)} label={t('adminLiftBanOf', { name: name ?? subject })}>
									{t('adminLiftBan')}
								</Action>
							</li>
						))}
					</ul>
				)
			}
		</Panel>
	);
};
