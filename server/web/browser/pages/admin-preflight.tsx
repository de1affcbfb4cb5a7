import { useSignal } from '@preact/signals';
import { segment } from '../api/admin-api.ts';
import type { Preflight, PreflightCheck } from '../api/admin-types.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { fieldText } from '../ui/admin-form.ts';
import { admin } from './admin-model.ts';

const STATUS_TEXT: Readonly<Record<PreflightCheck['status'], TextKey>> = { ok: 'adminCheckOk', warning: 'adminCheckWarning', failed: 'adminCheckFailed' };
const WORST_FIRST = { failed: 0, warning: 1, ok: 2 } as const;

const Report = ({ report: { ready, summary, checks } }: { report: Preflight }) => {
	const troubled = checks.filter(({ status }) => status !== 'ok').toSorted((a, b) => WORST_FIRST[a.status] - WORST_FIRST[b.status]);
	const good = checks.filter(({ status }) => status === 'ok');
	return (
		<>
			<p class={ready ? undefined : 'notice'}>
				<strong>{t(ready ? 'adminReady' : 'adminNotReady')}</strong>
			</p>
			{/* The server's own words, which are English. */}
			<p lang="en" dir="ltr">
				{summary}
			</p>
			<Checks checks={troubled} />
			{good.length > 0 && (
				<details>
					<summary>{t('adminChecksPassed')}</summary>
					<Checks checks={good} />
				</details>
			)}
		</>
	);
};

const Checks = ({ checks }: { checks: readonly PreflightCheck[] }) => (
	<ul class="admin-list">
		{checks.map(({ node, check, status, detail, advice }) => (
			<li key={`${node} ${check} ${detail}`}>
				<p>
					<span class={`admin-tag is-${status}`}>{t(STATUS_TEXT[status])}</span> <bdi>{node === '*' ? t('adminFleet') : node}</bdi> · <bdi>{check}</bdi>
				</p>
				<p lang="en" dir="ltr" class="quiet">
					{detail}
					{advice !== '' && ` → ${advice}`}
				</p>
			</li>
		))}
	</ul>
);

/** The look at everything before an event: each node at itself and at the others. */
export const PreflightPanel = ({ id }: { id: string }) => {
	const report = useSignal<Preflight | null>(null);
	const running = useSignal(false);
	const run = async (form: HTMLFormElement) => {
		if (running.value) {
			return;
		}
		const data = new FormData(form);
		const expected = fieldText(data, 'expectedListeners');
		const within = Number(data.get('withinSeconds'));
		const calibrate = fieldText(data, 'calibrate');
		running.value = true;
		report.value = null;
		await admin.act(async (api) => {
			report.value = await api.send<Preflight>('POST', `/v1/admin/rooms/${segment(id)}/preflight`, {
				...(expected === '' ? {} : { expectedListeners: Number(expected) }),
				...(within > 0 ? { withinSeconds: within } : {}),
				...(calibrate === '' ? {} : { calibrate: calibrate === 'yes' }),
			});
			return t(report.value.ready ? 'adminReady' : 'adminNotReady');
		});
		running.value = false;
	};
	return (
		<section class="card admin-panel" aria-labelledby="preflight-heading">
			<h2 id="preflight-heading">{t('adminPreflight')}</h2>
			<p class="quiet">{t('adminPreflightHelp')}</p>
			<form
				class="admin-panel"
				onSubmit={(event) => {
					event.preventDefault();
					void run(event.currentTarget);
				}}
			>
				<div class="admin-pair">
					<label class="field">
						<span>{t('adminExpected')}</span>
						<input name="expectedListeners" type="number" min="0" max="10000000" inputMode="numeric" dir="ltr" />
					</label>
					<label class="field">
						<span>{t('adminWithinSeconds')}</span>
						<input name="withinSeconds" type="number" min="1" max="86400" defaultValue="60" inputMode="numeric" dir="ltr" />
					</label>
				</div>
				<label class="field">
					<span>{t('adminCalibrate')}</span>
					<select name="calibrate">
						<option value="">{t('adminCalibrateNeeded')}</option>
						<option value="yes">{t('adminCalibrateAnew')}</option>
						<option value="no">{t('adminCalibrateNot')}</option>
					</select>
				</label>
				<button type="submit" class="button" aria-disabled={running.value}>
					{t('adminRunPreflight')}
				</button>
			</form>
			<div role="status">{running.value && <p>{t('adminPreflightRunning')}</p>}</div>
			{report.value !== null && <Report report={report.value} />}
		</section>
	);
};
