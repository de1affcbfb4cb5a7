import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { newWebhookSecret, webhookHeaders } from '../../auth/webhook-signature.ts';
import { Outbox, type Delivery } from '../../server/webhooks/outbox.ts';
import { retryDelayMs } from '../../server/webhooks/retry-delay.ts';
import { secretsOf, type StoredWebhook, webhookResource } from '../../server/webhooks/webhook.ts';
import { isSigned } from '../support/webhooks/receiver.ts';

describe('the pause after a failed attempt', () => {
	const rule = { firstRetryMs: 1_000, maxAttempts: 5 };
	it('is random below a bound that doubles, at most six hours, and there is none after the last one', () => {
		expect([1, 2, 3, 4, 5].map((attempts) => retryDelayMs(rule, attempts, 0.999_999))).toEqual([1_000, 2_000, 4_000, 8_000, undefined]);
		expect([1, 2, 3, 4].map((attempts) => retryDelayMs(rule, attempts, 0))).toEqual([0, 0, 0, 0]);
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 99 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempts, random) => {
				const pauseMs = retryDelayMs({ firstRetryMs: 10_000, maxAttempts: 100 }, attempts, random) ?? -1;
				return pauseMs >= 0 && pauseMs <= Math.min(6 * 3_600_000, 10_000 * 2 ** (attempts - 1));
			}),
		);
	});
	it('is as long as the receiver asks for, up to a day', () => {
		expect(retryDelayMs(rule, 1, 0, 30)).toBe(30_000);
		expect(retryDelayMs(rule, 1, 0, 1e9)).toBe(86_400_000);
		expect(retryDelayMs(rule, 1, 0.5, -5)).toBe(500);
	});
});

it('a signature is what the specification says, for every body and both secrets of a rotation', () => {
	fc.assert(
		fc.property(fc.string({ unit: 'grapheme' }), fc.uuid(), (body, id) => {
			const [old, fresh] = [newWebhookSecret(randomBytes), newWebhookSecret(randomBytes)];
			const headers = webhookHeaders([fresh, old], id, 1_800_000_000.9, body);
			const nowMs = 1_800_000_010_000;
			return isSigned(old, headers, body, nowMs) && isSigned(fresh, headers, body, nowMs) && !isSigned(fresh, headers, `${body}x`, nowMs) && !isSigned(newWebhookSecret(randomBytes), headers, body, nowMs) && !isSigned(fresh, headers, body, nowMs + 600_000);
		}),
		{ numRuns: 30 },
	);
});

describe('the secrets of a webhook', () => {
	const stored: StoredWebhook = { id: 'w', url: 'https://hooks.example.org/', events: [], rooms: [], enabled: true, createdAt: '2026-01-01T00:00:00.000Z', createdBy: 'admin', secret: 'whsec_newABCD' };
	const rotated: StoredWebhook = { ...stored, previous: { secret: 'whsec_oldWXYZ', untilMs: 1_000 } };
	it.each([
		['never changed', stored, 0, ['whsec_newABCD'], undefined],
		['while both are good', rotated, 999, ['whsec_newABCD', 'whsec_oldWXYZ'], '1970-01-01T00:00:01.000Z'],
		['once the old one is over', rotated, 1_000, ['whsec_newABCD'], undefined],
	])('sign and are shown: %s', (_when, webhook, nowMs, secrets, previousUntil) => {
		expect(secretsOf(webhook, nowMs)).toEqual(secrets);
		const shown = webhookResource(webhook, nowMs);
		expect([shown.secretHint, shown.previousUntil]).toEqual(['ABCD', previousUntil]);
		expect(JSON.stringify(shown)).not.toMatch(/whsec_/);
	});
});

describe('the outbox', () => {
	const delivery = (id: string, more: Partial<Delivery> = {}): Delivery => ({ id, webhook: 'w', event: 'e', type: 'room.live', room: 'hall', payload: '{}', createdMs: 1, state: 'pending', attempts: 0, nextMs: 1, log: [], ...more });
	it('holds each event once for each webhook', () => {
		const outbox = Outbox.open(':memory:');
		outbox.add('e', [delivery('1'), delivery('2', { webhook: 'v' })], 1);
		outbox.add('e', [delivery('3')], 2);
		expect(outbox.due(10, 10).map(({ id }) => id)).toEqual(['1', '2']);
		expect([outbox.wasTold('e'), outbox.wasTold('f')]).toEqual([true, false]);
		outbox.close();
	});
	it('gives what is due, the longest waiting first, and says when the next is', () => {
		const outbox = Outbox.open(':memory:');
		for (const [id, nextMs] of [['1', 30], ['2', 10], ['3', 50]] as const) outbox.add(id, [delivery(id, { nextMs })], 1);
		expect(outbox.due(30, 10).map(({ id }) => id)).toEqual(['2', '1']);
		expect([outbox.nextAfter(30), outbox.nextAfter(50)]).toEqual([50, undefined]);
		outbox.save(delivery('2', { state: 'dead', attempts: 3, log: [{ at: 'then', status: 500, durationMs: 5 }] }));
		expect(outbox.due(30, 10).map(({ id }) => id)).toEqual(['1']);
		expect(outbox.list({ webhook: 'w', limit: 5, state: 'dead' })).toMatchObject([{ id: '2', attempts: 3, log: [{ status: 500 }] }]);
		expect(outbox.list({ webhook: 'w', limit: 5, after: '3' }).map(({ id }) => id)).toEqual(['2', '1']);
		expect(outbox.counts).toEqual({ pending: 2, delivered: 0, dead: 1 });
		outbox.prune({ deliveredMs: 0, deadMs: 100, toldMs: 0 });
		outbox.removeOf('w');
		expect(outbox.counts).toEqual({ pending: 0, delivered: 0, dead: 0 });
		outbox.close();
	});
});
