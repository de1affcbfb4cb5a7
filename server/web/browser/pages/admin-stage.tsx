import { segment } from '../api/admin-api.ts';
import type { AdminRoom } from '../api/admin-types.ts';
import { formatNumber } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { Action } from '../ui/admin-ask.tsx';
import { ROLE_TEXT } from '../ui/people.tsx';
import { bans } from './admin-bans.tsx';
import { admin, CALM_MS } from './admin-model.ts';
import { LiveView } from '../ui/admin-live-view.tsx';

type Person = AdminRoom['stage'][number];
type Deed = 'mute' | 'promote' | 'demote' | 'kick' | 'ban' | 'invite';

interface Hands {
	hands: readonly { id: string; name: string; raisedAt: string; invited: boolean }[];
	total: number;
}

const DONE_TEXT: Readonly<Record<Deed, TextKey>> = {
	mute: 'adminMuted',
	promote: 'adminPromoted',
	demote: 'adminDemoted',
	kick: 'adminKicked',
	ban: 'adminBanned',
	invite: 'adminInvited',
};

const act = (roomId: string, id: string, deed: Deed): Promise<boolean> =>
	admin.act(async (api) => {
		await api.send('POST', `/v1/rooms/${segment(roomId)}/participants/${segment(id)}/${deed}`);
		return t(DONE_TEXT[deed]);
	}, admin.room(roomId), ...(deed === 'ban' ? [bans(roomId)] : []));

const Deeds = ({ roomId, person: { id, name, muted, role } }: { roomId: string; person: Person }) =>
	id === undefined ? null : (
		<div class="row wrap">
			{!muted && (
				<Action act={() => act(roomId, id, 'mute')} label={t('muteName', { name })}>
					{t('mute')}
				</Action>
			)}
			{role === 'speaker' && (
				<Action act={() => act(roomId, id, 'promote')} label={t('adminPromoteName', { name })}>
					{t('adminPromote')}
				</Action>
			)}
			{role !== 'host' && (
				<Action act={() => act(roomId, id, 'demote')} label={t('adminDemoteName', { name })}>
					{t('adminDemote')}
				</Action>
			)}
			<Action act={() => act(roomId, id, 'kick')} label={t('kickName', { name })} question={{ text: t('kickQuestion', { name }), confirm: t('kickConfirm') }}>
				{t('adminKick')}
			</Action>
			<Action act={() => act(roomId, id, 'ban')} label={t('adminBanName', { name })} question={{ text: t('adminBanQuestion', { name }), confirm: t('adminBanConfirm') }}>
				{t('adminBan')}
			</Action>
		</div>
	);

const PersonRow = ({ roomId, person }: { roomId: string; person: Person }) => (
	<li>
		<p>
			<strong>
				<bdi>{person.name}</bdi>
			</strong>{' '}
			<span class="quiet">
				{[
					t(ROLE_TEXT[person.role]),
					t('adminNumber', { number: formatNumber(person.number) }),
					...(person.kind === 'encoder' ? [t('adminEncoder')] : []),
					...(person.muted ? [t('mutedLabel')] : []),
					...(person.connected ? [] : [t('awayLabel')]),
				].join(' · ')}
			</span>
		</p>
		<Deeds roomId={roomId} person={person} />
	</li>
);

/** The queue of hands; hosts see the same. */
const HandList = ({ roomId }: { roomId: string }) => {
	const live = admin.read<Hands>(`/v1/rooms/${segment(roomId)}/hands?limit=20`, CALM_MS);
	return (
		<>
			<h3>{t('adminHands')}</h3>
			<LiveView live={live}>
				{({ hands, total }) => (
					<>
						<p class="quiet">{tCount('adminHandCount', total)}</p>
						<ul class="admin-list">
							{hands.map(({ id, name, invited }) => (
								<li key={id}>
									<p>
										<bdi>{name}</bdi> {invited && <span class="quiet">{t('adminInvited')}</span>}
									</p>
									<Action act={() => act(roomId, id, 'promote')} label={t('adminPromoteName', { name })}>
										{t('adminPromote')}
									</Action>
								</li>
							))}
						</ul>
					</>
				)}
			</LiveView>
		</>
	);
};

/** The room does not say whether its stage is locked: both are offered, and either does no harm twice. */
const Lock = ({ roomId, locked }: { roomId: string; locked: boolean }) => (
	<Action
		act={() =>
			admin.act(async (api) => {
				await api.send('PUT', `/v1/rooms/${segment(roomId)}/stage`, { locked });
				return t(locked ? 'adminStageLocked' : 'adminStageUnlocked');
			}, admin.room(roomId))
		}
	>
		{t(locked ? 'adminLockStage' : 'adminUnlockStage')}
	</Action>
);

/** Who is on stage, and who wants to be. */
export const StagePanel = ({ room: { id, stage, state } }: { room: AdminRoom }) => (
	<section class="card admin-panel" aria-labelledby="stage-heading">
		<h2 id="stage-heading">{t('onStage')}</h2>
		{stage.length === 0 && <p class="quiet">{t('stageEmpty')}</p>}
		<ul class="admin-list">
			{stage.map((person) => (
				<PersonRow key={person.number} roomId={id} person={person} />
			))}
		</ul>
		{state !== 'ended' && (
			<div class="row wrap">
				<Lock roomId={id} locked />
				<Lock roomId={id} locked={false} />
			</div>
		)}
		<HandList roomId={id} />
	</section>
);
