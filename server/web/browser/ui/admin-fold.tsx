import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';

interface FoldProps {
	title: string;
	/** Made when it is opened, and gone when it is closed: nothing is asked for what nobody looks at. */
	children: (close: () => void) => ComponentChildren;
}

/** Something that is there when it is wanted. */
export const Fold = ({ title, children }: FoldProps) => {
	const open = useSignal(false);
	return (
		<details
			open={open.value}
			onToggle={(event) => {
				open.value = event.currentTarget.open;
			}}
		>
			<summary>{title}</summary>
			{open.value &&
				children(() => {
					open.value = false;
				})}
		</details>
	);
};
