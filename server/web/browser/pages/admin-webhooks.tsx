import { useSignal } from '@preact/signals';
import { segment } from '../api/admin-api.ts';
import { t } from '../locale/language.ts';
import { Action } from '../ui/admin-ask.tsx';
import { Fold } from '../ui/admin-fold.tsx';
import type { Live } from '../ui/admin-live.ts';
import { Panel } from '../ui/admin-live-view.tsx';
import { WebhookForm, type WebhookSettings } from '../ui/admin-webhook-fields.tsx';
import { RotateSecret, ShownSecret } from '../ui/admin-webhook-secret.tsx';
import { Deliveries, WEBHOOKS } from './admin-deliveries.tsx';
import { admin, CALM_MS } from './admin-model.ts';

interface Webhook {
	id: string;
	url: string;
	/** None: all. */
	events: readonly string[];
	rooms?: readonly string[];
	description?: string;
	enabled: boolean;
	disabledReason?: string;
	/** Until then its old secret signs, too. */
	previousUntil?: string;
	/** Given once, when it is made. */
	secret?: string;
}

const webhooks = (): Live<{ webhooks: readonly Webhook[] }> => admin.read(WEBHOOKS, CALM_MS);

const settingsOf = ({ url, events, rooms = [], description = '' }: Webhook): WebhookSettings => ({ url, events, rooms, description });

/** What is different; undefined: nothing is. */
const changed = (before: WebhookSettings, after: WebhookSettings): Partial<WebhookSettings> | undefined => {
	const different = (['url', 'events', 'rooms', 'description'] as const).filter((member) => String(before[member]) !== String(after[member]));
	return different.length === 0 ? undefined : Object.fromEntries(different.map((member) => [member, after[member]]));
};

const NewWebhook = () => {
	const secret = useSignal<string | null>(null);
	const make = ({ url, events, rooms, description }: WebhookSettings) =>
		admin.act(async (api) => {
			const made = await api.send<Webhook>('POST', WEBHOOKS, {
				url,
				...(events.length === 0 ? {} : { events }),
				...(rooms.length === 0 ? {} : { rooms }),
				...(description === '' ? {} : { description }),
			});
			secret.value = made.secret ?? null;
			return t('adminWebhookMade');
		}, webhooks());
	return (
		<section class="card admin-panel" aria-labelledby="new-webhook-heading">
			<h2 id="new-webhook-heading">{t('adminNewWebhook')}</h2>
			<WebhookForm submit={t('adminMakeWebhook')} strong save={make} />
			<ShownSecret secret={secret.value} />
		</section>
	);
};

/** As it was when somebody began to change it: what others change meanwhile stays theirs. */
const EditWebhook = ({ webhook, done }: { webhook: Webhook; done: () => void }) => {
	const base = useSignal(settingsOf(webhook));
	const save = async (settings: WebhookSettings) => {
		const change = changed(base.value, settings);
		const saved =
			change === undefined ||
			(await admin.act(async (api) => {
				await api.send('PATCH', `${WEBHOOKS}/${segment(webhook.id)}`, change);
				return t('adminSaved');
			}, webhooks()));
		if (saved) {
			done();
		}
		return saved;
	};
	return <WebhookForm webhook={base.value} submit={t('adminSave')} save={save} />;
};

const WebhookRow = ({ webhook }: { webhook: Webhook }) => {
	const { id, url, events, rooms = [], description = '', enabled, disabledReason, previousUntil } = webhook;
	const path = `${WEBHOOKS}/${segment(id)}`;
	const act = (method: 'POST' | 'PATCH' | 'DELETE', target: string, done: string, body?: object) =>
		admin.act(async (api) => {
			await api.send(method, target, body);
			return done;
		}, webhooks());
	const rotate = async (overlapSeconds: number) => {
		let secret: string | undefined;
		await admin.act(async (api) => {
			({ secret } = await api.send<{ secret: string }>('POST', `${path}/secret`, { overlapSeconds }));
			return t('adminSecretRotated');
		}, webhooks());
		return secret;
	};
	return (
		<li data-webhook={id}>
			<p class="admin-long">
				<strong>
					<bdi>{url}</bdi>
				</strong>
			</p>
			{description !== '' && (
				<p>
					<bdi>{description}</bdi>
				</p>
			)}
			<p class="quiet">
				{events.length === 0 ? t('adminAllTypes') : <bdi>{events.join(', ')}</bdi>}
				{rooms.length > 0 && (
					<>
						{' · '}
						<bdi>{rooms.join(', ')}</bdi>
					</>
				)}
			</p>
			{!enabled && <p class="notice">{disabledReason === undefined ? t('adminWebhookOff') : t('adminWebhookOffFor', { reason: disabledReason })}</p>}
			<div class="row wrap">
				<Action act={() => act('POST', `${path}/test`, t('adminWebhookTested'))}>{t('adminTestWebhook')}</Action>
				<Action act={() => act('PATCH', path, t('adminSaved'), { enabled: !enabled })}>{t(enabled ? 'adminSwitchOff' : 'adminSwitchOn')}</Action>
				<Action act={() => act('DELETE', path, t('adminWebhookDeleted'))} question={{ text: t('adminDeleteQuestion', { title: url }), confirm: t('adminDeleteConfirm') }}>
					{t('adminDelete')}
				</Action>
			</div>
			<Fold title={t('adminEditWebhook')}>{(close) => <EditWebhook webhook={webhook} done={close} />}</Fold>
			<Fold title={t('adminNewSecret')}>{() => <RotateSecret url={url} previousUntil={previousUntil} rotate={rotate} />}</Fold>
			<Fold title={t('adminDeliveries')}>{() => <Deliveries id={id} />}</Fold>
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
