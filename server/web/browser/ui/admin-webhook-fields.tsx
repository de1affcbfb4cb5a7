import { useSignal } from '@preact/signals';
import { t } from '../locale/language.ts';
import { fieldText } from './admin-form.ts';

/** What an operator sets about a webhook, as the API takes it. */
export interface WebhookSettings {
	url: string;
	/** None: all. */
	events: readonly string[];
	/** None: all. */
	rooms: readonly string[];
	description: string;
}

/** What the server tells of. */
const EVENTS = [
	'room.created',
	'room.opened',
	'room.live',
	'room.ended',
	'room.removed',
	'room.reported',
	'stage.joined',
	'stage.left',
	'overflow.started',
	'recording.ready',
	'recording.hindered',
	'recording.resumed',
	'node.lost',
] as const;

const NEW: WebhookSettings = { url: '', events: [], rooms: [], description: '' };

/** Undefined when nothing is chosen that it would be told of: to the API no event means all of them. */
const read = (form: HTMLFormElement, events: readonly string[]): WebhookSettings | undefined => {
	const data = new FormData(form);
	const chosen = events.filter((event) => data.getAll('events').includes(event));
	return chosen.length === 0
		? undefined
		: {
				url: fieldText(data, 'url'),
				events: chosen.length === events.length ? [] : chosen,
				rooms: fieldText(data, 'rooms').split(/[\s,]+/).filter((room) => room !== ''),
				description: fieldText(data, 'description'),
			};
};

interface WebhookFormProps {
	/** Before it is changed; absent: a new one, and the form is emptied when it is made. */
	webhook?: WebhookSettings;
	submit: string;
	strong?: boolean;
	/** Resolves to whether it was done. */
	save: (settings: WebhookSettings) => Promise<boolean>;
}

/** The fields of a webhook. */
export const WebhookForm = ({ webhook = NEW, submit, strong = false, save }: WebhookFormProps) => {
	const nothing = useSignal(false);
	// A newer node may tell of more.
	const events = [...EVENTS, ...webhook.events.filter((event) => !EVENTS.some((known) => known === event))];
	const send = async (form: HTMLFormElement) => {
		const settings = read(form, events);
		nothing.value = settings === undefined;
		if (settings !== undefined && (await save(settings)) && webhook === NEW) {
			form.reset();
		}
	};
	return (
		<form
			class="admin-fields"
			onSubmit={(event) => {
				event.preventDefault();
				void send(event.currentTarget);
			}}
		>
			<label class="field">
				<span>{t('adminWebhookUrl')}</span>
				<input name="url" type="url" required maxLength={2_000} dir="ltr" autoComplete="off" placeholder="https://" defaultValue={webhook.url} />
			</label>
			<label class="field">
				<span>{t('adminWebhookDescription')}</span>
				<input name="description" type="text" maxLength={500} dir="auto" autoComplete="off" defaultValue={webhook.description} />
			</label>
			<label class="field">
				<span>{t('adminWebhookRooms')}</span>
				<input name="rooms" type="text" dir="ltr" autoComplete="off" autoCapitalize="none" placeholder="town-hall" defaultValue={webhook.rooms.join(' ')} title={t('adminWebhookRoomsHelp')} />
			</label>
			<fieldset class="admin-choices">
				<legend>{t('adminWebhookTypes')}</legend>
				{events.map((event) => (
					<label key={event} class="admin-check">
						<input type="checkbox" name="events" value={event} defaultChecked={webhook.events.length === 0 || webhook.events.includes(event)} />
						<bdi>{event}</bdi>
					</label>
				))}
			</fieldset>
			<div role="alert">{nothing.value && <p class="notice">{t('adminWebhookNoTypes')}</p>}</div>
			<button type="submit" class={strong ? 'button strong' : 'button'}>
				{submit}
			</button>
		</form>
	);
};
