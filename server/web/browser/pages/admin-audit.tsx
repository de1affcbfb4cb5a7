import { useSignal } from '@preact/signals';
import { segment } from '../api/admin-api.ts';
import { formatInstant } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { fieldText } from '../ui/admin-form.ts';
import { Panel } from '../ui/admin-live-view.tsx';
import { now } from '../ui/now.ts';
import { ROLE_TEXT } from '../ui/people.tsx';
import { admin, CALM_MS } from './admin-model.ts';

interface AuditEntry {
	id: string;
	at: string;
	actor: { subject: string; role: string; name?: string };
	action: string;
	room?: string;
	target?: string;
	ip?: string;
	outcome: 'done' | 'refused' | 'failed';
	/** Why it was not done. */
	code?: string;
	node: string;
	/** So many refusals before this one came too fast to be written. */
	suppressed?: number;
}

interface AuditPage {
	entries: readonly AuditEntry[];
	next?: string;
	/** Nodes that did not answer. */
	missing?: readonly string[];
}

const LIMIT = 50;

const OUTCOME_TEXT: Readonly<Record<AuditEntry['outcome'], TextKey>> = { done: 'adminOutcomeDone', refused: 'adminOutcomeRefused', failed: 'adminCheckFailed' };
const OUTCOME_TAG = { done: 'ok', refused: 'warning', failed: 'failed' } as const;

const ACTOR_TEXT: Readonly<Record<string, TextKey>> = { ...ROLE_TEXT, admin: 'adminRole' };
const roleText = (role: string): string => (ACTOR_TEXT[role] === undefined ? role : t(ACTOR_TEXT[role]));

const Entry = ({ entry: { at, actor, action, room, target, ip, outcome, code, node, suppressed } }: { entry: AuditEntry }) => (
	<li>
		<p>
			<span class={`admin-tag is-${OUTCOME_TAG[outcome]}`}>{t(OUTCOME_TEXT[outcome])}</span>{' '}
			<strong>
				<bdi>{action}</bdi>
			</strong>{' '}
			{room !== undefined && <bdi>{room}</bdi>} {target !== undefined && <bdi>{target}</bdi>}
		</p>
		<p class="quiet">
			<time dateTime={at}>{formatInstant(at, now.value)}</time>
			{[`${actor.name ?? actor.subject} (${roleText(actor.role)})`, ip, node, code].map(
				(fact) =>
					fact !== undefined && (
						<span key={fact}>
							{' · '}
							<bdi>{fact}</bdi>
						</span>
					),
			)}
			{suppressed !== undefined && ` · ${tCount('adminSuppressed', suppressed)}`}
		</p>
	</li>
);

/** Who did what, when, to whom and from where: every act that takes a right. The newest first. */
export const AuditSection = () => {
	const room = useSignal('');
	const action = useSignal('');
	/** Pages before the one that is shown; each is the `after` of the next. */
	const pages = useSignal<readonly string[]>([]);
	const after = pages.value.at(-1);
	const url = `/v1/admin/audit?limit=${LIMIT}${room.value === '' ? '' : `&room=${segment(room.value)}`}${action.value === '' ? '' : `&action=${segment(action.value)}`}${after === undefined ? '' : `&after=${segment(after)}`}`;
	const filter = (form: HTMLFormElement) => {
		const data = new FormData(form);
		room.value = fieldText(data, 'room');
		action.value = fieldText(data, 'action');
		pages.value = [];
	};
	return (
		<Panel
			key={url}
			id="audit"
			title={t('adminAudit')}
			live={admin.read<AuditPage>(url, CALM_MS)}
			before={
				<form
					class="row wrap fields"
					role="search"
					onSubmit={(event) => {
						event.preventDefault();
						filter(event.currentTarget);
					}}
				>
					<label class="field grow">
						<span>{t('adminRoom')}</span>
						<input name="room" type="text" dir="ltr" autoCapitalize="none" autoComplete="off" defaultValue={room.value} />
					</label>
					<label class="field grow">
						<span>{t('adminAct')}</span>
						<input name="action" type="text" dir="ltr" autoCapitalize="none" autoComplete="off" defaultValue={action.value} placeholder="participant.ban" />
					</label>
					<button type="submit" class="button">
						{t('adminFilter')}
					</button>
				</form>
			}
		>
			{({ entries, next, missing = [] }) => (
				<>
					{missing.length > 0 && <p class="notice">{t('adminNodesMissing', { nodes: missing })}</p>}
					{entries.length === 0 && <p class="quiet">{t('adminNoAudit')}</p>}
					<ol class="admin-list">
						{entries.map((entry) => (
							<Entry key={entry.id} entry={entry} />
						))}
					</ol>
					<div class="row wrap">
						{pages.value.length > 0 && (
							<button
								type="button"
								class="button"
								onClick={() => {
									pages.value = pages.value.slice(0, -1);
								}}
							>
								{t('adminNewer')}
							</button>
						)}
						{next !== undefined && (
							<button
								type="button"
								class="button"
								onClick={() => {
									pages.value = [...pages.value, next];
								}}
							>
								{t('adminOlder')}
							</button>
						)}
					</div>
				</>
			)}
		</Panel>
	);
};
