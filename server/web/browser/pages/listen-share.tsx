import { useSignal } from '@preact/signals';
import { t } from '../locale/language.ts';
import { CalendarIcon, ShareIcon } from '../ui/icons.tsx';
import type { ListenModel } from './listen-model.ts';

/** Passes the room on to others, and reminds oneself of it. */
export const Share = ({ model }: { model: ListenModel }) => {
	const copied = useSignal(false);
	const room = model.room.value;
	const share = async () => {
		// Without the fragment: a link that is passed on must not carry anybody's token.
		const url = location.origin + location.pathname;
		if ('share' in navigator && matchMedia('(pointer: coarse)').matches) {
			await navigator.share({ title: room?.title ?? '', url }).catch(() => undefined);
			return;
		}
		try {
			await navigator.clipboard.writeText(url);
			copied.value = true;
			setTimeout(() => {
				copied.value = false;
			}, 2_500);
		} catch {
			// No right to the clipboard: the address bar has the link.
		}
	};
	const upcoming = (room?.state === 'scheduled' || room?.state === 'open') && room.scheduledAt !== undefined;
	const query = model.token === undefined ? '' : `?${new URLSearchParams({ access_token: model.token }).toString()}`;
	return (
		<div class="share">
			<button type="button" class="button" onClick={() => void share()}>
				<ShareIcon />
				{t('shareLink')}
			</button>
			{upcoming && (
				<a class="button" href={`/v1/rooms/${encodeURIComponent(model.roomId)}/calendar.ics${query}`} download={`${model.roomId}.ics`}>
					<CalendarIcon />
					{t('addToCalendar')}
				</a>
			)}
			<span role="status">{copied.value ? t('linkCopied') : ''}</span>
		</div>
	);
};
