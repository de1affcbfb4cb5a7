import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { formatDuration, formatNumber } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import type { HandModel, HandNews } from '../pages/hand-model.ts';
import type { ProblemError } from '../sdk/problem.ts';
import { AskDialog } from './ask-dialog.tsx';
import { MICROPHONE_TEXT } from './microphone-picker.tsx';
import { reducedMotion } from './motion.ts';
import { now } from './now.ts';
import { problemText } from './problem-text.ts';
import { RecordingNote } from './recording-note.tsx';
import { HandIcon } from './stage-icons.tsx';

/** A place in the queue that is read out with every step says nothing else any more. */
const SPOKEN_EVERY_MS = 10_000;

const NEWS: Record<HandNews, TextKey> = {
	lowered: 'handLowered',
	over: 'invitationOver',
	left: 'stageLeft',
	demoted: 'demotedNews',
	kicked: 'kickedNews',
	replaced: 'stageReplaced',
	gone: 'stageGone',
};

const PROBLEMS: Readonly<Record<string, TextKey>> = {
	hands_full: 'handsFull',
	stage_locked: 'stageLockedFull',
	stage_full: 'stageLockedFull',
	banned: 'listenBanned',
};

const failureText = (problem: ProblemError): string => {
	const known = PROBLEMS[problem.code];
	return known === undefined ? t('actionFailed', { reason: problemText(problem) }) : t(known);
};

interface HandPanelProps {
	model: HandModel;
	/** Whoever goes on stage is recorded. */
	recording: boolean;
}

/** A listener's hand: raised here, with its place in the queue, and the invitation that may come of it. */
export const HandPanel = ({ model, recording }: HandPanelProps) => {
	const trouble = model.trouble.value;
	const failure = model.failure.value;
	const news = model.news.value;
	const troubleText = trouble === null ? undefined : MICROPHONE_TEXT[trouble];
	const step = model.step.value;
	useEffect(() => model.watch(), [model]);
	const panel = useRef<HTMLElement>(null);
	/** Still so when what had it is disabled or gone: then the focus goes nowhere else. */
	const hadFocus = useRef(false);
	// The keyboard goes on here, and not at the top of the page; on no button, which would come under somebody's fingers.
	useEffect(() => {
		if (hadFocus.current && document.activeElement === document.body) {
			panel.current?.focus({ preventScroll: true });
		}
	}, [step]);
	return (
		<section
			ref={panel}
			class="hand-panel"
			aria-label={t('raiseHand')}
			data-hand={step}
			tabIndex={-1}
			onFocusIn={() => {
				hadFocus.current = true;
			}}
			onFocusOut={({ relatedTarget }) => {
				hadFocus.current &&= relatedTarget === null;
			}}
		>
			<p class="hand-news" role="status">
				{news === null ? '' : t(NEWS[news])}
			</p>
			<div role="alert">
				{troubleText !== undefined && <p class="notice">{t(troubleText)}</p>}
				{failure !== null && <p class="notice">{failureText(failure)}</p>}
			</div>
			<p class="hidden" aria-live="assertive">
				{unexpectedText(model)}
			</p>
			<Step model={model} recording={recording} />
		</section>
	);
};

const Step = ({ model, recording }: HandPanelProps) => {
	switch (model.step.value) {
		case 'down':
			return (
				<>
					<button type="button" class="button" title={t('raiseHandHelp')} onClick={() => void model.begin()}>
						<HandIcon />
						{t('raiseHand')}
					</button>
					{recording && <RecordingNote consent />}
				</>
			);
		case 'naming':
			return <Naming model={model} />;
		case 'asking':
			return <p role="status">{t('handAskMicrophone')}</p>;
		case 'raising':
			return <p role="status">{t('handRaising')}</p>;
		case 'up':
			return <Up model={model} />;
		case 'invited':
			return <Invited model={model} recording={recording} />;
		case 'held':
			return (
				<>
					<p role="status">{t('onStageHeld')}</p>
					<button type="button" class="button strong" onClick={() => void model.resume()}>
						{t('onStageResume')}
					</button>
				</>
			);
		default:
			return <p role="status">{t('onStageComing')}</p>;
	}
};

const Naming = ({ model }: { model: HandModel }) => {
	const name = useSignal('');
	const input = useRef<HTMLInputElement>(null);
	useEffect(() => input.current?.focus(), []);
	return (
		<form
			class="hand-name"
			onSubmit={(event) => {
				event.preventDefault();
				void model.raise(name.value.trim());
			}}
		>
			<label class="field">
				<span>{t('handName')}</span>
				<input
					ref={input}
					type="text"
					required
					maxLength={60}
					autoComplete="nickname"
					dir="auto"
					value={name.value}
					onInput={(event) => {
						name.value = event.currentTarget.value;
					}}
				/>
			</label>
			<div class="row wrap">
				<button type="submit" class="button strong" disabled={name.value.trim() === ''}>
					<HandIcon />
					{t('raiseHand')}
				</button>
				<button type="button" class="button" onClick={() => model.cancel()}>
					{t('cancel')}
				</button>
			</div>
		</form>
	);
};

const positionText = (model: HandModel): string => {
	const hand = model.hand.value;
	return hand === null || hand.position === null ? '' : t('handPosition', { position: formatNumber(hand.position), total: formatNumber(hand.total) });
};

const Up = ({ model }: { model: HandModel }) => {
	const spoken = useSignal({ text: '', atMs: 0 });
	useSignalEffect(() => {
		const text = positionText(model);
		const { text: said, atMs } = spoken.peek();
		if (text !== said && now.value - atMs >= SPOKEN_EVERY_MS) {
			spoken.value = { text, atMs: now.value };
		}
	});
	return (
		<>
			<p class="hand-up" role="status">
				<HandIcon />
				{t('handUp')}
			</p>
			<p class="quiet" aria-hidden="true" data-position={model.hand.value?.position}>
				{positionText(model)}
			</p>
			<p class="hidden" aria-live="polite">
				{spoken.value.text}
			</p>
			<button type="button" class="button" disabled={model.busy.value} onClick={() => void model.lower()}>
				{t('handLower')}
			</button>
		</>
	);
};

/** Read out, since nothing else draws attention to it: an invitation for which nobody has raised a hand. */
const unexpectedText = (model: HandModel): string => {
	const hand = model.hand.value;
	return model.step.value !== 'invited' || hand === null || hand.raised || hand.invitation === null
		? ''
		: `${t('invitedBy', { name: hand.invitation.by })}. ${t('invitedHelp')}`;
};

const Invited = ({ model, recording }: HandPanelProps) => {
	// Whoever has a hand up waits for the question. Anybody else may be typing: no button comes under their fingers.
	const aside = useSignal(model.hand.peek()?.raised !== true);
	const card = useRef<HTMLDivElement>(null);
	useEffect(() => card.current?.scrollIntoView({ block: 'nearest', behavior: reducedMotion() ? 'auto' : 'smooth' }), []);
	const invitation = model.hand.value?.invitation;
	if (invitation == null) {
		return null;
	}
	const question = t('invitedBy', { name: invitation.by });
	const leftMs = Date.parse(invitation.expiresAt) - now.value;
	const answer = (yes: boolean) => void (yes ? model.accept() : model.decline());
	const details = (
		<>
			<p>{t('invitedHelp')}</p>
			{recording && <RecordingNote consent />}
			{leftMs > 0 && (
				<p class="invited-time" role="timer" aria-live="off">
					{t('invitedTime', { time: formatDuration(leftMs) })}
				</p>
			)}
		</>
	);
	if (!aside.value) {
		return (
			<AskDialog
				question={question}
				yes={t('inviteAccept')}
				no={t('inviteDecline')}
				busy={model.busy.value}
				onAnswer={answer}
				onAside={() => {
					aside.value = true;
				}}
			>
				{model.trouble.value !== null && <p class="notice">{t(MICROPHONE_TEXT[model.trouble.value] ?? 'microphoneFailed')}</p>}
				{model.failure.value !== null && <p class="notice">{failureText(model.failure.value)}</p>}
				{details}
			</AskDialog>
		);
	}
	return (
		<div ref={card} class="invited" role="group" aria-label={question}>
			<p class="hand-up">{question}</p>
			{details}
			<div class="row wrap">
				<button type="button" class="button strong" disabled={model.busy.value} onClick={() => answer(true)}>
					{t('inviteAccept')}
				</button>
				<button type="button" class="button" disabled={model.busy.value} onClick={() => answer(false)}>
					{t('inviteDecline')}
				</button>
			</div>
		</div>
	);
};
