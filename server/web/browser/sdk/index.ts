// The browser SDK: everything the pages use to listen and to speak, and no user interface.
export * from './listen.ts';
export * from './stage.ts';
