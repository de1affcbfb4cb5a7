// What a listening page needs, without the stage's much larger part.
export { type FeedEvents, EventFeed, type PublicSpeaker } from './event-feed.ts';
export { type ListenEvents, type ListenOptions, ListenSession, type ListenState } from './listen-session.ts';
export { type MovePortions } from './move-plan.ts';
export { ProblemError } from './problem.ts';
export { type Quality } from './quality.ts';
export { Servers } from './servers.ts';
