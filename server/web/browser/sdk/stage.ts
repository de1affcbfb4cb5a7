// What a page for speakers and hosts needs.
export { Microphone, MicrophoneError, type MicrophoneTrouble } from './microphone.ts';
export { StageSession, type StageSessionOptions, type StageState, type StageView } from './stage-session.ts';
