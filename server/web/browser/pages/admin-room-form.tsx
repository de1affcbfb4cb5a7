import { useRef } from 'preact/hooks';
import type { AdminRoom, RoomSettings } from '../api/admin-types.ts';
import { formatNumber } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import { changed, localTime, readSettings, timeZone } from './admin-room-settings.ts';

interface RoomFormProps {
	title: string;
	submit: string;
	/** What is there now; absent: a new room. */
	room?: AdminRoom;
	/** Resolves to whether it was done. */
	save: (settings: Partial<RoomSettings>) => Promise<boolean>;
}

const TimeField = ({ name, label, value }: { name: string; label: string; value: string | undefined }) => (
	<label class="field">
		<span>{label}</span>
		<input name={name} type="datetime-local" aria-describedby="zone-help" defaultValue={localTime(value)} />
	</label>
);

const CountField = ({ name, label, value }: { name: string; label: string; value: number | undefined }) => (
	<label class="field">
		<span>{label}</span>
		<input name={name} type="number" min="0" max="10000000" inputMode="numeric" dir="ltr" defaultValue={value === undefined ? '' : String(value)} />
	</label>
);

/** Makes a room, or changes one: then only what is different is sent. */
export const RoomForm = ({ title, submit, room, save }: RoomFormProps) => {
	const form = useRef<HTMLFormElement>(null);
	const send = async () => {
		// The page may show something else by the time it is done.
		const filled = form.current;
		if (filled === null) {
			return;
		}
		const settings = readSettings(new FormData(filled), room !== undefined);
		const wanted = room === undefined ? { ...settings, ...(settings.scheduledAt ? { timeZone: timeZone() } : {}) } : changed(room, settings);
		if ((await save(wanted)) && room === undefined) {
			filled.reset();
		}
	};
	const ended = room?.state === 'ended';
	return (
		<form
			ref={form}
			class="card admin-panel"
			onSubmit={(event) => {
				event.preventDefault();
				void send();
			}}
		>
			<h2>{title}</h2>
			<label class="field">
				<span>{t('adminRoomTitle')}</span>
				<input name="title" type="text" required maxLength={200} dir="auto" autoComplete="off" defaultValue={room?.title ?? ''} />
			</label>
			<label class="field">
				<span>{t('adminDescription')}</span>
				<textarea name="description" rows={2} maxLength={5_000} dir="auto" defaultValue={room?.description ?? ''} />
			</label>
			<div class="admin-pair is-wide">
				<TimeField name="doorsOpenAt" label={t('adminDoorsOpenAt')} value={room?.doorsOpenAt} />
				<TimeField name="scheduledAt" label={t('adminScheduledAt')} value={room?.scheduledAt} />
			</div>
			<TimeField name="endsAt" label={t('adminEndsAt')} value={room?.endsAt} />
			<p id="zone-help" class="quiet">
				{t('adminZone', { zone: timeZone() })}
			</p>
			<div class="admin-pair">
				<CountField name="expectedListeners" label={t('adminExpected')} value={room?.expectedListeners} />
				<CountField name="maxListeners" label={t('adminMaxListeners')} value={room?.maxListeners} />
			</div>
			<div class="admin-pair">
				<label class="field">
					<span>{t('adminVisibility')}</span>
					<select name="visibility">
						<option value="public">{t('adminPublic')}</option>
						<option value="private" selected={room?.visibility === 'private'}>
							{t('adminPrivate')}
						</option>
					</select>
				</label>
				<label class="field">
					<span>{t('adminPacking')}</span>
					<select name="packingMs">
						<option value="auto">{t('adminPackingAuto')}</option>
						{([20, 40, 60, 120] as const).map((ms) => (
							<option key={ms} value={ms} selected={room?.packingMs === ms}>
								{t('adminMilliseconds', { ms: formatNumber(ms) })}
							</option>
						))}
					</select>
				</label>
			</div>
			<label class="admin-check">
				<input name="record" type="checkbox" defaultChecked={room?.record ?? false} />
				<span>{t('adminRecord')}</span>
			</label>
			{room === undefined && (
				<>
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
				</>
			)}
			<button type="submit" class="button strong" disabled={ended}>
				{submit}
			</button>
		</form>
	);
};
