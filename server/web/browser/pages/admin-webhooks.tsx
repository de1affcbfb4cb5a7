import { useSignal } from '@preact/signals';
import { segment } from '../api/admin-api.ts';
import { t } from '../locale/language.ts';
import { fieldText } from '../ui/admin-form.ts';
import { Action } from '../ui/admin-ask.tsx';
import type { Live } from '../ui/admin-live.ts';
import { Panel } from '../ui/admin-live-view.tsx';
import { CopyField } from '../ui/copy-field.tsx';
import { Deliveries, WEBHOOKS } from './admin-deliveries.tsx';
import { admin, CALM_MS } from './admin-model.ts';

interface Webhook {
	id: string;
	url: string;
	/** None: all. */
	events: readonly string[];
	enabled: boolean;
	disabledReason?: string;
	/** Given once, when it is made. */
	secret?: string;
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
	'node.lost',
] as const;

const webhooks = (): Live<{ webhooks: readonly Webhook[] }> => admin.read(WEBHOOKS, CALM_MS);

const NewWebhook = () => {
	const secret = useSignal<string | null>(null);
	const make = async (form: HTMLFormElement) => {
		const data = new FormData(form);
		const events = EVENTS.filter((event) => data.getAll('events').includes(event));
		const done = await admin.act(async (api) => {
			const made = await api.send<Webhook>('POST', WEBHOOKS, { url: fieldText(data, 'url'), ...(events.length === EVENTS.length ? {} : { events }) });
			secret.value = made.secret ?? null;
			return t('adminWebhookMade');
		}, webhooks());
		if (done) {
			form.reset();
		}
	};
	return (
		<form
			class="card admin-panel"
			onSubmit={(event) => {
				event.preventDefault();
				void make(event.currentTarget);
			}}
		>
			<h2>{t('adminNewWebhook')}</h2>
			<label class="field">
				<span>{t('adminWebhookUrl')}</span>
				<input name="url" type="url" required maxLength={2_000} dir="ltr" autoComplete="off" placeholder="https://" />
			</label>
			<fieldset class="admin-choices">
				<legend>{t('adminWebhookTypes')}</legend>
				{EVENTS.map((event) => (
					<label key={event} class="admin-check">
						<input type="checkbox" name="events" value={event} defaultChecked />
						<bdi>{event}</bdi>
					</label>
				))}
			</fieldset>
			<button type="submit" class="button strong">
				{t('adminMakeWebhook')}
			</button>
			{secret.value !== null && (
				<div role="status">
					<p>{t('adminWebhookSecretHelp')}</p>
					<CopyField label={t('adminWebhookSecret')} value={secret.value} />
				</div>
			)}
		</form>
	);
};

const WebhookRow = ({ webhook: { id, url, events, enabled, disabledReason } }: { webhook: Webhook }) => {
	const open = useSignal(false);
	const path = `${WEBHOOKS}/${segment(id)}`;
	const act = (method: 'POST' | 'PATCH' | 'DELETE', url: string, done: string, body?: object) =>
		admin.act(async (api) => {
			await api.send(method, url, body);
			return done;
		}, webhooks());
	return (
		<li>
			<p class="admin-long">
				<bdi>{url}</bdi>
			</p>
			<p class="quiet">{events.length === 0 ? t('adminAllTypes') : <bdi>{events.join(', ')}</bdi>}</p>
			{!enabled && <p class="notice">{disabledReason === undefined ? t('adminWebhookOff') : t('adminWebhookOffFor', { reason: disabledReason })}</p>}
			<div class="row wrap">
				<Action act={() => act('POST', `${path}/test`, t('adminWebhookTested'))}>{t('adminTestWebhook')}</Action>
				<Action act={() => act('PATCH', path, t('adminSaved'), { enabled: !enabled })}>{t(enabled ? 'adminSwitchOff' : 'adminSwitchOn')}</Action>
				<Action act={() => act('DELETE', path, t('adminWebhookDeleted'))} question={{ text: t('adminDeleteQuestion', { title: url }), confirm: t('adminDeleteConfirm') }}>
					{t('adminDelete')}
				</Action>
			</div>
			<details
				onToggle={(event) => {
					open.value = event.currentTarget.open;
				}}
			>
				<summary>{t('adminDeliveries')}</summary>
				{open.value && <Deliveries id={id} />}
			</details>
		</li>
	);
};

/** Who is told of what happens, and what became of it. */
export const WebhooksSection = () => (
	<div class="columns admin-columns">
		<Panel id="webhooks" title={t('adminWebhooks')} live={webhooks()}>
			{({ webhooks: list }) => (
				<>
					{list.length === 0 && <p class="quiet">{t('adminNoWebhooks')}</p>}
					<ul class="admin-list">
						{list.map((webhook) => (
							<WebhookRow key={webhook.id} webhook={webhook} />
						))}
					</ul>
				</>
			)}
		</Panel>
		<div class="stack">{webhooks().state.value !== 'missing' && <NewWebhook />}</div>
	</div>
);
