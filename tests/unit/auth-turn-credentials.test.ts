import { describe, expect, test } from 'vitest';
import { turnCredentials } from '../../auth/turn-credentials.ts';

const options = { urls: ['turn:t.example:3478'], secret: 'north', ttlSeconds: 3600 };

describe('TURN credentials', () => {
	test('are what coturn computes: printf %s 1700003600:session-1 | openssl dgst -sha1 -hmac north -binary | base64', () => {
		expect(turnCredentials(options, 'session-1', 1_700_000_000.9)).toEqual({
			urls: ['turn:t.example:3478'], username: '1700003600:session-1', credential: 'MUIr7KLVICV8xcOnmyynSYHPQJ4=', expiresAt: 1_700_003_600,
		});
	});

	test.each(['', 'a:b', 'Jürgen', 'x'.repeat(129), 'a b', '\u0000'])('a subject such as %j is replaced by a plain name, the same each time', (subject) => {
		const first = turnCredentials(options, subject, 1);
		expect(first.username).toMatch(/^3601:[0-9a-f]{32}$/);
		expect(turnCredentials(options, subject, 1)).toEqual(first);
		expect(turnCredentials(options, `${subject}!`, 1).username).not.toBe(first.username);
	});
});
