import { describe, expect, test } from 'vitest';
import { can, isRole, isRoomBound, mayIssue, type Permission, type Role, rolePermissions, roles } from '../../auth/roles.ts';

const permissions = rolePermissions.admin;
const least: Readonly<Record<Permission, Role>> = {
	'admin:operate': 'admin', 'room:create': 'admin', 'room:delete': 'admin', 'room:list-private': 'admin',
	'room:edit': 'host', 'room:state': 'host', 'token:create': 'host',
	'stage:moderate': 'cohost', 'caption:write': 'cohost',
	'stage:join': 'speaker', 'stage:command': 'speaker',
	'room:read': 'listener', 'room:listen': 'listener', 'room:react': 'listener',
};

describe('permissions', () => {
	test.each(permissions.map((permission) => [permission, least[permission]] as const))('%s needs %s or more', (permission, role) => {
		const allowed = roles.filter((candidate) => can({ role: candidate, roomId: 'hall' }, permission, 'hall'));
		expect(allowed).toEqual(roles.slice(0, roles.indexOf(role) + 1));
	});

	test('an admin has every permission, in every room and outside of rooms', () => {
		expect(permissions.toSorted()).toEqual(Object.keys(least).toSorted());
		for (const permission of permissions) {
			expect(can({ role: 'admin' }, permission)).toBe(true);
			expect(can({ role: 'admin' }, permission, 'any')).toBe(true);
		}
	});

	test.each(roles.filter((role) => role !== 'admin'))('a %s counts for its own room alone', (role) => {
		for (const permission of rolePermissions[role]) {
			expect(can({ role, roomId: 'hall' }, permission, 'hall')).toBe(true);
			expect(can({ role, roomId: 'hall' }, permission, 'other')).toBe(false);
			expect(can({ role, roomId: 'hall' }, permission)).toBe(false);
			expect(can({ role }, permission, 'hall')).toBe(false);
			expect(can({ role }, permission)).toBe(false);
		}
	});

	test('the table cannot be changed', () => {
		expect(() => Object.assign(rolePermissions, { listener: permissions })).toThrow(TypeError);
		expect(() => Object.assign(rolePermissions.listener, { 0: 'admin:operate' })).toThrow(TypeError);
	});
});

test('who may make tokens of whom', () => {
	const table = roles.map((issuer) => [issuer, roles.filter((role) => mayIssue(issuer, role))]);
	expect(Object.fromEntries(table)).toEqual({
		admin: ['admin', 'host', 'cohost', 'speaker', 'listener'],
		host: ['cohost', 'speaker', 'listener'],
		cohost: [], speaker: [], listener: [],
	});
});

test('only an admin is bound to no room', () => {
	expect(roles.filter((role) => !isRoomBound(role))).toEqual(['admin']);
});

test.each([['host', true], ['Host', false], ['', false], [undefined, false], [1, false], ['constructor', false]])('%j is a role: %j', (value, expected) => {
	expect(isRole(value)).toBe(expected);
});
