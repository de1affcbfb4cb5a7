import type { AdminApi } from '../api/admin-api.ts';
import { segment } from '../api/admin-api.ts';
import { formatInstant } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import { asProblem } from '../sdk/problem.ts';
import { Action } from '../ui/admin-ask.tsx';
import type { Live } from '../ui/admin-live.ts';
import { Panel } from '../ui/admin-live-view.tsx';
import { now } from '../ui/now.ts';
import { admin, CALM_MS } from './admin-model.ts';
import { RevocationsPanel } from './admin-revocations.tsx';

interface SigningKey {
	kid: string;
	createdAt?: string;
	/** Whether tokens are signed with it now. */
	signing?: boolean;
}

const PATH = '/v1/admin/keys';

/** A server that does not list its keys to admins shows their public halves to everybody. */
const readKeys = async (api: AdminApi): Promise<readonly SigningKey[]> => {
	try {
		return (await api.read<{ keys: readonly SigningKey[] }>(PATH)).keys;
	} catch (error) {
		if (asProblem(error).status !== 404 && asProblem(error).status !== 405) {
			throw error;
		}
		const { keys } = await api.read<{ keys: readonly { kid?: string }[] }>('/.well-known/jwks.json');
		return keys.flatMap(({ kid }) => (kid === undefined ? [] : [{ kid }]));
	}
};

const keys = (): Live<readonly SigningKey[]> => admin.live('keys', () => readKeys(admin.api), CALM_MS);

const KeysPanel = () => {
	const live = keys();
	const rotate = () =>
		admin.act(async (api) => {
			await api.send('POST', PATH);
			return t('adminKeyMade');
		}, live);
	const retire = (kid: string) =>
		admin.act(async (api) => {
			await api.send('DELETE', `${PATH}/${segment(kid)}`);
			return t('adminKeyRetired');
		}, live);
	return (
		<Panel id="keys" title={t('adminKeys')} live={live}>
			{(list) => (
				<>
					<p class="quiet">{t('adminKeysHelp')}</p>
					<ul class="admin-list" data-keys={list.length}>
						{list.map(({ kid, createdAt, signing }) => (
							<li key={kid}>
								<p class="admin-long">
									<bdi>{kid}</bdi>
								</p>
								<p class="quiet">{[...(signing === true ? [t('adminKeySigning')] : []), ...(createdAt === undefined ? [] : [formatInstant(createdAt, now.value)])].join(' · ')}</p>
								{signing !== true && list.length > 1 && (
									<Action act={() => retire(kid)} label={t('adminRetireKey', { kid })} question={{ text: t('adminRetireQuestion', { kid }), confirm: t('adminRetireConfirm') }}>
										{t('adminRetire')}
									</Action>
								)}
							</li>
						))}
					</ul>
					<Action act={rotate} question={{ text: t('adminRotateQuestion'), confirm: t('adminRotateConfirm') }}>
						{t('adminRotate')}
					</Action>
				</>
			)}
		</Panel>
	);
};

/** Keys that tokens are signed with, and tokens that count no more. */
export const AccessSection = () => (
	<div class="admin-halves">
		<KeysPanel />
		<RevocationsPanel />
	</div>
);
