import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { HandEntry } from '../../../stage/protocol.ts';
import { formatInstant, formatNumber } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import type { StageModel } from '../pages/stage-model.ts';
import { RemoveIcon } from './icons.tsx';
import { now } from './now.ts';
import { HandIcon } from './stage-icons.tsx';

/** A queue that is read out with every hand says nothing else any more. */
const SPOKEN_EVERY_MS = 5_000;

/** The hands that are up, first come first, and what a host can do about each. */
export const HandsQueue = ({ model }: { model: StageModel }) => {
	const hands = model.hands.value;
	const total = model.handCount.value;
	return (
		<section class="card hands" aria-labelledby="hands-heading">
			<div class="section-head">
				<h2 id="hands-heading">{t('hands')}</h2>
				{total > 0 && (
					<p class="facts">
						<HandIcon />
						{tCount('handsTotal', total)}
					</p>
				)}
			</div>
			<NewHand hands={hands} />
			{hands.length === 0 ? (
				<p class="quiet">{t('handsNone')}</p>
			) : (
				<ol class="hand-list">
					{hands.map((hand, index) => (
						<HandItem key={hand.id} hand={hand} place={index + 1} model={model} />
					))}
				</ol>
			)}
			{hands.length < total && (
				<button type="button" class="button" onClick={() => model.moreHands()}>
					{t('handsMore')}
				</button>
			)}
		</section>
	);
};

const HandItem = ({ hand: { id, name, raisedAt, invited, raised }, place, model }: { hand: HandEntry; place: number; model: StageModel }) => (
	<li class="hand" data-hand={id}>
		<span class="hand-place" aria-hidden="true">
			{formatNumber(place)}
		</span>
		<span class="person-text">
			<span class="person-name">
				<bdi>{name}</bdi>
			</span>
			<span class="person-notes">
				{t('handSince', { when: formatInstant(raisedAt, now.value) })}
				{invited && ` · ${t('handInvited')}`}
			</span>
		</span>
		<span class="hand-actions">
			{raised && (
				<button type="button" class="button strong" aria-label={t('handTakeUp', { name })} onClick={() => model.promote(id, 'speaker')}>
					{t('handTakeUpShort')}
				</button>
			)}
			{!invited && (
				<button type="button" class="button" aria-label={t('handInvite', { name })} onClick={() => model.invite(id)}>
					{t('handInviteShort')}
				</button>
			)}
			<button type="button" class="icon-button" aria-label={t('handLowerName', { name })} title={t('handLowerName', { name })} onClick={() => model.lowerHand(id)}>
				<RemoveIcon />
			</button>
		</span>
	</li>
);

/** Says who has come to the queue, now and then. */
const NewHand = ({ hands }: { hands: readonly HandEntry[] }) => {
	const spoken = useSignal('');
	const known = useRef<ReadonlySet<string> | null>(null);
	const spokeAtMs = useRef(0);
	useEffect(() => {
		const newest = hands.findLast(({ id }) => known.current?.has(id) === false);
		if (newest !== undefined && Date.now() - spokeAtMs.current >= SPOKEN_EVERY_MS) {
			spokeAtMs.current = Date.now();
			spoken.value = t('handNew', { name: newest.name });
		}
		known.current = new Set(hands.map(({ id }) => id));
	}, [hands]);
	return (
		<p class="hidden" aria-live="polite">
			{spoken.value}
		</p>
	);
};
