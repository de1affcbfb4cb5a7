import { createHmac, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const ATTRIBUTE = { username: 0x0006, integrity: 0x0008, priority: 0x0024, controlling: 0x802a, fingerprint: 0x8028 } as const;
const FINGERPRINT_XOR = 0x5354554e;
/** Of a peer-reflexive candidate (RFC 8445 §5.1.2). */
const PRIORITY = 0x6e7f1eff;

/** An ICE connectivity check (RFC 8445 §7.2.4, RFC 8489) to whoever has these credentials, and the id that its answer bears. */
export function bindingRequest(usernameFragment: string, password: string): { packet: Buffer; transactionId: string } {
	const id = randomBytes(12);
	let packet: Buffer = Buffer.alloc(HEADER_BYTES);
	packet.writeUInt16BE(BINDING_REQUEST, 0);
	packet.writeUInt32BE(COOKIE, 4);
	id.copy(packet, 8);
	const priority = Buffer.alloc(4);
	priority.writeUInt32BE(PRIORITY);
	for (const [type, value] of [[ATTRIBUTE.username, Buffer.from(`${usernameFragment}:preflight`)], [ATTRIBUTE.priority, priority], [ATTRIBUTE.controlling, randomBytes(8)]] as const) {
		packet = withAttribute(packet, type, value);
	}
	// Each of these covers what is before it, with the length as it will be.
	packet = withAttribute(packet, ATTRIBUTE.integrity, createHmac('sha1', password).update(withLength(packet, 24)).digest());
	const checksum = Buffer.alloc(4);
	checksum.writeUInt32BE((crc32(withLength(packet, 8)) ^ FINGERPRINT_XOR) >>> 0);
	return { packet: withAttribute(packet, ATTRIBUTE.fingerprint, checksum), transactionId: id.toString('hex') };
}

/** The transaction that a packet says yes to; undefined for anything else. */
export function answeredTransaction(packet: Buffer): string | undefined {
	return packet.length >= HEADER_BYTES && packet.readUInt16BE(0) === BINDING_SUCCESS && packet.readUInt32BE(4) === COOKIE ? packet.toString('hex', 8, HEADER_BYTES) : undefined;
}

function withAttribute(packet: Buffer, type: number, value: Buffer): Buffer {
	const head = Buffer.alloc(4);
	head.writeUInt16BE(type, 0);
	head.writeUInt16BE(value.length, 2);
	const whole = Buffer.concat([packet, head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
	whole.writeUInt16BE(whole.length - HEADER_BYTES, 2);
	return whole;
}

/** A copy that says it is so many bytes longer than it is. */
function withLength(packet: Buffer, more: number): Buffer {
	const copy = Buffer.from(packet);
	copy.writeUInt16BE(packet.length - HEADER_BYTES + more, 2);
	return copy;
}
