// What a Temporal worker of one's own needs to run jobs: activities and the interceptor that begins attempts.
export { createJobActivities } from './job-activities.ts';
export type { JobActivities, JobActivitiesDeps } from './job-activities.ts';
export { createLaneActivities } from './lane-activity.ts';
export type { LaneActivities, LaneActivityDeps } from './lane-activity.ts';
export { mirrorInterceptor } from './mirror-interceptor.ts';
export type { AttemptSlots, MirrorInterceptorDeps } from './mirror-interceptor.ts';
