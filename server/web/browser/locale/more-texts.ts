import type { Messages } from './messages.ts';

/**
 * The texts that only later parts of the page name. Here there are none, since the language files have them all; the
 * build of the listen page, which begins with as few as it can, puts its own module in this one's place.
 */
export const moreTexts = async (_code: string): Promise<Partial<Messages>> => ({});
