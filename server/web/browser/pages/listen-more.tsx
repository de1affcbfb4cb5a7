// Everything that people on the listening page may want besides listening: a hand, a place on stage, reactions,
// captions. One part for all of it, loaded once the page plays: each further one would split what they share into
// files of its own, and that is one more request for everybody who arrives. What is large and needed by few
// (mediasoup-client) is loaded later still, as a bundle of its own.
import { keepToken } from '../api/link-token.ts';
import { addTexts, t } from '../locale/language.ts';
import { moreTexts } from '../locale/more-texts.ts';
import { GuestPass } from '../sdk/guest.ts';
import { HandSession } from '../sdk/hand-session.ts';
import { Microphone } from '../sdk/microphone.ts';
import { addStyle } from '../ui/add-style.ts';
import { ConfirmDialog } from '../ui/confirm.tsx';
import { HandPanel } from '../ui/hand-panel.tsx';
import { OnAir } from '../ui/on-air.tsx';
import { problemText } from '../ui/problem-text.ts';
import { Captions } from '../ui/captions.tsx';
import { GuestName } from '../ui/guest-name.tsx';
import { Reactions } from '../ui/reactions.tsx';
import { Report } from '../ui/report.tsx';
import { AudienceModel } from './audience-model.ts';
import { HandModel } from './hand-model.ts';
import type { ListenModel } from './listen-model.ts';

/** Put in by the build. */
declare const MORE_STYLE: string;

interface PartProps {
	model: ListenModel;
}

/** What hangs on a page's model, made when it is first shown. */
interface Parts {
	guest: GuestPass;
	hand: HandModel;
	audience: AudienceModel;
}
let made: Parts | undefined;

const partsOf = (model: ListenModel): Parts => {
	if (made === undefined) {
		const { roomId: room, servers, token } = model;
		const guest = new GuestPass({ room, servers, ...(token === undefined ? {} : { token }) });
		const hand = new HandModel(model, {
			guest,
			hand: (options) => new HandSession(options),
			microphone: () => new Microphone(),
			stage: () => import('../sdk/stage.ts'),
			storage: storage(),
		});
		made = { guest, hand, audience: new AudienceModel(model, { guest, storage: lasting() }) };
	}
	return made;
};

/** For choices that outlive the visit. */
const lasting = (): Storage | undefined => {
	try {
		return localStorage;
	} catch {
		return undefined;
	}
};

const storage = (): Storage | undefined => {
	try {
		return sessionStorage;
	} catch {
		return undefined;
	}
};

/** Whether the person is heard rather than listening only. */
export const isOnStage = (model: ListenModel): boolean => partsOf(model).hand.onStage.value;

/** In place of the player, while one is on stage. */
export const OnStage = ({ model }: PartProps) => {
	const { hand } = partsOf(model);
	const role = hand.air.view.value?.role;
	const failure = hand.air.failure.value;
	// The same person with the same token: this page is replaced there.
	const openHostPage = () => {
		const { stageToken } = hand;
		if (stageToken !== undefined) {
			keepToken(model.roomId, stageToken);
			location.assign(`/r/${encodeURIComponent(model.roomId)}/stage`);
		}
	};
	return (
		<div class="player on-stage">
			<OnAir model={hand.air} state={model.room.value?.state}>
				{(role === 'host' || role === 'cohost') && (
					<>
						<p role="status">{t('onStageHost')}</p>
						<button type="button" class="button strong" onClick={openHostPage}>
							{t('onStageHostOpen')}
						</button>
					</>
				)}
			</OnAir>
			<div role="alert">{failure !== null && <p class="notice">{t('actionFailed', { reason: problemText(failure) })}</p>}</div>
			<ConfirmDialog />
		</div>
	);
};

/** Inside the player, below the volume. */
export const PlayerMore = ({ model }: PartProps) => {
	const room = model.room.value;
	const ended = room?.state === 'ended';
	const { hand, audience } = partsOf(model);
	return (
		<>
			{!ended && <Reactions model={audience} />}
			{!ended && <HandPanel model={hand} recording={room?.recording === true} />}
		</>
	);
};

/** Below the stage. */
export const BelowMore = ({ model }: PartProps) => {
	const { audience } = partsOf(model);
	return (
		<>
			<Captions model={audience} />
			{model.room.value?.state !== 'ended' && <GuestName model={audience} />}
			<Report model={audience} />
		</>
	);
};

/** All that the small player has room for. */
export const EmbedMore = ({ model }: PartProps) => {
	const { audience } = partsOf(model);
	return (
		<>
			<Captions model={audience} />
			{model.room.value?.state !== 'ended' && <Reactions model={audience} />}
		</>
	);
};

await Promise.all([addTexts(moreTexts), addStyle(MORE_STYLE)]);
