import { t } from '../locale/language.ts';
import { asProblem } from '../sdk/problem.ts';

/** Why something failed, in words. The server's own detail is English; better that than nothing. */
export const problemText = (error: unknown): string => {
	const problem = asProblem(error);
	return problem.status === 0 && problem.code === 'network' ? t('noAnswer') : problem.message;
};
