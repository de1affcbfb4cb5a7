/* oxlint-disable typescript/no-unsafe-type-assertion, typescript/no-unnecessary-type-parameters */
/**
 * The one place where a value is taken for what it is said to be: answers and events of the server, which
 * validates and types all it sends by the shapes this code compiles against, and structures that mediasoup
 * and mediasoup-client name differently. A page checks what people type, not its own server.
 */
export const trusted = <T>(value: unknown): T => value as T;

export const parseTrusted = <T>(json: string): T => trusted<T>(JSON.parse(json));
