import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { ConfirmDialog } from '../ui/confirm.tsx';
import { mount } from '../ui/mount.tsx';
import { problemText } from '../ui/problem-text.ts';
import { Shell } from '../ui/shell.tsx';
import { AccessSection } from './admin-access.tsx';
import { addressOf, SECTIONS, type Section } from './admin-address.ts';
import { AuditSection } from './admin-audit.tsx';
import { admin } from './admin-model.ts';
import { NodesSection } from './admin-nodes.tsx';
import { ReportsSection } from './admin-reports.tsx';
import { RoomSection } from './admin-room.tsx';
import { RoomsSection } from './admin-rooms.tsx';
import { WebhooksSection } from './admin-webhooks.tsx';

const SignIn = () => {
	const token = useSignal('');
	return (
		<form
			class="card sign-in"
			onSubmit={(event) => {
				event.preventDefault();
				admin.signIn(token.value.trim());
			}}
		>
			<h1>{t('adminTitle')}</h1>
			<label class="field">
				<span>{t('adminToken')}</span>
				<input
					type="password"
					required
					dir="ltr"
					autoComplete="current-password"
					aria-describedby="token-help"
					value={token.value}
					onInput={(event) => {
						token.value = event.currentTarget.value;
					}}
				/>
			</label>
			<p id="token-help" class="quiet">
				{t('adminTokenHelp')}
			</p>
			<div role="alert">{admin.wrongToken.value && <p class="notice">{t('adminWrongToken')}</p>}</div>
			<button type="submit" class="button strong">
				{t('adminSignIn')}
			</button>
		</form>
	);
};

const SECTION_TEXT: Readonly<Record<Section, TextKey>> = {
	rooms: 'adminRooms',
	nodes: 'adminNodes',
	access: 'adminAccess',
	webhooks: 'adminWebhooks',
	audit: 'adminAudit',
	reports: 'adminReports',
};

const Navigation = ({ section }: { section: Section }) => {
	const nav = useRef<HTMLElement>(null);
	useEffect(() => {
		// On a phone there are more than fit.
		nav.current?.querySelector('[aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' });
	}, [section]);
	return (
		<nav ref={nav} class="admin-nav" aria-label={t('adminTitle')}>
			<ul>
				{SECTIONS.map((name) => (
					<li key={name}>
						<a href={addressOf({ section: name })} aria-current={name === section ? 'page' : undefined}>
							{t(SECTION_TEXT[name])}
						</a>
					</li>
				))}
			</ul>
		</nav>
	);
};

const VIEWS: Readonly<Record<Exclude<Section, 'rooms'>, () => JSX.Element>> = {
	nodes: NodesSection,
	access: AccessSection,
	webhooks: WebhooksSection,
	audit: AuditSection,
	reports: ReportsSection,
};

const Shown = () => {
	const { section, roomId } = admin.place.value;
	if (section === 'rooms') {
		return roomId === undefined ? <RoomsSection /> : <RoomSection key={roomId} id={roomId} />;
	}
	const View = VIEWS[section];
	return <View />;
};

const Console = () => {
	const { section, roomId } = admin.place.value;
	const key = addressOf({ section, ...(roomId === undefined ? {} : { roomId }) });
	const first = useSignal(true);
	useEffect(() => {
		// Whoever went somewhere else begins reading there.
		if (first.peek()) {
			first.value = false;
		} else {
			document.querySelector<HTMLElement>('#content')?.focus({ preventScroll: true });
			scrollTo(0, 0);
		}
	}, [key]);
	return (
		<>
			<div class="lead with-action">
				<h1>{t('adminTitle')}</h1>
				<button type="button" class="button" onClick={() => admin.signOut()}>
					{t('adminSignOut')}
				</button>
			</div>
			<Navigation section={section} />
			<div class="admin-failure" role="alert">
				{admin.failure.value !== null && <p class="notice">{t('actionFailed', { reason: problemText(admin.failure.value) })}</p>}
			</div>
			<p class="hidden" role="status">
				{admin.done.value}
			</p>
			<Shown />
			<ConfirmDialog />
		</>
	);
};

const Page = () => {
	document.title = `${t('adminTitle')} · ${t('appName')}`;
	return <Shell page="admin">{admin.token.value === undefined ? <SignIn /> : <Console />}</Shell>;
};

await mount(() => <Page />);
