/** Every reason an offer or a trickle fragment is refused for. Stable: clients and the HTTP table rely on them. */
export type OfferErrorCode =
	| 'sdp_malformed'
	| 'sdp_too_large'
	| 'too_many_sections'
	| 'offer_without_audio'
	| 'offer_without_opus'
	| 'bad_direction'
	| 'bad_payload_type'
	| 'bad_packing'
	| 'bad_mid'
	| 'bad_ssrc'
	| 'bad_setup'
	| 'bad_fingerprint'
	| 'bad_ice_credentials'
	| 'bad_candidate'
	| 'rtcp_mux_required'
	| 'bundle_required'
	| 'no_ssrc_or_mid';

/**
 * What a client sent cannot be used: always the client's mistake, never ours.
 * `detail` is one plain English sentence or two that say what to do. It never repeats text of the offer,
 * so it may be logged and sent back as it is.
 */
export class OfferError extends Error {
	readonly code: OfferErrorCode;
	readonly detail: string;

	constructor(code: OfferErrorCode, detail: string) {
		super(detail);
		this.name = 'OfferError';
		this.code = code;
		this.detail = detail;
	}
}
