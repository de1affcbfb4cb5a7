import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { confirmed } from './confirm.tsx';

interface ActionProps {
	act: () => Promise<unknown>;
	/** Asked before; with what the button that goes on says. */
	question?: { text: string; confirm: string };
	strong?: boolean;
	disabled?: boolean;
	/** For screen readers, where the same words stand beside each of many things. */
	label?: string;
	/** It shows a picture and no words: its label is its name. */
	icon?: boolean;
	children: ComponentChildren;
}

/** A button for something that takes a while: pressed again meanwhile it does nothing. */
export const Action = ({ act, question, strong = false, disabled = false, label, icon = false, children }: ActionProps) => {
	const busy = useSignal(false);
	const press = async () => {
		if (busy.value || (question !== undefined && !(await confirmed(question.text, question.confirm)))) {
			return;
		}
		busy.value = true;
		try {
			await act();
		} finally {
			busy.value = false;
		}
	};
	return (
		<button
			type="button"
			class={icon ? 'icon-button' : strong ? 'button strong' : 'button'}
			disabled={disabled}
			aria-disabled={busy.value}
			aria-label={label}
			title={icon ? label : undefined}
			onClick={() => void press()}
		>
			{children}
		</button>
	);
};
