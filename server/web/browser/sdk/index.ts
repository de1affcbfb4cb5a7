// The browser SDK: everything the pages use to listen and to speak, and no user interface.
export * from './listen.ts';
export * from './stage.ts';
export { captionLanguageFor, captionLanguages, captionsIn } from './captions.ts';
export { type GuestEvents, type GuestOptions, GuestPass } from './guest.ts';
export { freshReactions, ReactionSender, type ReactionSenderOptions } from './reactions.ts';
