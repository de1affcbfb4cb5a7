/** Prints a measured figure beside the test's result; figures are for people, only the bars named in a test fail it. */
export function figure(what: string, value: number | undefined, unit = 'ms'): void {
	console.info(`  ${what}: ${value === undefined ? 'none' : Math.round(value * 10) / 10} ${unit}`);
}
