export function promtool(): string | undefined;
export function ensurePromtool(): void;
