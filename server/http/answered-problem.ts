import type { FastifyReply, FastifyRequest } from 'fastify';
import { forwardingOf, PROBLEM_HEADER } from '../cluster/peers/forwarded.ts';

/** What a request was answered with, by this node or, where it was forwarded, by another. */
export interface AnsweredProblem {
	readonly code: string;
	/** The finer reason below the code, where there is one. */
	readonly reason?: unknown;
}

const PROBLEM = Symbol('problem');
type Marked = FastifyRequest & { [PROBLEM]?: AnsweredProblem };

/** For those who count or learn from it; undefined for a request that was not answered with a problem. */
export const answeredProblem = (request: Marked): AnsweredProblem | undefined => request[PROBLEM];

/** The answer is about to be sent. A node that forwarded the request is told beside it: it passes the answer on unread. */
export function noteProblem(request: Marked, reply: FastifyReply, problem: AnsweredProblem): void {
	request[PROBLEM] = problem;
	if (forwardingOf(request.raw) !== undefined) {
		const { code, reason } = problem;
		void reply.header(PROBLEM_HEADER, typeof reason === 'string' ? `${code} ${reason}` : code);
	}
}

/** @param said the header of another node's answer; absent when that is no problem, or by an older version */
export function noteForwardedProblem(request: Marked, said: string | string[] | undefined): void {
	if (typeof said === 'string') {
		const [code = '', reason] = said.split(' ');
		request[PROBLEM] = { code, reason };
	}
}
