import { useRef } from 'preact/hooks';
import type { NewRoom } from '../api/rooms-api.ts';
import { t } from '../locale/language.ts';

const text = (data: FormData, name: string): string | undefined => {
	const value = data.get(name);
	return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
};

const readRoom = (data: FormData): NewRoom => {
	const id = text(data, 'id');
	const description = text(data, 'description');
	const scheduled = text(data, 'scheduledAt');
	const expected = text(data, 'expectedListeners');
	return {
		title: text(data, 'title') ?? '',
		visibility: data.get('visibility') === 'private' ? 'private' : 'public',
		...(id === undefined ? {} : { id }),
		...(description === undefined ? {} : { description }),
		// The field holds local time; the API wants an instant.
		...(scheduled === undefined ? {} : { scheduledAt: new Date(scheduled).toISOString() }),
		...(expected === undefined ? {} : { expectedListeners: Number(expected) }),
	};
};

/** @param create resolves to whether the room was made */
export const NewRoomForm = ({ create }: { create: (room: NewRoom) => Promise<boolean> }) => {
	const form = useRef<HTMLFormElement>(null);
	const submit = async () => {
		if (form.current !== null && (await create(readRoom(new FormData(form.current))))) {
			form.current.reset();
		}
	};
	return (
		<form
			ref={form}
			class="card new-room"
			onSubmit={(event) => {
				event.preventDefault();
				void submit();
			}}
		>
			<h2>{t('adminNewRoom')}</h2>
			<label class="field">
				<span>{t('adminRoomTitle')}</span>
				<input name="title" type="text" required maxLength={200} dir="auto" autoComplete="off" />
			</label>
			<label class="field">
				<span>{t('adminDescription')}</span>
				<textarea name="description" rows={2} maxLength={5_000} dir="auto" />
			</label>
			<label class="field">
				<span>{t('adminScheduledAt')}</span>
				<input name="scheduledAt" type="datetime-local" />
			</label>
			<label class="field">
				<span>{t('adminExpected')}</span>
				<input name="expectedListeners" type="number" min="0" max="10000000" inputMode="numeric" dir="ltr" />
			</label>
			<label class="field">
				<span>{t('adminVisibility')}</span>
				<select name="visibility">
					<option value="public">{t('adminPublic')}</option>
					<option value="private">{t('adminPrivate')}</option>
				</select>
			</label>
			<label class="field">
				<span>{t('adminRoomId')}</span>
				<input
					name="id"
					type="text"
					maxLength={64}
					pattern="[a-z0-9]([a-z0-9\-]{0,62}[a-z0-9])?"
					dir="ltr"
					autoComplete="off"
					autoCapitalize="none"
					aria-describedby="room-id-help"
				/>
			</label>
			<p id="room-id-help" class="quiet">
				{t('adminRoomIdHelp')}
			</p>
			<button type="submit" class="button strong">
				{t('adminCreate')}
			</button>
		</form>
	);
};
