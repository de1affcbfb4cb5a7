// No vowels, so that no words arise; no characters that are read as each other (0/o, 1/l/i). Four stand twice:
// 32 places take a byte without bias towards the front.
const ALPHABET = '23456789bcdfghjkmnpqrstvwxyz2345';
const GROUPS = 3;
const GROUP_LENGTH = 4;

/**
 * A room id that can be read out: three groups of four, e.g. `k7mq-w3tz-p9hd`, with more than 56 bits,
 * so that rooms cannot be found by guessing.
 * @param randomBytes gives that many random bytes, e.g. node:crypto's
 */
export function readableRoomId(randomBytes: (size: number) => Uint8Array): string {
	const letters = Array.from(randomBytes(GROUPS * GROUP_LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]);
	const groups = Array.from({ length: GROUPS }, (_, group) => letters.slice(group * GROUP_LENGTH, (group + 1) * GROUP_LENGTH).join(''));
	return groups.join('-');
}
