/** The keys on disk cannot be used. The message names the file and says what to do. */
export class KeyRingError extends Error {
	constructor(message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = 'KeyRingError';
	}
}
