/** In pixels: what the networks that show link previews ask for. */
export const CARD_WIDTH = 1_200;
export const CARD_HEIGHT = 630;
