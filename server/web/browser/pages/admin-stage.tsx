import { segment } from '../api/admin-api.ts';
import type { AdminRoom } from '../api/admin-types.ts';
import { formatInstant, formatNumber } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { Action } from '../ui/admin-ask.tsx';
import type { Live } from '../ui/admin-live.ts';
import { LiveView } from '../ui/admin-live-view.tsx';
import { now } from '../ui/now.ts';
import { ROLE_TEXT } from '../ui/people.tsx';
import { DownIcon, UpIcon } from '../ui/stage-icons.tsx';
import { bans } from './admin-bans.tsx';
import { admin, LIVELY_MS } from './admin-model.ts';
import { StageSettings } from './admin-stage-settings.tsx';

type Person = AdminRoom['stage'][number];
type Deed = 'mute' | 'promote' | 'demote' | 'kick' | 'ban' | 'invite' | 'lower';

interface Hands {
	hands: readonly { id: string; name: string; raisedAt: string; invited: boolean; raised?: boolean }[];
	total: number;
}

const DONE_TEXT: Readonly<Record<Deed, TextKey>> = {
	mute: 'adminMuted',
	promote: 'adminPromoted',
	demote: 'adminDemoted',
	kick: 'adminKicked',
	ban: 'adminBanned',
	invite: 'adminInvited',
	lower: 'adminHandLowered',
};

/** After these the queue is another. */
const OF_HANDS: readonly Deed[] = ['promote', 'invite', 'lower'];
const handsOf = (roomId: string): Live<Hands> => admin.read(`/v1/rooms/${segment(roomId)}/hands?limit=20`, LIVELY_MS);

const act = (roomId: string, id: string, deed: Deed): Promise<boolean> =>
	admin.act(async (api) => {
		await api.send('POST', `/v1/rooms/${segment(roomId)}/participants/${segment(id)}/${deed}`);
		return t(DONE_TEXT[deed]);
	}, admin.room(roomId), ...(deed === 'ban' ? [bans(roomId)] : []), ...(OF_HANDS.includes(deed) ? [handsOf(roomId)] : []));

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

/** One place up or down among those on stage. */
const move = (roomId: string, stage: readonly Person[], index: number, by: -1 | 1): Promise<boolean> => {
	const order = stage.flatMap(({ id }) => id ?? []);
	[order[index], order[index + by]] = [order[index + by] ?? '', order[index] ?? ''];
	return admin.act(async (api) => {
		await api.send('PUT', `/v1/rooms/${segment(roomId)}/stage`, { order });
		return t('adminMoved');
	}, admin.room(roomId));
};

const PersonRow = ({ roomId, stage, index, person }: { roomId: string; stage: readonly Person[]; index: number; person: Person }) => (
	<li>
		<div class="admin-person">
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
			{stage.length > 1 && (
				<div class="row">
					<Action icon disabled={index === 0} act={() => move(roomId, stage, index, -1)} label={t('adminMoveUpName', { name: person.name })}>
						<UpIcon />
					</Action>
					<Action icon disabled={index === stage.length - 1} act={() => move(roomId, stage, index, 1)} label={t('adminMoveDownName', { name: person.name })}>
						<DownIcon />
					</Action>
				</div>
			)}
		</div>
		<Deeds roomId={roomId} person={person} />
	</li>
);

/** The queue of hands; hosts see the same. */
const HandList = ({ roomId }: { roomId: string }) => {
	const live = handsOf(roomId);
	return (
		<>
			<h3>{t('adminHands')}</h3>
			<LiveView live={live}>
				{({ hands, total }) => (
					<>
						<p class="quiet">{tCount('adminHandCount', total)}</p>
						<ul class="admin-list">
							{hands.map(({ id, name, raisedAt, invited, raised = true }) => (
								<li key={id} data-hand={id}>
									<p>
										<bdi>{name}</bdi>{' '}
										<span class="quiet">
											{t('handSince', { when: formatInstant(raisedAt, now.value) })}
											{invited && ` · ${t('handInvited')}`}
										</span>
									</p>
									<div class="row wrap">
										{raised && (
											<Action act={() => act(roomId, id, 'promote')} label={t('handTakeUp', { name })}>
												{t('handTakeUpShort')}
											</Action>
										)}
										{!invited && (
											<Action act={() => act(roomId, id, 'invite')} label={t('handInvite', { name })}>
												{t('handInviteShort')}
											</Action>
										)}
										<Action act={() => act(roomId, id, 'lower')} label={t('handLowerName', { name })}>
											{t('adminLowerHand')}
										</Action>
									</div>
								</li>
							))}
						</ul>
					</>
				)}
			</LiveView>
		</>
	);
};

/** Who is on stage, and who wants to be. */
export const StagePanel = ({ room: { id, stage, state } }: { room: AdminRoom }) => (
	<section class="card admin-panel" aria-labelledby="stage-heading">
		<h2 id="stage-heading">{t('onStage')}</h2>
		{stage.length === 0 && <p class="quiet">{t('stageEmpty')}</p>}
		<ul class="admin-list">
			{stage.map((person, index) => (
				<PersonRow key={person.number} roomId={id} stage={stage} index={index} person={person} />
			))}
		</ul>
		{state !== 'ended' && <StageSettings roomId={id} taken={stage.length} />}
		{state !== 'ended' && <HandList roomId={id} />}
	</section>
);
