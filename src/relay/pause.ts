export { pause } from '../domain/pause.ts';
