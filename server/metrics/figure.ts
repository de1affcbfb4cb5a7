import { Counter, Gauge, type LabelValues, type Registry } from '@prometheus-io/client';

/** Something that others count or measure, and that is read when a scrape comes. */
export interface Figure<Label extends string = string> {
	name: string;
	help: string;
	kind: 'counter' | 'gauge';
	/** Values of these must be bounded by what the node is made of, never by what people send. */
	labels?: readonly Label[];
	/** All samples there are at present; what is left out is gone. */
	read: () => Iterable<readonly [labels: LabelValues<Label>, value: number]>;
}

export function addFigure<Label extends string>(registers: Registry[], { name, help, kind, labels = [], read }: Figure<Label>): void {
	if (kind === 'gauge') {
		const gauge: Gauge<Label> = new Gauge({
			name, help, labelNames: labels, registers,
			collect: () => {
				// What is gone must not leave its last figure behind.
				gauge.reset();
				for (const [of, value] of read()) gauge.set(of, value);
			},
		});
	} else {
		const counter: Counter<Label> = new Counter({
			name, help, labelNames: labels, registers,
			collect: () => {
				counter.reset();
				for (const [of, value] of read()) counter.inc(of, value);
			},
		});
	}
}

/** Of a figure without labels. */
export const one = (value: number): [[Record<string, never>, number]] => [[{}, value]];
