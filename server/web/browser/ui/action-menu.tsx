import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { MoreIcon } from './stage-icons.tsx';

export interface Action {
	text: string;
	icon?: ComponentChildren;
	/** Cannot be taken back easily. */
	grave?: boolean;
	run: () => void;
}

/** What can be done about one person: folded away until it is wanted. @param label says whose it is */
export const ActionMenu = ({ label, actions }: { label: string; actions: readonly Action[] }) => {
	const menu = useRef<HTMLDetailsElement>(null);
	const close = (focus: boolean) => {
		if (menu.current?.open === true) {
			menu.current.open = false;
			if (focus) {
				menu.current.querySelector('summary')?.focus();
			}
		}
	};
	useEffect(() => {
		const outside = ({ target }: Event) => {
			if (target instanceof Node && menu.current?.contains(target) !== true) {
				close(false);
			}
		};
		document.addEventListener('pointerdown', outside);
		document.addEventListener('focusin', outside);
		return () => {
			document.removeEventListener('pointerdown', outside);
			document.removeEventListener('focusin', outside);
		};
	}, []);
	return (
		<details ref={menu} class="menu" onKeyDown={(event) => event.key === 'Escape' && close(true)}>
			<summary class="icon-button" aria-label={label} title={label}>
				<MoreIcon />
			</summary>
			<ul class="menu-items">
				{actions.map(({ text, icon, grave, run }) => (
					<li key={text}>
						<button
							type="button"
							class={`menu-item${grave === true ? ' is-grave' : ''}`}
							onClick={() => {
								close(true);
								run();
							}}
						>
							{icon}
							{text}
						</button>
					</li>
				))}
			</ul>
		</details>
	);
};
