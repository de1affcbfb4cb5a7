import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

interface AskDialogProps {
	/** What somebody asks of one. */
	question: string;
	children?: ComponentChildren;
	yes: string;
	no: string;
	/** Both buttons rest while an answer is on its way. */
	busy?: boolean;
	onAnswer: (yes: boolean) => void;
	/** Escape: the question stays open, but not in the way. */
	onAside: () => void;
}

/** Something that somebody else asks, in front of everything, read out at once. Mount it while it is open. */
export const AskDialog = ({ question, children, yes, no, busy = false, onAnswer, onAside }: AskDialogProps) => {
	const dialog = useRef<HTMLDialogElement>(null);
	const id = useId();
	useEffect(() => {
		dialog.current?.showModal();
	}, []);
	return (
		<dialog
			ref={dialog}
			class="confirm ask"
			role="alertdialog"
			aria-labelledby={`${id}-question`}
			aria-describedby={`${id}-help`}
			onCancel={(event) => {
				event.preventDefault();
				onAside();
			}}
		>
			<p id={`${id}-question`} class="ask-question">
				{question}
			</p>
			<div id={`${id}-help`} class="quiet">
				{children}
			</div>
			<div class="row end">
				<button type="button" class="button" disabled={busy} onClick={() => onAnswer(false)}>
					{no}
				</button>
				<button type="button" class="button strong" disabled={busy} onClick={() => onAnswer(true)}>
					{yes}
				</button>
			</div>
		</dialog>
	);
};
