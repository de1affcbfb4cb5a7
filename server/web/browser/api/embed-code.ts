/** What somebody puts into another page, so that the room's small player is there. @param listenUrl the room's listening page */
export const embedCode = (listenUrl: string, roomId: string): string => `<script src="${new URL('/embed.js', listenUrl).href}" data-room="${roomId}" async></script>`;
