// What a listening page needs, without the stage's much larger part.
export type { CaptionLine } from './captions.ts';
export { type FeedEvents, EventFeed, type Invitation, type PublicSpeaker } from './event-feed.ts';
export { type ListenEvents, type ListenOptions, type ListenState } from './listen-events.ts';
export { ListenSession } from './listen-session.ts';
export { type MovePortions } from './move-plan.ts';
export { type OverflowState } from './overflow-player.ts';
export { type FullReason, fullReasonOf, type QueueInfo } from './place-in-queue.ts';
export { ProblemError } from './problem.ts';
export { type Quality } from './quality.ts';
export type { ReactionCounts } from './reactions.ts';
export { Servers } from './servers.ts';
