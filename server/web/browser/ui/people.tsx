import type { ComponentChildren } from 'preact';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { MutedIcon } from './icons.tsx';

export interface Person {
	number: number;
	name: string;
	role: 'host' | 'cohost' | 'speaker';
	muted: boolean;
	away: boolean;
	speaking: boolean;
	self?: boolean;
}

export const ROLE_TEXT: Record<Person['role'] | 'listener', TextKey> = {
	host: 'roleHost',
	cohost: 'roleCohost',
	speaker: 'roleSpeaker',
	listener: 'roleListener',
};

/** One person on stage. Who speaks is shown by shape and by word, not by colour alone. */
export const PersonItem = ({ person, children }: { person: Person; children?: ComponentChildren }) => {
	const { name, role, muted, away, speaking, self } = person;
	const notes = [t(ROLE_TEXT[role]), ...(self ? [t('you')] : []), ...(away ? [t('awayLabel')] : muted ? [t('mutedLabel')] : [])];
	return (
		<li class={`person${speaking ? ' is-speaking' : ''}${away ? ' is-away' : ''}`} data-number={person.number}>
			<span class="waves" aria-hidden="true">
				{muted && !speaking ? <MutedIcon /> : [0, 1, 2].map((bar) => <i key={bar} />)}
			</span>
			<span class="person-text">
				<span class="person-name">
					<bdi>{name}</bdi>
				</span>
				<span class="person-notes">
					{notes.join(' · ')}
					{speaking && <span class="hidden"> · {t('speaking')}</span>}
				</span>
			</span>
			{children}
		</li>
	);
};
