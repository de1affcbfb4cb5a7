import { formatInstant } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { Panel } from '../ui/admin-live-view.tsx';
import { now } from '../ui/now.ts';
import { addressOf } from './admin-address.ts';
import { admin, CALM_MS } from './admin-model.ts';

interface Report {
	id?: string;
	room: string;
	kind: 'audio' | 'content' | 'other';
	text?: string;
	at: string;
	node?: string;
}

const KIND_TEXT: Readonly<Record<Report['kind'], TextKey>> = { audio: 'adminReportAudio', content: 'adminReportContent', other: 'adminReportOther' };

/** What listeners say is wrong. */
export const ReportsSection = () => (
	<Panel id="reports" title={t('adminReports')} live={admin.read<{ reports: readonly Report[] }>('/v1/admin/reports', CALM_MS)}>
		{({ reports }) => (
			<>
				{reports.length === 0 && <p class="quiet">{t('adminNoReports')}</p>}
				<ol class="admin-list">
					{reports.map(({ id, room, kind, text, at }, index) => (
						<li key={id ?? `${at} ${index}`}>
							<p>
								<strong>{t(KIND_TEXT[kind])}</strong>{' '}
								<a href={addressOf({ section: 'rooms', roomId: room })}>
									<bdi>{room}</bdi>
								</a>{' '}
								<time class="quiet" dateTime={at}>
									{formatInstant(at, now.value)}
								</time>
							</p>
							{text !== undefined && text !== '' && <p dir="auto">{text}</p>}
						</li>
					))}
				</ol>
			</>
		)}
	</Panel>
);
