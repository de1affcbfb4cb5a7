import { segment } from '../api/admin-api.ts';
import { formatInstant, formatNumber } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { Action } from '../ui/admin-ask.tsx';
import { LiveView } from '../ui/admin-live-view.tsx';
import { now } from '../ui/now.ts';
import { admin, CALM_MS } from './admin-model.ts';

export const WEBHOOKS = '/v1/admin/webhooks';

interface Delivery {
	id: string;
	type: string;
	room?: string;
	state: 'pending' | 'delivered' | 'dead';
	createdAt: string;
	attempts: number;
	nextAttemptAt?: string;
	/** Newest first. */
	log: readonly { at: string; status?: number; error?: string }[];
}

interface DeliveryPage {
	deliveries: readonly Delivery[];
	missing: readonly string[];
}

const STATE_TEXT: Readonly<Record<Delivery['state'], TextKey>> = { pending: 'adminDeliveryPending', delivered: 'adminDeliveryDone', dead: 'adminDeliveryDead' };
const STATE_TAG = { pending: 'warning', delivered: 'ok', dead: 'failed' } as const;

const Row = ({ delivery, retry }: { delivery: Delivery; retry: () => Promise<boolean> }) => {
	const { type, room, state, createdAt, attempts, nextAttemptAt, log } = delivery;
	const last = log[0];
	return (
		<li>
			<p>
				<span class={`admin-tag is-${STATE_TAG[state]}`}>{t(STATE_TEXT[state])}</span> <bdi>{type}</bdi> {room !== undefined && <bdi>{room}</bdi>}
			</p>
			<p class="quiet">
				{[
					formatInstant(createdAt, now.value),
					t('adminAttempts', { attempts: formatNumber(attempts) }),
					...(last?.status === undefined ? [] : [String(last.status)]),
					...(last?.error === undefined ? [] : [last.error]),
					...(state === 'pending' && nextAttemptAt !== undefined ? [t('adminNextAttempt', { when: formatInstant(nextAttemptAt, now.value) })] : []),
				].join(' · ')}
			</p>
			{state !== 'delivered' && (
				<Action act={retry} label={t('adminRetryOf', { type })}>
					{t('adminRetry')}
				</Action>
			)}
		</li>
	);
};

/** What was sent to a webhook, the newest first, and what became of it. */
export const Deliveries = ({ id }: { id: string }) => {
	const path = `${WEBHOOKS}/${segment(id)}/deliveries`;
	const live = admin.read<DeliveryPage>(path, CALM_MS);
	const retry = (delivery: string) =>
		admin.act(async (api) => {
			await api.send('POST', `${path}/${segment(delivery)}/retry`);
			return t('adminDeliveryRetried');
		}, live);
	return (
		<LiveView live={live}>
			{({ deliveries, missing }) => (
				<>
					{missing.length > 0 && <p class="notice">{t('adminNodesMissing', { nodes: missing })}</p>}
					{deliveries.length === 0 && <p class="quiet">{t('adminNoDeliveries')}</p>}
					<ol class="admin-list">
						{deliveries.map((delivery) => (
							<Row key={delivery.id} delivery={delivery} retry={() => retry(delivery.id)} />
						))}
					</ol>
				</>
			)}
		</LiveView>
	);
};
