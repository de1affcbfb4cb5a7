/** Under which a page remembers that its hand is up. */
export const handKey = (roomId: string): string => `rostrum.hand.${roomId}`;
